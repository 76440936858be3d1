import { expected } from '../check.ts';
import type { Sink } from '../types.ts';
import { copyOf } from './copy.ts';
import { bytesOf, PREFIX_BYTES, putFrame } from './frame.ts';
import type { Serialize } from './port.ts';

interface Encoding {
  serialize?: Serialize;
  frame?: Buffer;
  /** For those that encode it in another way: a browser reads JSON. */
  others?: Map<Serialize, Buffer>;
  /** The message never changes. */
  readonly lasting: boolean;
}

const encodings = new WeakMap<object, Encoding>();
/** Whether there ever was one: a look at the map costs each message some nanoseconds. */
let marked = false;

/**
 * Marks a message that goes to many calls: it is encoded once for all of them, and must not change any more.
 * For calls with an interceptor of somebody else below, grpc-js encodes it each time.
 *
 * @example
 * const update = broadcast({ topic: 'orders', message: 'shipped' });
 * for (const subscriber of subscribers) subscriber.push(update);
 * @throws TypeError when the message is no object.
 */
export function broadcast<T extends object>(message: T): T {
  if (typeof message !== 'object' || message === null) throw expected('message', 'an object', message);
  mark(message, true);
  return message;
}

/** For a message that goes to many calls now, and may go again after it was changed, unless `broadcast` marked it. */
export function broadcastAnew(message: object): void {
  mark(message, false);
}

/** For a message that may go to many calls later: nothing is kept for one that nobody gets. */
export function broadcastLater(message: object): void {
  if (encodings.has(message)) mark(message, false);
}

/** Marks such a message when it goes to a call, unless it went to one before. */
export function broadcastOnce(message: unknown): void {
  if (typeof message === 'object' && message !== null && !encodings.has(message)) mark(message, false);
}

function mark(message: object, lasting: boolean): void {
  marked = true;
  if (!encodings.get(message)?.lasting) encodings.set(message, { lasting });
}

/**
 * The object that the layers of a call may change: a copy, if the message goes to other calls as well. A message that
 * `broadcast` marked is not copied: nobody may change it.
 */
export function ownOf<T>(message: T): T {
  const shared = marked ? encodings.get(message as object) : undefined;
  return shared === undefined || shared.lasting ? message : copyOf(message);
}

/** The frame of a message that goes to many calls; nothing for others. */
export function sharedFrame(message: unknown, serialize: Serialize): Buffer | undefined {
  const shared = marked ? encodings.get(message as object) : undefined;
  if (shared === undefined) return undefined;
  if (shared.serialize === serialize) return shared.frame;
  const known = shared.others?.get(serialize);
  if (known) return known;
  const frame = keptFrame(bytesOf(serialize(message)));
  if (shared.frame === undefined) {
    shared.frame = frame;
    shared.serialize = serialize;
  } else {
    shared.others ??= new Map();
    shared.others.set(serialize, frame);
  }
  return frame;
}

/** A frame in memory of its own: one that is kept would keep a whole pool. */
function keptFrame(bytes: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafeSlow(PREFIX_BYTES + bytes.byteLength);
  putFrame(frame, 0, bytes);
  return frame;
}

/** The way of messages into layers, which may change them. */
export class Owned implements Pick<Sink<unknown>, 'message'> {
  constructor(private readonly layers: Pick<Sink<unknown>, 'message'>) {}

  message(message: unknown): void {
    this.layers.message(ownOf(message));
  }
}
