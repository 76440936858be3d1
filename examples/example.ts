import type { ParseArgsConfig } from 'node:util';
import type { Server } from '@grpc/grpc-js';

/** What every service of the examples is told. */
export interface Setting {
  /** By how much the tutorials' delays are divided. */
  readonly speed: number;
  /** Where the services write what they do. */
  readonly log: (line: string) => void;
}

/** One tutorial: its service, and the client that shows it. */
export interface Example {
  /** Whose service it is, and the port it has in its tutorial. */
  readonly service: string;
  readonly port: number;
  serve(server: Server, setting: Setting): void;
  /** The flags of the client, for its usage line. */
  readonly usage: string;
  readonly flags: NonNullable<ParseArgsConfig['options']>;
  show(run: Run): Promise<void>;
}

/** One run of an example's client. */
export interface Run {
  readonly address: string;
  readonly print: (line: string) => void;
  text(flag: string): string;
  number(flag: string, min?: number): number;
  on(flag: string): boolean;
}
