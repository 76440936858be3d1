import { fileURLToPath } from 'node:url';
import { loadPackageDefinition, type ServiceClientConstructor, type ServiceDefinition } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';

const load = (file: string): PackageDefinition =>
  loadSync(fileURLToPath(new URL(file, import.meta.url)), {
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  });

export const numberProto = load('../../proto/number_service.proto');
export const benchProto = load('../bench.proto');
export const feedProto = load('../feed.proto');

const services = loadPackageDefinition({ ...numberProto, ...benchProto, ...feedProto }) as unknown as {
  tutorial: { NumberService: ServiceClientConstructor };
  bench: Record<'Bench' | 'Items' | 'Kinds', ServiceClientConstructor>;
  feed: { Feed: ServiceClientConstructor };
};

export const NumberService: ServiceDefinition = services.tutorial.NumberService.service;
export const Bench: ServiceDefinition = services.bench.Bench.service;
export const Items: ServiceDefinition = services.bench.Items.service;
export const Kinds: ServiceDefinition = services.bench.Kinds.service;
export const Feed: ServiceDefinition = services.feed.Feed.service;

/** The path of a method, and its request as the sink sends it: framed, in base64. */
export interface Request {
  path: string;
  body: string;
  /** The same as a query. */
  query: string;
}

function request(service: ServiceDefinition, name: string, message: object): Request {
  const method = service[name];
  if (!method) throw new TypeError(`Expected the name of a method, got \`${name}\``);
  const bytes = method.requestSerialize(message);
  const frame = Buffer.alloc(5 + bytes.length);
  frame.writeUInt32BE(bytes.length, 1);
  bytes.copy(frame, 5);
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(message)) query.set(key, String(value));
  return { path: method.path, body: frame.toString('base64'), query: query.toString() };
}

export const numbers = (max: number) => request(NumberService, 'ListNumbers', { max });
export const chunks = (count: number, bytes: number) => request(Bench, 'Chunks', { count, bytes });
export const batches = (count: number, bytes: number) => request(Items, 'Batches', { count, bytes });
export const trickle = (count: number, everyMs: number) => request(Items, 'Trickle', { count, everyMs });
export const park = (early: boolean) => request(Bench, 'Park', { early });
export const leave = (point: string) => request(Bench, 'Leave', { point });
export const updates = () => request(Feed, 'Updates', {});
export const number = (method: string, num: number) => request(Kinds, method, { num });
