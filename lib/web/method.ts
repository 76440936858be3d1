import { Writable } from 'node:stream';
import { type MethodDefinition, status } from '@grpc/grpc-js';
import { ServerCall } from '../call/call.ts';
import { compose } from '../call/compose.ts';
import { carryBy } from '../grpc-js/ports.ts';
import { answerOf } from '../hooks.ts';
import { type JsonCodec, jsonOf } from '../json.ts';
import { kindOfMethod } from '../kinds.ts';
import { type AnyHandler, partsOf } from '../mounts/handler.ts';
import { wrap } from '../mounts/wrap.ts';
import { answer } from '../run/answer.ts';
import { pump } from '../run/pump.ts';
import type { Answer, Kind, Method, Middleware } from '../types.ts';
import { type EventEncoding, eventsOf, textByCodec } from './events.ts';
import { protoJson } from './json/proto-json.ts';
import type { WebSettings } from './options.ts';
import type { WebOrigin } from './origin.ts';
import type { WebPort } from './port.ts';
import { Refusal } from './refusal.ts';

/** How a method reads requests and writes messages as events. */
interface Json {
  readonly codec: JsonCodec;
  readonly encoding: EventEncoding;
}

/** A method that was mounted for browsers. */
export class WebMethod {
  readonly path: string;
  readonly kind: Kind;
  /** Whether a GET may call it, which browsers send without being asked to. */
  readonly byGet: boolean;
  private readonly run: (origin: WebOrigin, request: unknown, port: WebPort) => void;
  private known: Json | false | undefined;

  constructor(
    readonly definition: MethodDefinition<unknown, unknown>,
    handler: AnyHandler,
    private readonly settings: WebSettings,
  ) {
    const { path, requestStream, responseStream } = definition;
    this.path = path;
    this.kind = kindOfMethod(requestStream, responseStream);
    this.byGet = responseStream || isSafe(definition);
    const { method, middleware } = partsOf(handler) ?? { middleware: [] };
    this.run = method ? byMethod(method, middleware, this.kind) : byHandler(handler, this.kind);
  }

  /** Whether its clients stream, which browsers cannot. */
  get streamed(): boolean {
    return this.definition.requestStream;
  }

  /** Calls it. */
  call(origin: WebOrigin, request: unknown, port: WebPort): void {
    port.lasting = this.definition.responseStream;
    this.run(origin, request, port);
  }

  /** Its JSON, made when the first page asks for it; nothing when there is none, which its developer is told once. */
  get json(): Json | undefined {
    if (this.known !== undefined) return this.known || undefined;
    const { definition, settings } = this;
    const given = settings.json?.(definition) ?? jsonOf(definition);
    const own = answerOf('json', CODEC, given, isCodec);
    const proto = own ? undefined : protoJson(definition);
    const codec = own ?? proto;
    const toText = proto?.toText ?? (message => textByCodec(own as JsonCodec, message));
    this.known = codec !== undefined && { codec, encoding: eventsOf(toText, settings.token) };
    if (this.known) return this.known;
    const what = `Expected the definition of \`${this.path}\` to have JSON, as one of proto-loader has`;
    console.error('leat:', new TypeError(`${what}: give \`json\` to \`web\``));
    return undefined;
  }
}

const CODEC = 'a codec, `{ fromJson, toJson }` and maybe `fromQuery`, all functions, or nothing';

function isCodec(answer: unknown): answer is JsonCodec | undefined {
  if (answer === undefined) return true;
  const { fromJson, fromQuery, toJson } = Object(answer) as Record<string, unknown>;
  const others = fromQuery === undefined || typeof fromQuery === 'function';
  return typeof fromJson === 'function' && typeof toJson === 'function' && others;
}

/** The method that is to be called, or why none is, whichever way it was asked for. */
export function callable(path: string, method: WebMethod | undefined, closing: boolean): WebMethod | Refusal {
  if (method === undefined)
    return new Refusal(status.UNIMPLEMENTED, `The server does not implement the method ${path}`);
  if (method.streamed)
    return new Refusal(
      status.UNIMPLEMENTED,
      `Browsers cannot stream requests, which ${path} reads: call it by gRPC`,
    );
  return closing ? new Refusal(status.UNAVAILABLE, 'the server is shutting down') : method;
}

/** As its definition says, where that tells. */
function isSafe(definition: object): boolean {
  const { options } = definition as { options?: { idempotency_level?: unknown } };
  return options?.idempotency_level === 'NO_SIDE_EFFECTS' || options?.idempotency_level === 1;
}

function byMethod(
  method: Method<any, any> | Answer<any, any>,
  middleware: readonly Middleware[],
  kind: Kind,
): WebMethod['run'] {
  const layers = compose(...middleware);
  return (origin, request, port) => {
    const call = new ServerCall(origin, request, port, kind);
    port.left = () => call.clientLeft();
    call.begin(layers, () => {
      if (kind === 'unary') answer(call, method as Answer<any, any>);
      else void pump(call, method as Method<any, any>);
      port.started();
    });
  };
}

const nobody = (): void => {};

/** A handler of grpc-js gets what it knows: a Writable that also tells of its call. */
function byHandler(handler: AnyHandler, kind: Kind): WebMethod['run'] {
  const wrapped = partsOf(handler)?.wrapped ? handler : (wrap(handler as never) as AnyHandler);
  return (origin, request, port) => {
    const { metadata, peer } = origin;
    const stream = Object.assign(new Writable({ objectMode: true }), {
      ...{ metadata, request, cancelled: false, getPeer: () => peer },
      getPath: () => origin.getPath(),
      getHost: () => origin.getHost(),
      getDeadline: () => origin.getDeadline(),
      getAuthContext: () => origin.getAuthContext(),
      getConnectionInfo: () => origin.connectionInfo,
      getMetricsRecorder: () => ({}),
    });
    carryBy(stream, port);
    stream.on('error', nobody);
    port.left = () => {
      stream.cancelled = true;
      stream.emit('cancelled', 'cancelled');
    };
    wrapped(stream, kind === 'unary' ? nobody : undefined);
    port.started();
  };
}
