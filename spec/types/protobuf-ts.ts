/** Definitions of protobuf-ts, whose type has the handlers, and those that are not for grpc-js. Checked, never run. */
import type * as grpc from '@grpc/grpc-js';
import { type Call, mount, produce, type Requests, wrap } from 'leat';
import { heartbeat } from 'leat/heartbeat';
import { expectType } from './expect-type.ts';

interface Point {
  latitude: number;
}

interface Summary {
  count: number;
}

interface IRouteBook extends grpc.UntypedServiceImplementation {
  getFeature: grpc.handleUnaryCall<Point, Summary>;
  listFeatures: grpc.handleServerStreamingCall<Point, Summary>;
  recordRoute: grpc.handleClientStreamingCall<Point, Summary>;
  routeChat: grpc.handleBidiStreamingCall<Point, Summary>;
}

export function inMount(
  server: grpc.Server,
  definition: grpc.ServiceDefinition<IRouteBook>,
  handlers: IRouteBook,
): void {
  mount(server, definition, {
    getFeature(point, call) {
      expectType<Point>()(point);
      expectType<Call<Point>>()(call);
      return { count: point.latitude };
    },
    *listFeatures(point) {
      expectType<Point>()(point);
      yield { count: point.latitude };
    },
    async recordRoute(points, { request }) {
      expectType<Requests<Point>>()(points);
      expectType<Requests<Point>>()(request);
      return { count: 1 };
    },
    async *routeChat(points) {
      for await (const point of points) {
        expectType<Point>()(point);
        yield { count: point.latitude };
      }
    },
  });
  mount(server, definition, {
    getFeature: wrap(handlers.getFeature),
    recordRoute: produce(async (_points: Requests<Point>) => ({ count: 1 })),
    routeChat: wrap(handlers.routeChat),
  });
  mount(server, definition, {}, heartbeat({ make: () => ({ count: 0 }) }));

  mount(server, definition, {
    // @ts-expect-error a stream, where one message is due
    *getFeature() {
      yield { count: 1 };
    },
  });
  mount(server, definition, {
    // @ts-expect-error the requests have no such field
    recordRoute: async ({ latitude }) => ({ count: latitude }),
  });
  mount(server, definition, {
    // @ts-expect-error a message with a wrong field
    async *routeChat() {
      yield { count: 'one' };
    },
  });
  mount(server, definition, {
    // @ts-expect-error a handler goes in by `wrap`
    getFeature: handlers.getFeature,
  });
  // @ts-expect-error a message with a wrong field
  mount(server, definition, {}, heartbeat({ make: () => ({ count: 'one' }) }));
}

interface Foreign {
  protobufTs: { typeName: string; methods: { name: string }[]; options: object };
  connect: { readonly typeName: 'a.B'; readonly methods: { readonly say: { readonly name: 'Say' } } };
  tsProto: {
    readonly fullName: 'a.B';
    readonly methods: { readonly say: { readonly requestStream: false } };
  };
}

export function foreign(server: grpc.Server, { protobufTs, connect, tsProto }: Foreign): void {
  // @ts-expect-error its definition goes in
  mount(server, protobufTs, {});
  // @ts-expect-error there is `leat/protobuf-es`
  mount(server, connect, {});
  // @ts-expect-error ts-proto has to generate another one
  mount(server, tsProto, {});
  // @ts-expect-error nor with methods
  mount(server, tsProto, { say: () => ({}) });
}
