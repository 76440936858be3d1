import type { Readable } from 'node:stream';
import type { Metadata } from '@grpc/grpc-js';
import type { Kind } from '../types.ts';
import { deframe } from './deframe.ts';
import { halfClosed } from './half-close.ts';
import { linkOf } from './ports.ts';

/** A call whose client streams. */
export type Incoming = Readable & { readonly metadata: Metadata };

/** Where requests go. */
export interface Receiver {
  take(request: unknown): void;
  end(): void;
}

/** Whether the client streams, by what a handler of that kind is called with. */
export function isRead(stream: object): stream is Incoming {
  return '_read' in stream;
}

/** The kind of a method, by how grpc-js calls its handler: one that answers once has a callback. */
export function kindOf(stream: object, callback: unknown): Kind {
  if (typeof callback === 'function') return isRead(stream) ? 'clientStream' : 'unary';
  return isRead(stream) ? 'bidi' : 'serverStream';
}

/** Asks the client for one more request. */
export function askOf(stream: Readable): void {
  stream._read(1);
}

/**
 * Takes what a client streams before it gets into the Readable that a handler is given, which ends its call when it
 * is not read to the end.
 */
export function receive(stream: Incoming, receiver: Receiver): void {
  const link = linkOf(stream);
  deframe(link);
  stream.push = request => {
    if (request === null) halfClosed(link, stream.metadata, () => receiver.end());
    else receiver.take(request);
    return true;
  };
}
