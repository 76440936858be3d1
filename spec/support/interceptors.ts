import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';

const later = (run: () => void) => setTimeout(run, 2);

const passing: ServerInterceptor = (_method, call) => new ServerInterceptingCall(call);

const metadata: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(call, { sendMetadata: (value, next) => void later(() => next(value)) });

const messages: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(call, { sendMessage: (value, next) => void later(() => next(value)) });

const statuses: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(call, { sendStatus: (value, next) => void later(() => next(value)) });

/** Overrides what it likes, and looks like nothing we know. */
const stranger: ServerInterceptor = (_method, call) => {
  class Stranger extends ServerInterceptingCall {
    override sendMessage(message: unknown, callback: () => void): void {
      later(() => super.sendMessage(message, callback));
    }
  }
  return new Stranger(call);
};

/** Interceptors of other people, between a handler and the wire. */
export const delayed: Record<string, () => ServerInterceptor[]> = {
  'with no interceptor': () => [],
  'with one that passes all': () => [passing],
  'with one that delays metadata': () => [metadata],
  'with one that delays messages': () => [messages],
  'with one that delays the status': () => [statuses],
  'with several': () => [passing, messages, metadata, passing],
  'with one of a kind we do not know': () => [stranger],
};
