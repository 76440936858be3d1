export { broadcast } from './broadcast.ts';
export { compose, only } from './compose.ts';
export { type Counters, counters } from './counters.ts';
export type { Detail } from './details.ts';
export { type DrainOnOptions, type DrainOptions, drain, drainOn } from './drain.ts';
export { callOf } from './facade.ts';
export type { Handler, Mounted } from './handler.ts';
export { interceptor } from './interceptor.ts';
export { type Methods, mount, type Plain, plain } from './mount.ts';
export { type ConfigureOptions, configure } from './options.ts';
export { produce } from './produce.ts';
export { all, options } from './renamed.ts';
export { serverOptions } from './server-options.ts';
export type { Stats, Wait } from './stats.ts';
export { StatusError, type StatusErrorOptions } from './status.ts';
export type {
  Call,
  EndReason,
  Layer,
  Method,
  Middleware,
  ObservableLike,
  Outcome,
  ReadableStreamLike,
  Sink,
  Source,
} from './types.ts';
export { wrap } from './wrap.ts';
