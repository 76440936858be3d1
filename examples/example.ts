import type { ParseArgsConfig } from 'node:util';
import type { Server } from '@grpc/grpc-js';

/** What every service of the examples is told. */
export interface Setting {
  /** By how much the tutorials' delays are divided. */
  readonly speed: number;
  /** Where the services write what they do. */
  readonly log: (line: string) => void;
  /** Tells those who watch the health of the service whether it can serve just now. */
  readonly serving?: (can: boolean) => void;
}

/** What to close once the server is down. */
export type Closer = () => unknown;

/** Something to show on the command line. */
export interface Showpiece {
  /** Its flags, for a usage line and for parsing. */
  readonly usage: string;
  readonly flags: NonNullable<ParseArgsConfig['options']>;
  show(run: Run): Promise<void>;
}

/** A service as it is in its tutorial. */
export interface Service {
  readonly service: string;
  /** The port it has there. */
  readonly port: number;
  /** Answers what to close once the server is down, if there is anything. */
  serve(server: Server, setting: Setting): Closer | void | Promise<Closer>;
}

/** A service, and the client that shows it. */
export interface Example extends Service, Showpiece {}

/** One run of an example's client. */
export interface Run {
  readonly address: string;
  readonly print: (line: string) => void;
  /** Prints what replaces the line before it. */
  readonly progress: (line: string) => void;
  text(flag: string): string;
  number(flag: string, min?: number): number;
  on(flag: string): boolean;
}
