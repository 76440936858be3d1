/** Methods of all four kinds, by what each generator tells of them. Checked, never run. */
import type * as grpc from '@grpc/grpc-js';
import { type Call, key, mount, produce, type Requests, wrap } from 'leat';
import { collect } from 'leat/testing';
import { expectType } from './expect-type.ts';

interface Point {
  latitude: number;
}

interface Summary {
  count: number;
}

interface Codecs {
  requestSerialize: (value: Point) => Buffer;
  requestDeserialize: (bytes: Buffer) => Point;
  responseSerialize: (value: Summary) => Buffer;
  responseDeserialize: (bytes: Buffer) => Summary;
}

/** As ts-proto writes them, and grpc-tools with its ts plugin. */
interface WithKinds {
  getFeature: Codecs & { path: string; requestStream: false; responseStream: false };
  listFeatures: Codecs & { path: string; requestStream: false; responseStream: true };
  recordRoute: Codecs & { path: string; requestStream: true; responseStream: false };
  routeChat: Codecs & { path: string; requestStream: true; responseStream: true };
}

/** The handlers that go with it. */
interface Handlers extends grpc.UntypedServiceImplementation {
  getFeature: grpc.handleUnaryCall<Point, Summary>;
  listFeatures: grpc.handleServerStreamingCall<Point, Summary>;
  recordRoute: grpc.handleClientStreamingCall<Point, Summary>;
  routeChat: grpc.handleBidiStreamingCall<Point, Summary>;
}

/** As proto-loader's generator and grpc-tools write them: the kinds are not in the types. */
interface WithoutKinds extends grpc.ServiceDefinition {
  GetFeature: grpc.MethodDefinition<Point, Summary>;
  RecordRoute: grpc.MethodDefinition<Point, Summary>;
  RouteChat: grpc.MethodDefinition<Point, Summary>;
}

const user = key<{ name: string }>('user');

export function literalKinds(server: grpc.Server, service: WithKinds, handlers: Handlers): void {
  mount(server, service, {
    getFeature: (point, call) => {
      expectType<Point>()(point);
      expectType<Call<Point>>()(call);
      expectType<{ name: string }>()(call.values.get(user));
      return { count: point.latitude };
    },
    *listFeatures(point) {
      expectType<Point>()(point);
      yield { count: point.latitude };
    },
    async recordRoute(points, { request }) {
      expectType<Requests<Point>>()(points);
      expectType<Requests<Point>>()(request);
      let count = 0;
      for await (const { latitude } of points) count += latitude;
      return { count };
    },
    async *routeChat(points) {
      for await (const point of points) {
        expectType<Point>()(point);
        yield { count: point.latitude };
      }
    },
  });
  mount(server, service, {
    getFeature: async ({ latitude }) => ({ count: latitude }),
    routeChat: points => points as unknown as AsyncIterable<Summary>,
  });
  mount(server, service, {
    getFeature: wrap(handlers.getFeature),
    listFeatures: wrap(handlers.listFeatures),
    recordRoute: wrap(handlers.recordRoute),
    routeChat: wrap(handlers.routeChat),
  });
  mount(server, service, {
    getFeature: produce(({ latitude }: Point) => ({ count: latitude })),
    recordRoute: produce(async (_points: Requests<Point>) => ({ count: 1 })),
    routeChat: produce(async function* (points: Requests<Point>) {
      for await (const { latitude } of points) yield { count: latitude };
    }),
  });

  mount(server, service, {
    // @ts-expect-error no answer
    getFeature: () => {},
  });
  mount(server, service, {
    // @ts-expect-error a stream from a unary method
    *getFeature() {
      yield { count: 1 };
    },
  });
  mount(server, service, {
    // @ts-expect-error an answer with a wrong field
    getFeature: async () => ({ count: 'one' }),
  });
  mount(server, service, {
    // @ts-expect-error the requests have no such field
    recordRoute: async ({ latitude }) => ({ count: latitude }),
  });
  mount(server, service, {
    // @ts-expect-error one message, where a stream is due
    routeChat: async () => ({ count: 1 }),
  });
  mount(server, service, {
    // @ts-expect-error a handler goes in by `wrap`
    getFeature: handlers.getFeature,
  });
  mount(server, service, {
    // @ts-expect-error a handler of another kind
    getFeature: wrap(handlers.recordRoute),
  });
}

/** Handlers that call back, written where they are wrapped. */
export function inline(server: grpc.Server, service: WithKinds): void {
  mount(server, service, {
    getFeature: wrap((call: grpc.ServerUnaryCall<Point, Summary>, callback: grpc.sendUnaryData<Summary>) =>
      callback(null, { count: call.request.latitude }),
    ),
    recordRoute: wrap(
      (call: grpc.ServerReadableStream<Point, Summary>, callback: grpc.sendUnaryData<Summary>) =>
        void call.once('end', () => callback(null, { count: 1 })),
    ),
  });
  const named: Pick<Handlers, 'getFeature' | 'recordRoute'> = {
    getFeature: wrap<Handlers['getFeature']>((call, callback) => {
      expectType<Point>()(call.request);
      callback(null, { count: call.request.latitude });
    }),
    recordRoute: wrap<Handlers['recordRoute']>((call, callback) => {
      call.once('end', () => callback(null, { count: 1 }));
      // @ts-expect-error an answer with a wrong field
      callback(null, { count: 'one' });
    }),
  };
  void named;
}

export function unknownKinds(server: grpc.Server, service: WithoutKinds): void {
  mount(server, service, {
    getFeature: point => ({ count: point.latitude }),
    async recordRoute(points) {
      let count = 0;
      for await (const { latitude } of points) count += latitude;
      return { count };
    },
    async *RouteChat(points) {
      for await (const { latitude } of points) yield { count: latitude };
    },
  });
  mount(server, service, {
    getFeature: wrap((call: grpc.ServerUnaryCall<Point, Summary>, callback: grpc.sendUnaryData<Summary>) =>
      callback(null, { count: call.request.latitude }),
    ),
    recordRoute: produce(async (_points: Requests<Point>) => ({ count: 1 })),
  });
  mount(server, service, {
    // @ts-expect-error an answer with a wrong field
    getFeature: async () => ({ count: 'one' }),
  });
  mount(server, service, {
    // @ts-expect-error the request has no such field
    getFeature: ({ longitude }) => ({ count: longitude }),
  });
}

export function implementation(server: grpc.Server, service: grpc.ServiceDefinition<Handlers>): void {
  const handlers: Handlers = {
    getFeature: produce((point: Point) => ({ count: point.latitude })),
    listFeatures: produce(async function* (point) {
      expectType<Point>()(point);
      yield { count: point.latitude };
    }),
    recordRoute: produce(async (_points: Requests<Point>) => ({ count: 1 })),
    routeChat: produce(async function* (_points: Requests<Point>) {
      yield { count: 1 };
    }),
  };
  server.addService(service, handlers);
  expectType<Handlers>()(wrap(handlers));
  const wrapped: Handlers['recordRoute'] = wrap(handlers.recordRoute);
  void wrapped;
}

export async function tested(): Promise<void> {
  const unary = await collect(
    ({ latitude }: Point) => ({ count: latitude }),
    { latitude: 1 },
    { kind: 'unary' },
  );
  expectType<{ count: number }[]>()(unary.messages);
  const upload = async (points: Requests<Point>) => {
    for await (const { latitude } of points) return { count: latitude };
    return { count: 0 };
  };
  const uploaded = await collect(upload, [{ latitude: 1 }], { kind: 'clientStream' });
  expectType<{ count: number }[]>()(uploaded.messages);
  async function* chat(points: Requests<Point>) {
    for await (const { latitude } of points) yield { count: latitude };
  }
  const chatted = await collect(chat, [{ latitude: 1 }], { kind: 'bidi' });
  expectType<{ count: number }[]>()(chatted.messages);
  // @ts-expect-error what its requests are is another
  await collect(chat, [{ longitude: 1 }], { kind: 'bidi' });
}
