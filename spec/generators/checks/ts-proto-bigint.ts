/** ts-proto with int64 as bigint. */
import type { Server } from '@grpc/grpc-js';
import { mount, type Requests } from 'leat';
import { expectType } from '../../types/expect-type.ts';
import { Feature, type Note, type Point, RouteBookService } from '../generated/ts-proto-bigint/route_book.ts';

export function serve(server: Server): void {
  mount(server, RouteBookService, {
    getFeature(point) {
      expectType<bigint>()(point.latitudeE7);
      return Feature.fromPartial({ name: `${point.latitudeE7}` });
    },
    *listFeatures({ low, high }) {
      for (let at = low?.latitudeE7 ?? BigInt(0); at <= (high?.latitudeE7 ?? BigInt(0)); at++)
        yield Feature.fromPartial({ name: `${at}` });
    },
    async recordRoute(points) {
      expectType<Requests<Point>>()(points);
      let pointCount = BigInt(0);
      for await (const { latitudeE7 } of points) pointCount += latitudeE7;
      return { pointCount };
    },
    async *routeChat(notes) {
      expectType<Requests<Note>>()(notes);
      yield* notes;
    },
  });
}

export function typed(server: Server): void {
  mount(server, RouteBookService, {
    // @ts-expect-error int64 is bigint
    recordRoute: async () => ({ pointCount: 1 }),
  });
}
