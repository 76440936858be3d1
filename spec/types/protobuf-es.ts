/** Definitions of protobuf-es v2, typed end to end. Checked, never run. */
import type { DescService } from '@bufbuild/protobuf';
import { anyPack, type Timestamp, timestampNow } from '@bufbuild/protobuf/wkt';
import { credentials, makeGenericClientConstructor, type Server } from '@grpc/grpc-js';
import { type Call, type Methods, mount, produce, type Requests } from 'leat';
import { subscribe } from 'leat/client';
import { clientClass, type Definition, definition } from 'leat/protobuf-es';
import {
  type Area,
  type Feature,
  type Note,
  type Point,
  PointSchema,
  RouteBook,
  type Summary,
  Surface,
} from '../generators/protobuf-es/route_book_pb.ts';
import { expectType } from './expect-type.ts';

export function inMount(server: Server, point: Point, feature: Feature): void {
  mount(server, definition(RouteBook), {
    getFeature(request, call) {
      expectType<Point>()(request);
      expectType<Call<Point>>()(call);
      expectType<bigint>()(request.latitudeE7);
      return {
        name: 'a bridge',
        location: { latitudeE7: 1n },
        surface: Surface.GRAVEL,
        origin: { case: 'satelliteId', value: 7n },
        seenAt: timestampNow(),
        extra: anyPack(PointSchema, point),
        visits: { may: 1n },
      };
    },
    async *listFeatures({ low, high }) {
      expectType<Point | undefined>()(low);
      yield { name: `${high?.latitudeE7}` };
      yield feature;
      yield {};
    },
    async recordRoute(points, { request }) {
      expectType<Requests<Point>>()(points);
      expectType<Requests<Point>>()(request);
      let pointCount = 0n;
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
  const methods: Methods<Definition<typeof RouteBook>> = { recordRoute: async () => ({ pointCount: 1n }) };
  mount(server, definition(RouteBook), methods);
  mount(server, clientClass(RouteBook), {
    *listFeatures(area) {
      expectType<Area>()(area);
      yield { surface: Surface.GRAVEL };
    },
  });
  server.addService(definition(RouteBook), {
    listFeatures: produce(function* ({ low }: Area) {
      yield { name: `${low?.latitudeE7}` };
    }),
  });
  makeGenericClientConstructor(definition(RouteBook), RouteBook.typeName);

  mount(server, definition(RouteBook), {
    // @ts-expect-error int64 is bigint
    recordRoute: async () => ({ pointCount: 1 }),
  });
  mount(server, definition(RouteBook), {
    // @ts-expect-error a message of another type
    getFeature: () => point,
  });
  mount(server, definition(RouteBook), {
    // @ts-expect-error a case that the oneof has not
    getFeature: () => ({ origin: { case: 'satellite', value: 7n } }),
  });
  mount(server, definition(RouteBook), {
    // @ts-expect-error a stream, where one message is due
    *getFeature() {
      yield { name: 'a bridge' };
    },
  });
  mount(server, definition(RouteBook), {
    // @ts-expect-error one message, where a stream is due
    listFeatures: async () => ({ name: 'a bridge' }),
  });
  mount(server, definition(RouteBook), {
    // @ts-expect-error the request has no such field
    recordRoute: async ({ latitudeE7 }) => ({ pointCount: latitudeE7 }),
  });
  mount(server, definition(RouteBook), {
    // @ts-expect-error the service has no such method
    async *listFeature() {},
  });
  // @ts-expect-error the descriptor itself: it goes in by `definition`
  mount(server, RouteBook, {});
  // @ts-expect-error no service
  definition(PointSchema);
}

export async function client(address: string): Promise<void> {
  const RouteBookClient = clientClass(RouteBook);
  const book = new RouteBookClient(address, credentials.createInsecure());
  book.getFeature({ latitudeE7: 1n }, (error, feature) => {
    expectType<string | undefined>()(error?.details);
    expectType<Feature | undefined>()(feature);
    expectType<Timestamp | undefined>()(feature?.seenAt);
  });
  for await (const feature of book.listFeatures({ low: { latitudeE7: 1n } })) expectType<any>()(feature);
  const route = book.recordRoute((_error, summary) => expectType<Summary | undefined>()(summary));
  route.write({ longitudeE7: 2n });
  const chat = book.routeChat();
  chat.write({ textLine: 'hello' });
  const features = subscribe(book, 'listFeatures', { high: { latitudeE7: 1n } });
  for await (const feature of features) expectType<Feature>()(feature);

  // @ts-expect-error int64 is bigint
  book.listFeatures({ low: { latitudeE7: 1 } });
  // @ts-expect-error a message of another type
  chat.write({ text: 'hello' });
  // @ts-expect-error the service has no such method
  book.listFeature({});
}

/** One that is only known when it runs, as from a registry. */
export function anonymous(server: Server, service: DescService): void {
  mount(server, definition(service), {
    *listNumbers({ max }) {
      for (let num = 1; num <= max; num++) yield { num };
    },
  });
}
