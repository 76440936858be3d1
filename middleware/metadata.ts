/**
 * Headers and trailers of every call: fixed, computed for the call, or telling how it went.
 * @module
 */

import type { Metadata } from '@grpc/grpc-js';
import { checkBoolean, checkOptions, expected, isPlain } from '../lib/check.ts';
import { answerOf } from '../lib/hooks.ts';
import { once } from '../lib/inside.ts';
import { makes, middleware } from '../lib/made.ts';
import { ResponseMetadata } from '../lib/status/metadata.ts';
import type { Call, Layer, Middleware, Outcome } from '../lib/types.ts';

/** One value: bytes under a name that ends in `-bin`, printable ASCII under any other. */
export type MetadataEntry = string | number | bigint | Uint8Array;

/** What a header or trailer is set to: a list is sent in its order, and nothing for `undefined`. */
export type MetadataContent = MetadataEntry | readonly MetadataEntry[] | undefined;

/** A call that is about to end, as its trailers may describe it. */
export interface Ending {
  /** The call itself. */
  readonly call: Call;
  /** How it ends. */
  readonly outcome: Outcome;
  /** Messages sent, after all that the layers made of them. */
  readonly messages: number;
  /** Their encoded size; `undefined` where an interceptor of somebody else hides it. */
  readonly bytes: number | undefined;
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
}

/** What is sent as headers, and as trailers. */
export interface MetadataOptions {
  /** Headers by name; a function is asked when the call is about to start. */
  readonly header?: Readonly<Record<string, MetadataContent | ((call: Call) => MetadataContent)>>;
  /** Trailers by name; a function is asked when the call ends, however it ends. */
  readonly trailer?: Readonly<Record<string, MetadataContent | ((ending: Ending) => MetadataContent)>>;
  /**
   * Sends the headers as soon as the source was started, and not only with the first message. What the source
   * sets before its first `await` is still in time.
   * @default false
   */
  readonly flush?: boolean;
}

/**
 * Sets headers and trailers. One that is already there is replaced, so that the source has the last word on
 * fixed trailers and on headers, and the outermost middleware on computed trailers. Listed before `batch()`, it
 * counts also the messages that go out at the end. A function that throws, or answers with a promise, fails the
 * call, as any layer does. One that stands on several mounts of a call sets them once, on the outermost.
 *
 * @example
 * metadata({
 *   header: { 'x-served-by': 'eu-1', 'x-request-id': call => call.metadata.get('x-request-id')[0] },
 *   trailer: { 'x-count': ({ messages }) => messages, 'x-took-ms': ({ durationMs }) => Math.ceil(durationMs) },
 *   flush: true,
 * });
 * @throws TypeError when a name is reserved or illegal, or a fixed value cannot be sent under its name.
 */
export function metadata(options: MetadataOptions = {}): Middleware {
  checkOptions(options, ['header', 'trailer', 'flush']);
  const { header = {}, trailer = {}, flush = false } = options;
  checkBoolean('flush', flush);
  const headers = checkFields('header', header);
  const trailers = checkFields('trailer', trailer);
  const fixed = trailers.filter(([, value]) => typeof value !== 'function');
  const computed = trailers.filter(([, value]) => typeof value === 'function');
  return middleware(function metadata(call) {
    if (!once(call, metadata)) return;
    const layer: Layer<unknown> = {};
    if (headers.length) put('header', call.header, headers, call);
    if (fixed.length) put('trailer', call.trailer, fixed, undefined);
    if (flush)
      layer.start = next => {
        next();
        call.sendHeader();
      };
    if (computed.length) {
      const { stats } = call;
      layer.end = outcome => put('trailer', call.trailer, computed, ending(call, outcome, stats));
    }
    return layer;
  });
}

makes(metadata);

type Field = readonly [name: string, value: MetadataContent | ((about: any) => MetadataContent)];

/** The fields as a list, once it is known that they may be sent. */
function checkFields(kind: 'header' | 'trailer', fields: object): Field[] {
  // What a Map or a grpc.Metadata has is no property of it.
  if (!isPlain(fields)) throw expected(kind, 'an object of names and values', fields);
  const list = Object.entries(fields) as Field[];
  const trial = new ResponseMetadata(kind);
  for (const [name, value] of list) {
    if (typeof value !== 'function') checkContent(`${kind}.${name}`, value);
    const sample = name.endsWith('-bin') ? Buffer.alloc(0) : '';
    try {
      put(kind, trial, [[name, typeof value === 'function' ? sample : value]], undefined);
    } catch (error) {
      if (error instanceof TypeError) throw error;
      throw new TypeError((error as Error).message, { cause: error });
    }
  }
  return list;
}

const CONTENT = 'text, a number, bytes or a list of these';

function checkContent(name: string, content: unknown): void {
  if (content === undefined) return;
  for (const entry of Array.isArray(content) ? content : [content])
    if (!isEntry(entry)) throw expected(name, CONTENT, entry);
}

function isContent(content: unknown): content is MetadataContent {
  if (Array.isArray(content)) return content.every(isEntry);
  return content === undefined || isEntry(content);
}

function isEntry(entry: unknown): entry is MetadataEntry {
  return ['string', 'number', 'bigint'].includes(typeof entry) || entry instanceof Uint8Array;
}

function put(kind: 'header' | 'trailer', metadata: Metadata, fields: readonly Field[], about: unknown): void {
  for (const [name, value] of fields) {
    const content =
      typeof value === 'function' ? answerOf(`${kind}.${name}`, CONTENT, value(about), isContent) : value;
    if (content === undefined) continue;
    const [first, ...more] = Array.isArray(content) ? content : [content];
    if (first !== undefined) metadata.set(name, sendable(first, kind, name));
    for (const entry of more) metadata.add(name, sendable(entry, kind, name));
  }
}

/** Metadata itself does not say which value of which name it refuses. */
function sendable(entry: MetadataEntry, kind: string, name: string): string | Buffer {
  const binary = name.toLowerCase().endsWith('-bin');
  const sent = entry instanceof Uint8Array ? Buffer.from(entry) : String(entry);
  if (typeof sent === 'string' ? !binary && /^[ -~]*$/.test(sent) : binary) return sent;
  throw expected(`${kind}.${name}`, binary ? 'bytes, as it ends in `-bin`' : 'printable ASCII', entry);
}

function ending(call: Call, outcome: Outcome, stats: Call['stats']): Ending {
  const { messages, bytes, startedAt } = stats;
  return { call, outcome, messages, bytes, durationMs: performance.now() - startedAt };
}
