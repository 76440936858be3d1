export { broadcast } from './broadcast.ts';
export { all, only } from './compose.ts';
export { type Counters, counters } from './counters.ts';
export type { Detail } from './details.ts';
export { type DrainOnOptions, type DrainOptions, drain, drainOn } from './drain.ts';
export { callOf } from './facade.ts';
export type { Handler, Mounted } from './handler.ts';
export { interceptor } from './interceptor.ts';
export { mount, type Plain, plain, type Sources } from './mount.ts';
export { type Options, options } from './options.ts';
export { produce } from './produce.ts';
export { serverOptions } from './server-options.ts';
export type { Stats, Wait } from './stats.ts';
export { StatusError, type StatusErrorOptions } from './status.ts';
export type {
  Call,
  EndReason,
  Layer,
  Middleware,
  ObservableLike,
  Outcome,
  ReadableStreamLike,
  Sink,
  Source,
  Stream,
} from './types.ts';
export { wrap } from './wrap.ts';
