import { addTracing } from './add-tracing.ts';
import { authExample } from './auth.ts';
import { bufferedSender } from './buffered-sender.ts';
import type { Service, Showpiece } from './example.ts';
import { fetch } from './fetch.ts';
import { job } from './job.ts';
import { logs } from './logs.ts';
import { numbers } from './numbers.ts';
import { query } from './query.ts';
import { robustClient } from './robust-client.ts';
import { routeGuide } from './route-guide.ts';
import { streamService } from './stream-service.ts';
import { tail } from './tail.ts';
import { updates } from './updates.ts';
import { values } from './values.ts';
import { wrapExisting } from './wrap-existing.ts';

export const services: readonly Service[] = [numbers, fetch, logs, streamService, values, routeGuide];

/** The clients of the services, by name, with the port of each. */
export const clients: Readonly<Record<string, Showpiece & { readonly port: number }>> = {
  numbers,
  fetch,
  logs,
  updates: { ...updates, port: streamService.port },
  query: { ...query, port: streamService.port },
  job: { ...job, port: streamService.port },
  tail: { ...tail, port: streamService.port },
  values,
  'route-guide': routeGuide,
};

/** What brings its own server. */
export const showpieces: Readonly<Record<string, Showpiece>> = {
  wrap: wrapExisting,
  tracing: addTracing,
  auth: authExample,
  buffered: bufferedSender,
  robust: robustClient,
};
