/** Serves what each check mounts, and calls it by one client: all answer alike. Refuses what is to be refused. */
import { deepStrictEqual, throws } from 'node:assert';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { mount } from 'leat';
import * as generic from './generic.ts';
import * as protoLoader from './proto-loader.ts';
import * as protobufEs from './protobuf-es.ts';
import * as protobufTs from './protobuf-ts.ts';
import * as tsProto from './ts-proto.ts';
import * as tsProtoBigint from './ts-proto-bigint.ts';
import * as tsProtoSnake from './ts-proto-snake.ts';

const { book } = grpc.loadPackageDefinition(
  loadSync('route_book.proto', { longs: Number, defaults: true }),
) as any;

async function called(serve: (server: grpc.Server) => void): Promise<unknown> {
  const server = new grpc.Server();
  serve(server);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  const client = new book.v1.RouteBook(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const settled = <T>(start: (done: (error: unknown, answer: T) => void) => void) =>
    new Promise<T>((resolve, reject) => start((error, answer) => (error ? reject(error) : resolve(answer))));
  const feature = await settled<{ name: string }>(done => client.getFeature({ latitudeE7: 7 }, done));
  const names: string[] = [];
  const area = { low: { latitudeE7: 1 }, high: { latitudeE7: 3 } };
  for await (const { name } of client.listFeatures(area)) names.push(name);
  const summary = await settled<{ pointCount: number }>(done => {
    const route = client.recordRoute(done);
    for (const latitudeE7 of [1, 2]) route.write({ latitudeE7 });
    route.end();
  });
  const chat = client.routeChat();
  chat.write({ textLine: 'one' });
  chat.end({ textLine: 'two' });
  const said: string[] = [];
  for await (const { textLine } of chat) said.push(textLine);
  client.close();
  server.forceShutdown();
  return [feature.name, names, summary.pointCount, said];
}

async function run(): Promise<void> {
  const served = { protoLoader, protobufEs, protobufTs, tsProto, tsProtoBigint, tsProtoSnake };
  for (const [name, { serve }] of Object.entries(served)) {
    deepStrictEqual(await called(serve), ['7', ['1', '2', '3'], 3, ['one', 'two']], name);
    console.log(`${name}: all four kinds`);
  }
  for (const check of [generic, protobufEs, protobufTs])
    for (const [name, definition] of Object.entries(check.refused))
      throws(
        () => mount(new grpc.Server(), definition as never, {}),
        error => {
          console.log(`${name}: ${(error as Error).message}`);
          return error instanceof TypeError && error.message.includes('`book.v1.RouteBook`');
        },
      );
}

void run();
