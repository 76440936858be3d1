import type { ServerInterceptor } from '@grpc/grpc-js';
import { configure, interceptor, type Middleware } from '../../lib/index.ts';
import {
  type AnySource,
  definition,
  handWritten,
  type MountName,
  quiet,
  type Running,
  serve,
  start,
} from './harness.ts';
import { aborted } from './observe.ts';

/** Serves a source with interceptors of other people between it and the wire, on whatever mount. */
export function serveOver(
  below: ServerInterceptor[],
  on: MountName,
  source: AnySource,
  middleware: Middleware[],
): Promise<Running> {
  if (on !== 'interceptor') return serve(on, source, middleware, { interceptors: below });
  const { handler, tap } = handWritten(source);
  return start(server => server.addService(definition, { stream: handler }), {
    interceptors: [...below, interceptor(quiet, ...middleware, tap)],
  });
}

/** The mounts that pull a source themselves. */
export const pulling = ['produce', 'mount'] as const;

/** Yields twice, then waits until it is told to stop; says when its `finally` ran. */
export function parked(log: string[]): AnySource {
  return async function* (_request, { signal }) {
    try {
      yield 1;
      yield 2;
      await aborted(signal);
    } finally {
      log.push('finally');
    }
  };
}

/** Yields without end, and takes no notice of anything. */
export function endless(log: string[]): AnySource {
  return async function* () {
    try {
      for (let i = 0; ; i++) yield i;
    } finally {
      log.push('finally');
    }
  };
}

/** An iterator that a test drives, and that writes down what is asked of it. */
export class Probe implements AsyncIterableIterator<unknown> {
  readonly log: string[] = [];
  inFlight = 0;
  maxInFlight = 0;
  pulls = 0;

  constructor(private readonly step: (pull: number) => Promise<IteratorResult<unknown>>) {}

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<unknown>> {
    this.log.push('next');
    this.inFlight += 1;
    this.maxInFlight = Math.max(this.maxInFlight, this.inFlight);
    try {
      return await this.step(this.pulls++);
    } finally {
      this.inFlight -= 1;
    }
  }

  async return(): Promise<IteratorResult<unknown>> {
    this.log.push('return');
    return { done: true, value: undefined };
  }
}

/** An `onError` that keeps what it hears. */
export function hearing(errors: unknown[]): Middleware {
  return configure({ onError: error => void errors.push(error) });
}

export const messageOf = (error: unknown): string => (error as Error).message;

/** Takes one message at a time through: every message fills the window. */
export const narrow = configure({ maxUnackedMessages: 1 });
