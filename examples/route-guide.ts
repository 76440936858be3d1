import { setTimeout as wait } from 'node:timers/promises';
import { credentials, type requestCallback } from '@grpc/grpc-js';
import { mount } from 'leat';
import { subscribe } from 'leat/client';
import type { Feature } from '../proto/generated/routeguide/Feature.ts';
import type { Point } from '../proto/generated/routeguide/Point.ts';
import type { RouteNote } from '../proto/generated/routeguide/RouteNote.ts';
import type { RouteSummary } from '../proto/generated/routeguide/RouteSummary.ts';
import type { Example } from './example.ts';
import { routeguide } from './protos.ts';
import { retrying } from './retrying.ts';
import { metresBetween } from './route-guide/distance.ts';
import { featureAt, featuresWithin } from './route-guide/features.ts';
import { Notes } from './route-guide/notes.ts';

const MAX_INT32 = 2 ** 31 - 1;

/** The service of the gRPC tutorials, which has one method of each kind. */
export const routeGuide: Example = {
  service: 'routeguide.RouteGuide',
  port: 50051,

  serve(server) {
    const notes = new Notes();
    mount(server, routeguide.RouteGuide.service, {
      getFeature: point => featureAt(point) ?? { location: point },

      listFeatures: rectangle => featuresWithin(rectangle),

      async recordRoute(points) {
        const started = performance.now();
        const summary = { pointCount: 0, featureCount: 0, distance: 0, elapsedTime: 0 };
        let last: Point | undefined;
        for await (const point of points) {
          summary.pointCount += 1;
          if (featureAt(point)) summary.featureCount += 1;
          if (last) summary.distance = Math.min(summary.distance + metresBetween(last, point), MAX_INT32);
          last = point;
        }
        return { ...summary, elapsedTime: Math.trunc((performance.now() - started) / 1000) };
      },

      async *routeChat(said) {
        for await (const note of said) yield* notes.leave(note);
      },
    });
  },

  usage: '[--points N]',
  flags: { points: { type: 'string', default: '5' } },
  async show({ address, print, number }) {
    const client = new routeguide.RouteGuide(address, credentials.createInsecure());
    const options = () => ({ deadline: Date.now() + 10_000 });

    for (const point of [
      { latitude: 409146138, longitude: -746188906 },
      { latitude: 0, longitude: 0 },
    ]) {
      const { name } = await answer<Feature>(done => client.getFeature(point, options(), done));
      print(`${point.latitude}, ${point.longitude}: ${name || 'nothing'}`);
    }

    const corners = {
      lo: { latitude: 409000000, longitude: -747000000 },
      hi: { latitude: 410000000, longitude: -745000000 },
    };
    for await (const { name } of subscribe(client, 'listFeatures', corners, retrying(print)))
      if (name) print(`within: ${name}`);

    const summary = await answer<RouteSummary>(async done => {
      const route = client.recordRoute(options(), done);
      for (let left = number('points'); left > 0; left--) {
        route.write({ latitude: 400000000 + left * 1000000, longitude: -740000000 });
        await wait(20);
      }
      route.end();
    });
    print(`route: ${summary.pointCount} points, ${summary.distance} metres`);

    const chat = client.routeChat(options());
    for (const note of notesToSend()) chat.write(note);
    chat.end();
    for await (const { message, location } of chat as AsyncIterable<RouteNote>)
      print(`note at ${location?.latitude}, ${location?.longitude}: ${message}`);
    client.close();
  },
};

/** What a client of grpc-js gives to a callback. */
function answer<T>(call: (done: requestCallback<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) =>
    call((error, answer) => (error ? reject(error) : resolve(answer as T))),
  );
}

function* notesToSend(): Generator<RouteNote> {
  for (const message of ['first', 'second', 'third'])
    yield { location: { latitude: 0, longitude: message.length }, message };
}
