/** proto-loader with the types of proto-loader-gen-types: by the client class, which tells the kinds. */
import { loadPackageDefinition, type Server } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { mount, type Requests } from 'leat';
import { heartbeat } from 'leat/heartbeat';
import { expectType } from '../../types/expect-type.ts';
import type { Area__Output } from '../generated/proto-loader/book/v1/Area.ts';
import type { Note__Output } from '../generated/proto-loader/book/v1/Note.ts';
import type { Point__Output } from '../generated/proto-loader/book/v1/Point.ts';
import type { RouteBookHandlers } from '../generated/proto-loader/book/v1/RouteBook.ts';
import type { ProtoGrpcType } from '../generated/proto-loader/route_book.ts';

const options = { longs: String, enums: String, defaults: true, oneofs: true };
const loaded = loadPackageDefinition(loadSync('route_book.proto', options)) as unknown as ProtoGrpcType;
const { RouteBook } = loaded.book.v1;

export function serve(server: Server): void {
  mount(server, RouteBook, {
    getFeature(point) {
      expectType<Point__Output>()(point);
      return { name: point.latitudeE7 };
    },
    *listFeatures(area) {
      expectType<Area__Output>()(area);
      for (let at = Number(area.low?.latitudeE7); at <= Number(area.high?.latitudeE7); at++)
        yield { name: `${at}` };
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
}

export function typed(server: Server): void {
  mount<RouteBookHandlers>(server, RouteBook.service, {
    getFeature: point => ({ name: point.latitudeE7 }),
    async recordRoute(points) {
      expectType<Requests<Point__Output>>()(points);
      return { pointCount: 1 };
    },
  });
  // Without the one type argument the request is either, and its fields are known.
  mount(server, RouteBook.service, {
    getFeature: point => ({ name: point.latitudeE7 }),
    async *routeChat(notes) {
      for await (const { textLine } of notes) yield { textLine };
    },
  });
  mount(server, RouteBook, {}, heartbeat({ make: () => ({ surface: 'SURFACE_GRAVEL' as const }) }));

  mount(server, RouteBook, {
    // @ts-expect-error a stream, where one message is due
    *getFeature() {
      yield { name: 'a bridge' };
    },
  });
  mount<RouteBookHandlers>(server, RouteBook.service, {
    // @ts-expect-error a stream, where one message is due
    *getFeature() {
      yield { name: 'a bridge' };
    },
  });
  mount(server, RouteBook.service, {
    // @ts-expect-error a message with a wrong field
    getFeature: () => ({ name: 1 }),
  });
  // @ts-expect-error no method answers with such a message
  mount(server, RouteBook, {}, heartbeat({ make: () => ({ alive: true }) }));
}
