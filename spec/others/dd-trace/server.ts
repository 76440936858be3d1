import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import tracer from 'dd-trace';
import { drainOn, mount, type Requests, serverOptions } from 'leat';
import { errors } from 'leat/errors';
import { sleep } from 'leat/sources';

const { routeguide } = grpc.loadPackageDefinition(loadSync('route_guide.proto')) as any;
const active = () => (tracer.scope().active() ? 'active' : 'none');
const server = new grpc.Server(serverOptions());
mount(
  server,
  routeguide.RouteGuide.service as grpc.ServiceDefinition,
  {
    GetFeature: () => ({ name: active() }),
    async *ListFeatures() {
      await sleep(10);
      yield { name: active() };
    },
    async RecordRoute(points: Requests<object>) {
      for await (const _ of points);
      return {};
    },
    async *RouteChat(notes: Requests<object>) {
      for await (const _ of notes) yield { message: active() };
    },
  },
  errors(),
);
server.bindAsync(String(process.env.ADDRESS), grpc.ServerCredentials.createInsecure(), () => {});
drainOn(server, { graceMs: 100 });
