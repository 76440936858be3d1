import { Client, done, same } from './check.ts';

const lines: string[] = [];
console.info = (text: string, { path, code }: any = {}) => lines.push(`${text} ${path} ${code}`);
for (const name of ['warn', 'error'] as const) console[name] = console.info;
process.removeAllListeners('warning');

const { server } = await import('./main.ts');
const { drains } = await import('./drain.ts');
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
  ['feature 1', 'feature 2', 'feature 3'],
);
const summary = await client.ask('RecordRoute', [{}, {}, {}]).told;
same('client streaming', summary.messages[0].pointCount, 3);
const chat = await client.ask('RouteChat', [{ message: 'a' }, { message: 'b' }]).told;
same(
  'bidirectional',
  chat.messages.map(({ message }) => message),
  ['a', 'b'],
);
same('ServerError', await client.status('GetFeature', { latitude: 5 }), '5 nothing there');
const secret = await client.ask('GetFeature', [{ latitude: 2 }]).told;
same(
  'an error',
  [secret.code, secret.details, secret.trailer.get('x-error-id').length],
  [2, 'internal error', 1],
);
same('one line for each call', lines.filter(line => line.includes('finished')).length, 6);

const open = client.ask('RouteChat', [{ message: 'a' }], { open: true });
await open.first;
const drained = drains(server, 100);
const { code, details, trailer } = await open.told;
same('drain ends a stream', [code, details], [14, 'the server is shutting down']);
same('and says when to come back', trailer.get('grpc-retry-pushback-ms'), ['0']);
client.close();
await drained;
done();
