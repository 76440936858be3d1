import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
} from '@grpc/grpc-js';
import type { Answer, Method, Middleware } from '../types.ts';

/** A handler of whichever kind. */
export type AnyHandler = (stream: any, callback?: any) => unknown;

/** What a handler of ours was made of, so that another mount can take it apart again. */
export interface Made<M = Method<any, any> | Answer<any, any>> {
  readonly method?: M;
  readonly wrapped?: AnyHandler;
  readonly middleware: readonly Middleware[];
  /** Those of the middleware that stand on this handler by name, and not on all of an implementation. */
  readonly named: readonly Middleware[];
}

const made: unique symbol = Symbol.for('leat.handler') as never;

/** A handler that `produce` or `wrap` made; `mount` takes it where it takes a method that yields. */
export interface Mounted<Req, Res> {
  readonly [made]: Made<Method<Req, Res>>;
}

/** The same, where a method answers with one message. */
export interface MountedAnswer<Req, Res> {
  readonly [made]: Made<Answer<Req, Res>>;
}

/** What one client sends, when it streams. */
type Item<Req> = Req extends AsyncIterable<infer Item> ? Item : never;

/** A handler for server-streaming methods, and for bidirectional ones when its method takes `Requests`. */
export type Handler<Req, Res> = handleServerStreamingCall<Req, Res> &
  handleBidiStreamingCall<Item<Req>, Res> &
  Mounted<Req, Res>;

/** A handler for unary methods, and for those with client streaming when its method takes `Requests`. */
export type AnswerHandler<Req, Res> = handleUnaryCall<Req, Res> &
  handleClientStreamingCall<Item<Req>, Res> &
  MountedAnswer<Req, Res>;

export function mark(handler: AnyHandler, parts: Made): AnyHandler {
  return Object.assign(handler, { [made]: parts });
}

export function partsOf(handler: unknown): Made | undefined {
  return (handler as { [made]?: Made })[made];
}

/** A generator is never a handler: whoever calls it gets what nobody would read. */
export function isGenerator(value: object): boolean {
  return /^(Async)?GeneratorFunction$/.test(Reflect.get(value, Symbol.toStringTag));
}
