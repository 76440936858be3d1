import 'reflect-metadata';
import { Client, done, same } from './check.ts';

const lines: string[] = [];
console.info = (text: string, { path, code }: any = {}) => lines.push(`${text} ${path} ${code ?? ''}`);
for (const name of ['warn', 'error'] as const) console[name] = console.info;

const { app } = await import('./interceptor.ts');
const client = new Client(String(process.env.ADDRESS));
await client.ready();

const feature = await client.ask('GetFeature', [{ latitude: 1, longitude: 2 }]).told;
same(
  'unary',
  [feature.code, feature.messages],
  [0, [{ name: 'a feature', location: { latitude: 1, longitude: 2 } }]],
);
const list = await client.ask('ListFeatures', [{}]).told;
same(
  'server streaming',
  list.messages.map(({ name }) => name),
  ['one', 'two'],
);
const summary = await client.ask('RecordRoute', [{}, {}, {}]).told;
same('client streaming', summary.messages[0].pointCount, 3);
const chat = await client.ask('RouteChat', [{ message: 'a' }, { message: 'b' }]).told;
same(
  'bidirectional',
  chat.messages.map(({ message }) => message),
  ['a', 'b'],
);

same('RpcException with a code', await client.status('GetFeature', { latitude: 5 }), '5 nothing there');
same('RpcException without', await client.status('GetFeature', { latitude: 3 }), '2 internal error');
same('StatusError', await client.status('GetFeature', { latitude: 9 }), '2 internal error');
const ended = lines.filter(line => line.includes('finished')).length;
same('one line for each call', ended, 7);

const open = client.ask('RouteChat', [{ message: 'a' }], { open: true });
await open.first;
process.emit('SIGTERM', 'SIGTERM');
const { code, details } = await Promise.race([
  open.told,
  new Promise<any>(resolve => setTimeout(resolve, 8000, {})),
]);
same('drain ends a stream', [code, details], [14, 'the server is shutting down']);
client.close();
await app.close();
done();
