/** protobuf-es v2, by `leat/protobuf-es`. */
import type { Server } from '@grpc/grpc-js';
import { mount, type Requests } from 'leat';
import { heartbeat } from 'leat/heartbeat';
import { definition } from 'leat/protobuf-es';
import { expectType } from '../../types/expect-type.ts';
import { type Area, type Note, type Point, RouteBook } from '../generated/protobuf-es/route_book_pb.ts';

export function serve(server: Server): void {
  mount(server, definition(RouteBook), {
    getFeature(point) {
      expectType<Point>()(point);
      return { name: `${point.latitudeE7}` };
    },
    *listFeatures(area) {
      expectType<Area>()(area);
      for (let at = Number(area.low?.latitudeE7); at <= Number(area.high?.latitudeE7); at++)
        yield { name: `${at}` };
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

export function typed(server: Server): void {
  mount(server, definition(RouteBook), {}, heartbeat({ make: () => ({ name: 'still here' }) }));
  mount(server, definition(RouteBook), {
    // @ts-expect-error int64 is bigint
    recordRoute: async () => ({ pointCount: 1 }),
  });
  mount(server, definition(RouteBook), {
    // @ts-expect-error a stream, where one message is due
    *getFeature() {
      yield { name: 'a bridge' };
    },
  });
  // @ts-expect-error no method answers with such a message
  mount(server, definition(RouteBook), {}, heartbeat({ make: () => ({ pointCount: 1 }) }));
  // @ts-expect-error the descriptor itself: it goes in by `definition`
  mount(server, RouteBook, {});
}

export const refused = { RouteBook };
