/** `produce`, `wrap` and middleware with their types. Checked, never run. */
import type { handleServerStreamingCall, ServerInterceptor, ServerWritableStream } from '@grpc/grpc-js';
import {
  type Call,
  compose,
  configure,
  interceptor,
  type Method,
  type Middleware,
  only,
  produce,
  StatusError,
  wrap,
} from 'leat';
import { expectType } from './expect-type.ts';

interface Req {
  max: number;
}

interface Res {
  num: number;
}

type Handler = handleServerStreamingCall<Req, Res>;

export function produces(source: Method<Req, Res>, ofOthers: Method<Req, string>): void {
  const handler: Handler = produce(source);
  const inferred: Handler = produce(async function* (request, call) {
    expectType<Req>()(request);
    expectType<Call<Req>>()(call);
    yield { num: request.max };
  });
  const annotated: Handler = produce(function* ({ max }: Req) {
    yield { num: max };
  });
  // @ts-expect-error a message of another kind
  const wrongSource: Handler = produce(ofOthers);
  // @ts-expect-error a message with a wrong field
  const wrongMessage: Handler = produce(async function* () {
    yield { num: 'one' };
  });
  const wrongField: Handler = produce(async function* (request) {
    // @ts-expect-error the request has no such field
    yield { num: request.min };
  });
  // @ts-expect-error no source
  produce([1, 2, 3]);
  // @ts-expect-error no stream
  produce<Req, Res>(() => 5);
  void [handler, inferred, annotated, wrongSource, wrongMessage, wrongField];
}

export function wraps(handler: Handler): void {
  const wrapped: Handler = wrap(handler);
  const written: Handler = wrap((stream: ServerWritableStream<Req, Res>) => {
    stream.write({ num: stream.request.max });
  });
  const implementation = wrap({ listNumbers: handler, helper: () => 5 });
  expectType<Handler>()(implementation.listNumbers);
  // @ts-expect-error the implementation has no such method
  implementation.listNumbrs;
  // @ts-expect-error a handler of another message
  const wrong: handleServerStreamingCall<Req, string> = wrap(handler);
  // @ts-expect-error no handler
  wrap(5);
  void [wrapped, written, wrong];
}

export function middleware(source: Method<Req, Res>): void {
  const typed: Middleware<Req, Res> = (call, next) => {
    expectType<Req>()(call.request);
    return {
      message(message) {
        expectType<Res>()(message);
        next.message({ num: message.num + 1 });
      },
      end({ reason }) {
        // @ts-expect-error there is no such reason
        if (reason === 'done') call.trailer.set('x', reason);
      },
    };
  };
  produce(source, typed, configure({ maxUnackedMessages: 1 }));
  const ours: ServerInterceptor = interceptor(
    compose(
      typed,
      only(call => call.path === '/a/b', typed),
    ),
  );
  const wrong: Middleware<Req, Res> = (_call, next) => ({
    // @ts-expect-error a message of another kind
    message: () => next.message({ num: 'one' }),
  });
  // @ts-expect-error a layer has no such part
  const misspelt: Middleware<Req, Res> = () => ({ finish() {} });
  // @ts-expect-error a middleware of other messages
  produce(source, (() => ({ message(_: string) {} })) as Middleware<Req, string>);
  // @ts-expect-error there is no such option
  configure({ maxUnacked: 1 });
  // @ts-expect-error not a number
  configure({ maxUnackedBytes: '1' });
  // @ts-expect-error a code by its name
  new StatusError('NOT_FOUND', 'no');
  void [ours, wrong, misspelt];
}

export function readOnly(call: Call<Req>): void {
  // @ts-expect-error it is not ours to set
  call.path = '/a/b';
  // @ts-expect-error nor is this
  call.signal = AbortSignal.abort();
  call.header.set('x-header', '1');
}
