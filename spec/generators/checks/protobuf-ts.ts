/** protobuf-ts for grpc-js: the kinds are those of the handlers, which the type of the definition has. */
import type { Server } from '@grpc/grpc-js';
import { mount, produce, type Requests, wrap } from 'leat';
import { heartbeat } from 'leat/heartbeat';
import { expectType } from '../../types/expect-type.ts';
import { type IRouteBook, routeBookDefinition } from '../generated/protobuf-ts/route_book.grpc-server.ts';
import { type Area, Feature, type Note, type Point, RouteBook } from '../generated/protobuf-ts/route_book.ts';

export function serve(server: Server): void {
  mount(server, routeBookDefinition, {
    getFeature(point) {
      expectType<Point>()(point);
      return Feature.create({ name: `${point.latitudeE7}` });
    },
    *listFeatures(area) {
      expectType<Area>()(area);
      for (let at = Number(area.low?.latitudeE7); at <= Number(area.high?.latitudeE7); at++)
        yield Feature.create({ name: `${at}` });
    },
    async recordRoute(points, { request }) {
      expectType<Requests<Point>>()(points);
      expectType<Requests<Point>>()(request);
      let pointCount = BigInt(0);
      for await (const { latitudeE7 } of points) pointCount += latitudeE7;
      return { pointCount };
    },
    async *routeChat(notes) {
      for await (const note of notes) {
        expectType<Note>()(note);
        yield note;
      }
    },
  });
}

export function typed(server: Server, handlers: IRouteBook): void {
  mount(server, routeBookDefinition, {
    getFeature: wrap(handlers.getFeature),
    recordRoute: produce(async (_points: Requests<Point>) => ({ pointCount: BigInt(1) })),
    routeChat: wrap(handlers.routeChat),
  });
  mount(server, routeBookDefinition, {}, heartbeat({ make: () => Feature.create() }));

  mount(server, routeBookDefinition, {
    // @ts-expect-error int64 is bigint
    recordRoute: async () => ({ pointCount: 1 }),
  });
  mount(server, routeBookDefinition, {
    // @ts-expect-error a stream, where one message is due
    *getFeature() {
      yield Feature.create();
    },
  });
  mount(server, routeBookDefinition, {
    // @ts-expect-error a handler of another kind
    getFeature: wrap(handlers.recordRoute),
  });
  mount(server, routeBookDefinition, {
    // @ts-expect-error the service has no such method
    async *listFeature() {},
  });
  // @ts-expect-error no method answers with such a message
  mount(server, routeBookDefinition, {}, heartbeat({ make: () => ({ pointCount: 1 }) }));
  // @ts-expect-error the ServiceType: its definition goes in
  mount(server, RouteBook, {});
}

export const refused = { RouteBook };
