/** ts-proto with the names of the .proto. */
import type { Server } from '@grpc/grpc-js';
import { mount, type Requests } from 'leat';
import { expectType } from '../../types/expect-type.ts';
import { Feature, type Note, type Point, RouteBookService } from '../generated/ts-proto-snake/route_book.ts';

export function serve(server: Server): void {
  mount(server, RouteBookService, {
    getFeature(point) {
      expectType<Point>()(point);
      return Feature.fromPartial({ name: `${point.latitude_e7}` });
    },
    *listFeatures({ low, high }) {
      for (let at = low?.latitude_e7 ?? 0; at <= (high?.latitude_e7 ?? 0); at++)
        yield Feature.fromPartial({ name: `${at}` });
    },
    async recordRoute(points) {
      expectType<Requests<Point>>()(points);
      let point_count = 0;
      for await (const { latitude_e7 } of points) point_count += latitude_e7;
      return { point_count };
    },
    async *routeChat(notes) {
      expectType<Requests<Note>>()(notes);
      yield* notes;
    },
  });
}

export function typed(server: Server): void {
  mount(server, RouteBookService, {
    // @ts-expect-error the name that it would have in camelCase
    recordRoute: async () => ({ pointCount: 1 }),
  });
}
