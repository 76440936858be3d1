import { status } from '@grpc/grpc-js';
import { answerOf, isMessage } from '../hooks.ts';
import { TAKEN } from './body.ts';
import { END, EventPort, NO_EVENTS } from './events.ts';
import { callable, type WebMethod } from './method.ts';
import { jsonOfQuery, queryOf } from './query.ts';
import { Refusal } from './refusal.ts';
import { headerOf } from './transport.ts';
import type { Visit } from './visit.ts';

/** For this id alone: who asks without it, or with another, is to get the stream. */
const NO_MORE = { 'cache-control': 'no-store', vary: 'last-event-id' };

/** Answers a call by events: the request is the query, when there is one, and otherwise JSON in the body. */
export function callByEvents(
  visit: Visit,
  path: string,
  search: string | undefined,
  method: WebMethod | undefined,
): void {
  const { request, settings, timeoutMs } = visit;
  if (headerOf(request, 'last-event-id') === END) return visit.empty(204, NO_MORE);
  const refuse = (refusal: Refusal) => {
    visit.sever();
    new EventPort(visit, NO_EVENTS, settings).refuse(refusal);
  };
  const called = callable(path, method, visit.closing);
  if (called instanceof Refusal) return refuse(called);
  if (Number.isNaN(timeoutMs)) return visit.fail(400, 'Expected `grpc-timeout` to be a timeout');
  const { json } = called;
  if (json === undefined)
    return refuse(new Refusal(status.UNIMPLEMENTED, `${path} has no JSON: call it by gRPC-Web`));
  const { codec, encoding } = json;
  const start = (hook: string, decode: () => unknown) => {
    let decoded: unknown;
    try {
      decoded = decode();
    } catch (error) {
      return visit.fail(400, String((error as Error)?.message ?? error));
    }
    const message = answerOf(hook, 'a request', decoded, isMessage);
    const port = new EventPort(visit, encoding, settings);
    called.call(visit.origin, message, port);
  };
  visit.read(
    path,
    settings.maxRequestBytes,
    body => {
      if (search === undefined) start('fromJson', () => codec.fromJson(jsonOf(body)));
      else if (codec.fromQuery) start('fromQuery', () => codec.fromQuery?.(queryOf(search)));
      else start('fromJson', () => codec.fromJson(jsonOfQuery(queryOf(search))));
    },
    why => {
      if (why === 'too late') visit.fail(408, 'The request did not arrive in time');
      else if (why === 'taken') visit.fail(500, TAKEN);
      else visit.fail(413, `Expected a request of no more than ${settings.maxRequestBytes} bytes`);
    },
  );
}

/** A framework might have parsed it. */
function jsonOf(body: unknown): unknown {
  if (!Buffer.isBuffer(body) && typeof body !== 'string') return body;
  try {
    return JSON.parse(String(body));
  } catch {
    throw new TypeError('Expected the body to be JSON');
  }
}
