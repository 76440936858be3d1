import { Client, done, Program, same } from './check.ts';

const none = { OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none', OTEL_TRACES_EXPORTER: 'console' };
const program = new Program(['--import', './instrumentation.mjs', 'main.ts'], none);
const client = new Client(String(process.env.ADDRESS));
await client.ready();
for (const method of ['GetFeature', 'ListFeatures', 'RecordRoute', 'RouteChat'])
  same(method, (await client.ask(method, [{}]).told).code, 0);
const left = client.ask('RouteChat', [{ message: 'a' }], { open: true });
await left.first;
left.call.cancel();
await left.told;
const open = client.ask('RouteChat', [{ message: 'a' }], { open: true });
await open.first;
const stopped = program.stop();
same('drain ends a stream', (await open.told).code, 14);
await stopped;

const spans = program.printed.split(/^\{$/m).slice(1);
const field = (name: string) => spans.map((span: string) => new RegExp(`${name}: '([^']*)'`).exec(span)?.[1]);
same('one span for each call', field('\\n {2}name'), [
  ...['GetFeature', 'ListFeatures', 'RecordRoute', 'RouteChat', 'RouteChat', 'RouteChat'].map(
    method => `grpc.routeguide.RouteGuide/${method}`,
  ),
]);
same(
  'of the instrumentation',
  new Set(field('instrumentationScope: \\{\\s+name')),
  new Set(['@opentelemetry/instrumentation-grpc']),
);
same('that knows how each ended', field("'leat.stream.end_reason'").sort(), [
  'cancelled',
  ...Array(4).fill('completed'),
  'drain',
]);
same('and its code', field("'rpc.status_code'").sort(), ['CANCELLED', 'OK', 'OK', 'OK', 'OK', 'UNAVAILABLE']);
same('active in the method', /name: 'looked up'/.test(spans[1] ?? ''), true);
client.close();
done();
