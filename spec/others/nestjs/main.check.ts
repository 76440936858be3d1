import 'reflect-metadata';
import { Client, done, same, until } from './check.ts';

const lines: string[] = [];
console.info = (text: string, { path, code, reason }: any = {}) =>
  lines.push(`${text} ${path} ${code} ${reason}`);
for (const name of ['warn', 'error'] as const) console[name] = console.info;

const { app } = await import('./main.ts');
const client = new Client(String(process.env.ADDRESS));
await client.ready();

const feature = await client.ask('GetFeature', [{ latitude: 1, longitude: 2 }]).told;
same(
  'unary',
  [feature.code, feature.messages],
  [0, [{ name: 'a feature', location: { latitude: 1, longitude: 2 } }]],
);
const summary = await client.ask('RecordRoute', [{}, {}, {}]).told;
same('client streaming', summary.messages[0].pointCount, 3);
const chat = await client.ask('RouteChat', [{ message: 'a' }, { message: 'b' }]).told;
same(
  'bidirectional',
  chat.messages.map(({ message }) => message),
  ['a', 'b'],
);
const endless = client.ask('ListFeatures', [{}]);
await endless.first;
endless.call.cancel();
await until('the generator ends', () =>
  lines.some(line => /finished .*ListFeatures CANCELLED cancelled/.test(line)),
);
same('server streaming, cancelled', (await endless.told).messages[0].name, 'feature 1');

same('RpcException with a code', await client.status('GetFeature', { latitude: 5 }), '5 nothing there');
same('RpcException without', await client.status('GetFeature', { latitude: 3 }), '2 what is that?');
same('StatusError', await client.status('GetFeature', { latitude: 9 }), '9 not now');
const secret = await client.ask('GetFeature', [{ latitude: 2 }]).told;
same('an error', [secret.code, secret.details], [2, 'internal error']);
same('its id', secret.trailer.get('x-error-id').length, 1);
same('RpcException in a generator', await client.status('RouteChat', { message: 'fail' }), '9 not that');

const open = client.ask('RouteChat', [{ message: 'a' }], { open: true });
await open.first;
const closed = app.close();
const { code, details } = await open.told;
same('drain ends a stream', [code, details], [14, 'the server is shutting down']);
await closed;
client.close();
done();
