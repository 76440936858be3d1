/** ts-proto, as it comes: int64 is a number, fields are in camelCase, all of them are needed. */
import type { Server } from '@grpc/grpc-js';
import { type Call, type Methods, mount, produce, type Requests, wrap } from 'leat';
import { batch } from 'leat/batch';
import { heartbeat } from 'leat/heartbeat';
import { expectType } from '../../types/expect-type.ts';
import {
  type Area,
  Feature,
  type Note,
  type Point,
  RouteBookClient,
  type RouteBookServer,
  RouteBookService,
} from '../generated/ts-proto/route_book.ts';

export function serve(server: Server): void {
  mount(server, RouteBookService, {
    getFeature(point, call) {
      expectType<Point>()(point);
      expectType<Call<Point>>()(call);
      return Feature.fromPartial({ name: `${point.latitudeE7}` });
    },
    async *listFeatures(area) {
      expectType<Area>()(area);
      for (let at = area.low?.latitudeE7 ?? 0; at <= (area.high?.latitudeE7 ?? 0); at++)
        yield Feature.fromPartial({ name: `${at}` });
    },
    async recordRoute(points, { request }) {
      expectType<Requests<Point>>()(points);
      expectType<Requests<Point>>()(request);
      let pointCount = 0;
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

/** What an application has around `mount`. */
export function around<D extends object>(server: Server, definition: D, methods: Methods<D>): void {
  mount(server, definition, methods);
}

export function typed(server: Server, handlers: RouteBookServer, point: Point): void {
  mount(server, RouteBookClient, {
    getFeature: wrap(handlers.getFeature),
    recordRoute: produce(async (_points: Requests<Point>) => ({ pointCount: 1 })),
    async *routeChat(notes) {
      expectType<Requests<Note>>()(notes);
      yield { textLine: 'hello', location: point };
    },
  });
  around(server, RouteBookService, { recordRoute: async () => ({ pointCount: 1 }) });
  mount<RouteBookServer>(server, RouteBookService, { recordRoute: async () => ({ pointCount: 1 }) });
  mount(server, RouteBookService, {}, heartbeat({ make: () => Feature.fromPartial({}) }));
  mount(server, RouteBookService, {}, batch({ merge: (features: Feature[]) => features[0] as Feature }));

  mount(server, RouteBookService, {
    // @ts-expect-error a message of another type
    getFeature: () => point,
  });
  mount(server, RouteBookService, {
    // @ts-expect-error a stream, where one message is due
    *recordRoute() {
      yield { pointCount: 1 };
    },
  });
  mount(server, RouteBookService, {
    // @ts-expect-error one message, where a stream is due
    routeChat: async () => ({ textLine: 'hello', location: point }),
  });
  mount(server, RouteBookService, {
    // @ts-expect-error the requests have no such field
    recordRoute: async ({ latitudeE7 }) => ({ pointCount: latitudeE7 }),
  });
  mount(server, RouteBookService, {
    // @ts-expect-error a handler goes in by `wrap`
    getFeature: handlers.getFeature,
  });
  mount(server, RouteBookService, {
    // @ts-expect-error the service has no such method
    async *listFeature() {},
  });
  // @ts-expect-error no method answers with such a message
  mount(server, RouteBookService, {}, heartbeat({ make: () => ({ pointCount: 'one' }) }));
}
