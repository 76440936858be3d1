/** What proto-loader's generated types tell when `mount` has the client class, or the handlers. Checked, never run. */
import type { Server } from '@grpc/grpc-js';
import { type Methods, mount, produce, type Requests, wrap } from 'leat';
import type { Area__Output } from '../../proto/generated/book/v1/Area.ts';
import type { Note__Output } from '../../proto/generated/book/v1/Note.ts';
import type { Point__Output } from '../../proto/generated/book/v1/Point.ts';
import type { RouteBookHandlers } from '../../proto/generated/book/v1/RouteBook.ts';
import type { ProtoGrpcType } from '../../proto/generated/route_book.ts';
import { expectType } from './expect-type.ts';

type RouteBookClient = ProtoGrpcType['book']['v1']['RouteBook'];

export function byClientClass(server: Server, RouteBook: RouteBookClient, handlers: RouteBookHandlers): void {
  mount(server, RouteBook, {
    getFeature(point) {
      expectType<Point__Output>()(point);
      return { name: point.latitudeE7 };
    },
    *ListFeatures(area) {
      expectType<Area__Output>()(area);
      yield { surface: 'SURFACE_GRAVEL' };
    },
    async recordRoute(points, { request }) {
      expectType<Requests<Point__Output>>()(points);
      expectType<Requests<Point__Output>>()(request);
      let pointCount = 0;
      for await (const { latitudeE7 } of points) pointCount += Number(latitudeE7);
      return { pointCount };
    },
    async *routeChat(notes) {
      for await (const note of notes) {
        expectType<Note__Output>()(note);
        yield note;
      }
    },
  });
  mount(server, RouteBook, {
    getFeature: wrap(handlers.GetFeature),
    recordRoute: produce(async (_points: Requests<Point__Output>) => ({ pointCount: 1 })),
    routeChat: wrap(handlers.RouteChat),
  });
  const methods: Methods<RouteBookClient> = { getFeature: async () => ({ name: 'a bridge' }) };
  mount(server, RouteBook, methods);

  mount(server, RouteBook, {
    // @ts-expect-error no answer
    getFeature: () => {},
  });
  mount(server, RouteBook, {
    // @ts-expect-error a stream, where one message is due
    *getFeature() {
      yield { name: 'a bridge' };
    },
  });
  mount(server, RouteBook, {
    // @ts-expect-error one message, where a stream is due
    ListFeatures: () => ({ name: 'a bridge' }),
  });
  mount(server, RouteBook, {
    // @ts-expect-error the requests have no such field
    recordRoute: async ({ latitudeE7 }) => ({ pointCount: latitudeE7 }),
  });
  mount(server, RouteBook, {
    // @ts-expect-error a message with a wrong field
    async *routeChat() {
      yield { textLine: 1 };
    },
  });
  mount(server, RouteBook, {
    // @ts-expect-error a handler goes in by `wrap`
    getFeature: handlers.GetFeature,
  });
  mount(server, RouteBook, {
    // @ts-expect-error a handler of another kind
    getFeature: wrap(handlers.RecordRoute),
  });
  mount(server, RouteBook, {
    // @ts-expect-error the service has no such method
    async *listFeature() {},
  });
}

export function byHandlers(
  server: Server,
  RouteBook: RouteBookClient,
  wrong: { ListFeatures: object },
): void {
  mount<RouteBookHandlers>(server, RouteBook.service, {
    getFeature(point) {
      expectType<Point__Output>()(point);
      return { name: point.latitudeE7 };
    },
    async recordRoute(points) {
      expectType<Requests<Point__Output>>()(points);
      return { pointCount: 1 };
    },
    async *RouteChat(notes) {
      expectType<Requests<Note__Output>>()(notes);
      yield { textLine: 'hello' };
    },
  });
  mount<RouteBookHandlers>(server, RouteBook, {
    *listFeatures(area) {
      expectType<Area__Output>()(area);
      yield { name: 'a bridge' };
    },
  });

  mount<RouteBookHandlers>(server, RouteBook.service, {
    // @ts-expect-error a stream, where one message is due
    *getFeature() {
      yield { name: 'a bridge' };
    },
  });
  mount<RouteBookHandlers>(server, RouteBook.service, {
    // @ts-expect-error a message with a wrong field
    getFeature: () => ({ name: 1 }),
  });
  // @ts-expect-error another service
  mount<RouteBookHandlers>(server, wrong, {});
}
