export { compose } from './call/compose.ts';
export { only } from './call/only.ts';
export { type Counters, counters } from './counters.ts';
export { serverOptions } from './grpc-js/server-options.ts';
export { callOf } from './mounts/call-of.ts';
export { type Drainable, type DrainOnOptions, type DrainOptions, drain, drainOn } from './mounts/drain.ts';
export type { AnswerHandler, Handler, Mounted, MountedAnswer } from './mounts/handler.ts';
export { interceptor } from './mounts/interceptor.ts';
export { type Methods, type Mountable, mount, type Plain, plain } from './mounts/mount.ts';
export { produce } from './mounts/produce.ts';
export { wrap } from './mounts/wrap.ts';
export { configure } from './options.ts';
export { all, options } from './renamed.ts';
export type { ConfigureOptions } from './settings.ts';
export type { Stats, Wait } from './stats.ts';
export type { Detail } from './status/details.ts';
export { StatusError, type StatusErrorOptions } from './status/status.ts';
export type {
  Answer,
  AuthContext,
  Call,
  ConnectionInfo,
  EndReason,
  Items,
  Kind,
  Layer,
  Method,
  Middleware,
  ObservableLike,
  Outcome,
  ReadableStreamLike,
  Requests,
  Sink,
  Source,
} from './types.ts';
export { type Key, key, type Values } from './values.ts';
export { broadcast } from './wire/broadcast.ts';
