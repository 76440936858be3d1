import { types } from 'node:util';
import { status } from '@grpc/grpc-js';
import type { ServerCall } from '../call/call.ts';
import { isThenable, show } from '../check.ts';
import { counts } from '../counters.ts';
import { NO_ANSWER } from '../kinds.ts';
import { outcomeOf, StatusError } from '../status/status.ts';
import { isStream, iterate } from '../streams/open.ts';
import type { Answer } from '../types.ts';
import { hinted, missesCallback, withHint } from './hint.ts';

/** Has a method answer its call with one message, and the status after that. */
export function answer<Req, Res>(call: ServerCall<Req>, method: Answer<Req, Res>): void {
  // Nothing was sent yet: only a layer can hold the answer.
  const hold = call.layer.ready && call.gate.admit();
  if (hold === undefined) run(call, method);
  else void answerLater(hold, call, method);
}

/** A layer holds what is about to be pulled. */
async function answerLater<Req, Res>(
  hold: Promise<void>,
  call: ServerCall<Req>,
  method: Answer<Req, Res>,
): Promise<void> {
  await hold;
  if (call.open) answer(call, method);
}

function run<Req, Res>(call: ServerCall<Req>, method: Answer<Req, Res>): void {
  try {
    const given = method(call.view.request, call.view);
    if (isThenable(given)) wait(call, method, given as PromiseLike<Res>);
    else send(call, method, given as Res);
  } catch (error) {
    failed(call, method, error);
  }
}

/** A call that is over while its method still works watches that. */
function wait<Req, Res>(call: ServerCall<Req>, method: Answer<Req, Res>, given: PromiseLike<Res>): void {
  call.producer = { released: () => call.watch(given) };
  const settled = () => {
    call.producer = undefined;
  };
  given.then(
    message => {
      settled();
      send(call, method, message);
    },
    error => {
      settled();
      failed(call, method, error);
    },
  );
  if (!call.open) call.watch(given);
}

function send<Req, Res>(call: ServerCall<Req>, method: Answer<Req, Res>, message: Res): void {
  let mistake: TypeError | undefined;
  try {
    mistake = mistakeIn(message);
  } catch (error) {
    // A message may throw when it is looked at.
    return failed(call, method, error);
  }
  if (mistake) mistaken(call, mistake);
  else if (call.open) {
    call.messages.message(message);
    if (call.open) void call.sourceDone();
  } else counts.lateMessages += 1;
}

function failed<Req, Res>(call: ServerCall<Req>, method: Answer<Req, Res>, error: unknown): void {
  if (!call.open) {
    if (!call.notice.isAbort(error)) call.report(error);
  } else if (missesCallback(error, method)) mistaken(call, withHint(error));
  else void call.sourceThrew(hinted(error));
}

/** The developer's mistake, which the client is told less of. */
function mistaken<Req>(call: ServerCall<Req>, mistake: TypeError): void {
  call.report(mistake);
  if (call.open) call.end(outcomeOf(new StatusError(status.INTERNAL, NO_ANSWER, { cause: mistake })));
}

/** What is no message. A stream is closed again: nobody else would. */
export function mistakeIn(message: unknown, ways: Ways = RETURNS): TypeError | undefined {
  if (message === undefined || message === null)
    return new TypeError(`Expected ${ways.does} a message, got ${show(message)}${ways.hint}`);
  if (types.isNativeError(message))
    return new TypeError(`Expected ${ways.does} a message, got ${show(message)}: ${ways.fails}`, {
      cause: message,
    });
  // Bytes are a message of some codecs.
  if (message instanceof Uint8Array || !isStream(message)) return undefined;
  try {
    const closed = iterate(message).return?.();
    if (isThenable(closed)) closed.then(undefined, () => {});
  } catch {
    // It is refused in any case.
  }
  return new TypeError(`Expected ${ways.does} one message, got a stream, ${show(message)}`);
}

/** How one answers, and what is said to who did not. */
interface Ways {
  readonly does: string;
  readonly hint: string;
  readonly fails: string;
}

const RETURNS: Ways = {
  does: 'a method that answers once to return',
  hint: '; a handler of grpc-js goes in by `wrap(handler)`',
  fails: 'an error is thrown',
};

export const CALLS_BACK: Ways = {
  does: 'a handler to call back with',
  hint: '',
  fails: 'an error comes first, `callback(error)`',
};
