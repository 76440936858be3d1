import { setTimeout as sleep } from 'node:timers/promises';
import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
} from '@grpc/grpc-js';
import { type Answer, type Call, type Method, type Requests, StatusError } from 'leat';
import { type Any, fill, type Header, headersOf, pack, packInfo, richStatus } from './protocol.ts';

/** What a request wants to be answered. */
interface Wanted {
  readonly responseHeaders: Header[];
  readonly responseTrailers: Header[];
  readonly responseData: Buffer[];
  readonly responseDelayMs: number;
  readonly error?: { code: number; message?: string; details: Any[] };
}

type WantedOnce = Omit<Wanted, 'responseData'> & { readonly responseData?: Buffer };

/** The end that a request wants, as each kind of handler says it in its own way. */
class Failure extends Error {
  constructor(
    readonly code: number,
    message: string,
    readonly details: Any[],
  ) {
    super(message);
  }
}

interface Asked {
  readonly metadata: Metadata;
  readonly deadline: Date | number | undefined;
}

function info({ metadata, deadline }: Asked, requests: Any[]): object {
  const left = Number(deadline ?? Infinity) - Date.now();
  const timeoutMs = Number.isFinite(left) ? { timeoutMs: String(Math.max(0, left)) } : {};
  return { requestHeaders: headersOf(metadata), requests, ...timeoutMs };
}

/** A failure says what was asked, unless a message did. */
function failure({ code, message = '', details }: NonNullable<Wanted['error']>, asked?: object): Failure {
  return new Failure(code, message, asked ? [...details, packInfo(asked)] : details);
}

/** The messages of a server stream, the first of which says what was asked. */
async function* answers(wanted: Wanted | undefined, asked: object): AsyncGenerator<object> {
  let requestInfo: object | undefined = asked;
  for (const data of wanted?.responseData ?? []) {
    if (wanted?.responseDelayMs) await sleep(wanted.responseDelayMs);
    yield { payload: { data, requestInfo } };
    requestInfo = undefined;
  }
  if (wanted?.error) throw failure(wanted.error, requestInfo);
}

type Prelude = Pick<Wanted, 'responseHeaders' | 'responseTrailers'>;

function begin(call: Call, wanted: Prelude | undefined): void {
  if (wanted === undefined) return;
  fill(call.header, wanted.responseHeaders);
  fill(call.trailer, wanted.responseTrailers);
  call.sendHeader();
}

function thrown(error: unknown): unknown {
  if (!(error instanceof Failure)) return error;
  const details = error.details.map(({ type_url, value }) => ({ typeUrl: type_url, value }));
  return new StatusError(error.code, error.message, { details });
}

async function* failing(messages: AsyncIterable<object>): AsyncGenerator<object> {
  try {
    yield* messages;
  } catch (error) {
    throw thrown(error);
  }
}

async function answered(call: Call, wanted: WantedOnce | undefined, requests: Any[]): Promise<object> {
  begin(call, wanted);
  const requestInfo = info(call, requests);
  if (wanted?.responseDelayMs) await sleep(wanted.responseDelayMs);
  if (wanted?.error) throw thrown(failure(wanted.error, requestInfo));
  return { payload: { data: wanted?.responseData, requestInfo } };
}

const unaryMethod =
  (type: string): Answer<any, any> =>
  (request, call: Call) =>
    answered(call, request.responseDefinition, [pack(type, request)]);

const source: Method<any, any> = (request, call: Call) => {
  const wanted: Wanted | undefined = request.responseDefinition;
  begin(call, wanted);
  return failing(answers(wanted, info(call, [pack('ServerStreamRequest', request)])));
};

const upload: Answer<Requests<any>, any> = async (requests, call: Call) => {
  const sent: any[] = [];
  for await (const request of requests) sent.push(request);
  const packed = sent.map(request => pack('ClientStreamRequest', request));
  return answered(call, sent[0]?.responseDefinition, packed);
};

const chat: Method<Requests<any>, any> = (requests, call: Call) =>
  failing(conversation(call, requests, wanted => begin(call, wanted)));

/** As one writes them with leat. */
export const methods = {
  unary: unaryMethod('UnaryRequest'),
  idempotentUnary: unaryMethod('IdempotentUnaryRequest'),
  serverStream: source,
  clientStream: upload,
  bidiStream: chat,
};

/** As one writes it with grpc-js. */
function statusOf({ code, message, details }: Failure, metadata: Metadata): object {
  if (details.length > 0)
    metadata.set('grpc-status-details-bin', richStatus.serialize({ code, message, details }));
  return { code, details: message, metadata };
}

type Writing =
  | Parameters<handleServerStreamingCall<any, any>>[0]
  | Parameters<handleBidiStreamingCall<any, any>>[0];

async function play(call: Writing, messages: AsyncIterable<object>, trailer: Metadata): Promise<void> {
  const next = (event: string) => new Promise(resolve => call.once(event, resolve));
  const gone = next('cancelled');
  try {
    for await (const message of messages) {
      if (call.cancelled) return;
      if (!call.write(message)) await Promise.race([gone, next('drain')]);
    }
    call.end(trailer);
  } catch (error) {
    if (call.cancelled) return;
    if (!(error instanceof Failure)) throw error;
    call.emit('error', statusOf(error, trailer));
  }
}

const serverStream: handleServerStreamingCall<any, any> = call => {
  const wanted: Wanted | undefined = call.request.responseDefinition;
  if (wanted) call.sendMetadata(fill(new Metadata(), wanted.responseHeaders));
  const asked = info({ metadata: call.metadata, deadline: call.getDeadline() }, [
    pack('ServerStreamRequest', call.request),
  ]);
  void play(call, answers(wanted, asked), fill(new Metadata(), wanted?.responseTrailers));
};

type Single = Parameters<handleUnaryCall<any, any>>[0] | Parameters<handleClientStreamingCall<any, any>>[0];

/** One message is answered, to one request or to many. */
async function reply(
  call: Single,
  wanted: WantedOnce | undefined,
  requests: Any[],
  callback: Parameters<handleUnaryCall<any, any>>[1],
): Promise<void> {
  const requestInfo = info({ metadata: call.metadata, deadline: call.getDeadline() }, requests);
  const trailer = fill(new Metadata(), wanted?.responseTrailers);
  if (wanted) call.sendMetadata(fill(new Metadata(), wanted.responseHeaders));
  if (wanted?.responseDelayMs) await sleep(wanted.responseDelayMs);
  if (call.cancelled) return;
  if (wanted?.error) callback(statusOf(failure(wanted.error, requestInfo), trailer));
  else callback(null, { payload: { data: wanted?.responseData, requestInfo } }, trailer);
}

function unary(type: string): handleUnaryCall<any, any> {
  return (call, callback) => {
    const { request } = call;
    void reply(call, request.responseDefinition, [pack(type, request)], callback);
  };
}

const clientStream: handleClientStreamingCall<any, any> = (call, callback) => {
  const requests: any[] = [];
  call.on('data', request => requests.push(request));
  call.on('error', () => {});
  call.on('end', () => {
    const packed = requests.map(request => pack('ClientStreamRequest', request));
    void reply(call, requests[0]?.responseDefinition, packed, callback);
  });
};

const bidiStream: handleBidiStreamingCall<any, any> = call => {
  const asked = { metadata: call.metadata, deadline: call.getDeadline() };
  const trailer = new Metadata();
  call.on('error', () => {});
  // Otherwise leaving the loop would be the end of the call.
  const requests = call.iterator({ destroyOnReturn: false });
  const messages = conversation(asked, requests, wanted => {
    fill(trailer, wanted?.responseTrailers);
    if (wanted) call.sendMetadata(fill(new Metadata(), wanted.responseHeaders));
  });
  void play(call, messages, trailer);
};

/** Answers each request, or all of them once they are here; what it has read so far goes with the next answer. */
async function* conversation(
  asked: Asked,
  requests: AsyncIterable<any>,
  begun: (wanted: Wanted | undefined) => void,
): AsyncGenerator<object> {
  let wanted: Wanted | undefined;
  let first: { fullDuplex: boolean } | undefined;
  let unsaid: Any[] = [];
  let sent = 0;
  const next = async () => {
    const requests = unsaid;
    const said = sent === 0 ? info(asked, requests) : requests.length > 0 ? { requests } : undefined;
    unsaid = [];
    if (wanted?.responseDelayMs) await sleep(wanted.responseDelayMs);
    return { payload: { data: wanted?.responseData[sent++], requestInfo: said } };
  };
  const more = () => sent < (wanted?.responseData.length ?? 0);
  for await (const request of requests) {
    if (first === undefined) {
      first = request as { fullDuplex: boolean };
      wanted = request.responseDefinition;
      begun(wanted);
    }
    unsaid.push(pack('BidiStreamRequest', request));
    if (!first.fullDuplex) continue;
    if (!more()) break;
    yield await next();
  }
  while (more()) yield await next();
  if (wanted?.error) throw failure(wanted.error, sent === 0 ? info(asked, unsaid) : undefined);
}

/** As one writes them with grpc-js. */
export const handlers = {
  unary: unary('UnaryRequest'),
  idempotentUnary: unary('IdempotentUnaryRequest'),
  serverStream,
  clientStream,
  bidiStream,
};
