/** grpc-tools with grpc_tools_node_protoc_ts: types only, as its messages need what grpc-tools makes. */
import type { Server } from '@grpc/grpc-js';
import { mount, produce, type Requests, wrap } from 'leat';
import { heartbeat } from 'leat/heartbeat';
import { expectType } from '../../types/expect-type.ts';
import type { IRouteBookServer, RouteBookService } from '../generated/grpc-tools/route_book_grpc_pb.js';
import type { Area, Feature, Note, Point, Summary } from '../generated/grpc-tools/route_book_pb.js';

type Service = typeof RouteBookService;

export function typed(
  server: Server,
  service: Service,
  handlers: IRouteBookServer,
  feature: Feature,
  summary: Summary,
): void {
  mount(server, service, {
    getFeature(point) {
      expectType<Point>()(point);
      return feature.setName(`${point.getLatitudeE7()}`);
    },
    *listFeatures(area) {
      expectType<Area>()(area);
      yield feature.setName(`${area.getLow()?.getLatitudeE7()}`);
    },
    async recordRoute(points, { request }) {
      expectType<Requests<Point>>()(points);
      expectType<Requests<Point>>()(request);
      let count = 0;
      for await (const point of points) count += point.getLatitudeE7();
      return summary.setPointCount(count);
    },
    async *routeChat(notes) {
      for await (const note of notes) {
        expectType<Note>()(note);
        yield note;
      }
    },
  });
  mount(server, service, {
    getFeature: wrap(handlers.getFeature),
    recordRoute: produce(async (_points: Requests<Point>) => summary),
  });
  mount(server, service, {}, heartbeat({ make: () => feature }));

  mount(server, service, {
    // @ts-expect-error the fields of a message, where one of its class is due
    getFeature: () => ({ name: 'a bridge' }),
  });
  mount(server, service, {
    // @ts-expect-error a stream, where one message is due
    *getFeature() {
      yield feature;
    },
  });
  mount(server, service, {
    // @ts-expect-error a message of another type
    recordRoute: async () => feature,
  });
  mount(server, service, {
    // @ts-expect-error the service has no such method
    async *listFeature() {},
  });
  // @ts-expect-error no method answers with such a message
  mount(server, service, {}, heartbeat({ make: () => ({ name: 'a bridge' }) }));
}
