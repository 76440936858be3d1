import type { ServerWritableStream } from '@grpc/grpc-js';
import type { Reply, TestClient } from './client.ts';
import type { Item } from './service.ts';

/** What a source has of its call, in the way of each column. */
export interface Tools {
  readonly signal: AbortSignal;
  header(key: string, value: string): void;
  trailer(key: string, value: string): void;
  sendHeader(): void;
  /** A status that is meant for the client. */
  status(code: number, details: string): Error;
}

/** Wrong ones are among them. */
export type Source = (tools: Tools) => unknown;
export type Handler = (call: ServerWritableStream<object, Item>) => unknown;

/** One situation: what is served, what its client does, and what is right then. */
export interface Row {
  /** Goes on from "A server whose method" or "A client that". */
  readonly name: string;
  /** What is served; none where only a handler can do this. */
  readonly source?: Source;
  /** What a handler does that stands for the source; a careful one reads the source unless this is given. */
  readonly handler?: Handler;
  /** Reads one call to its end unless given. Throws `Wrong` where something is. */
  readonly client?: (client: TestClient) => Promise<Reply | Reply[] | void>;
  /** The statuses that are right for what the client returns. */
  readonly status?: readonly number[];
  /** How many messages come before the status. */
  readonly messages?: number;
  /** The process is told to end, and has to. */
  readonly exits?: boolean;
  /** A connection that answers no ping for half a second is to be closed. */
  readonly keepalive?: boolean;
  /** A logger that throws is called at the end of each call, by the means of the column. */
  readonly logs?: boolean;
  /** Where there is no such thing, and why. */
  readonly without?: Partial<Record<Column, string>>;
}

export const columns = ['bare', 'nice-grpc', 'connect-node', 'mount', 'wrap', 'interceptor'] as const;
export type Column = (typeof columns)[number];

/** Whether a column has what a row is about. */
export function applies(row: Row, column: Column): boolean {
  if (row.without?.[column] !== undefined) return false;
  return row.source !== undefined || ['bare', 'wrap', 'interceptor'].includes(column);
}

/** A reason for `fails`, as the table has it. */
export class Wrong extends Error {}

export function must(holds: boolean, reason: string): void {
  if (!holds) throw new Wrong(reason);
}

/** Stands in errors that no client may read. */
export const SECRET = '/etc/shadow of db-7';

export const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

/** Waits until the call is over, and no longer. */
export function parked({ signal }: Tools): Promise<never> {
  return new Promise((_, reject) => {
    const leave = () => reject(signal.reason);
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
  });
}

export const LARGEST: number = 256 * 1024;
export const filling: Buffer = Buffer.alloc(16 * 1024);
