import { status } from '@grpc/grpc-js';
import { drain, type EndReason, type Middleware, StatusError } from '../../lib/index.ts';
import { type AnySource, type Calling, type MountName, type Running, serve, until } from './harness.ts';
import { rawCall } from './raw.ts';

/** One way that a call can end, and what its span must say. */
export interface Scenario {
  readonly source: AnySource;
  /** What the span must say; where a client reads a status, it is the same. */
  readonly code: status;
  readonly reason: EndReason;
  readonly error: boolean;
  readonly deadlineMs?: number;
  readonly paused?: boolean;
  readonly middleware?: Middleware[];
  /** Does to the call what ends it, once it has begun. */
  act?(server: Running, calling: Calling): void;
  /** By a client that can be cut off. */
  readonly raw?: boolean;
}

/** Yields once, then waits until it is told to stop. */
export const parked: AnySource = async function* (_request, { signal }) {
  yield 'first';
  await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
};

/** Yields once, then never does anything again, whatever it is told. */
export const deaf: AnySource = async function* () {
  yield 'first';
  await new Promise(() => {});
};

const endless: AnySource = async function* () {
  for (let num = 0; ; num++) {
    yield num;
    await new Promise(resolve => setImmediate(resolve));
  }
};

const blocks: AnySource = async function* () {
  for (;;) yield 'x'.repeat(16384);
};

const throwing = (make: () => unknown, after = 1): AnySource =>
  async function* () {
    for (let num = 0; num < after; num++) yield num;
    throw make();
  };

const cancel = (_server: Running, { cancel }: Calling) => cancel();
const plain = () => new Error('a secret of ours');

const cancelled = { code: status.CANCELLED, reason: 'cancelled', error: false, act: cancel } as const;
const unknown = { code: status.UNKNOWN, reason: 'error', error: true } as const;

const limit: Middleware = call => ({
  message() {
    call.end({ code: status.RESOURCE_EXHAUSTED, details: 'enough', reason: 'limit' });
  },
});

export const scenarios: Record<string, Scenario> = {
  'OT1 completed': {
    source: () => [1, 2, 3],
    code: status.OK,
    reason: 'completed',
    error: false,
  },
  'OT4a cancelled while the source is awaited': { source: parked, ...cancelled },
  'OT4b cancelled while the client does not read': { source: blocks, paused: true, ...cancelled },
  'OT4c cancelled between messages': { source: endless, ...cancelled },
  'OT4d cancelled, and the source does not listen': { source: deaf, ...cancelled },
  'OT5 deadline': {
    source: parked,
    code: status.DEADLINE_EXCEEDED,
    reason: 'deadline',
    error: true,
    deadlineMs: 60,
  },
  'OT6 a status that is an answer': {
    source: throwing(() => new StatusError(status.NOT_FOUND, 'no such job')),
    code: status.NOT_FOUND,
    reason: 'error',
    error: false,
  },
  'OT6 a status that is an error': {
    source: throwing(() => new StatusError(status.DATA_LOSS, 'the disk is gone')),
    code: status.DATA_LOSS,
    reason: 'error',
    error: true,
  },
  'OT7 a throw before anything was sent': { source: throwing(plain, 0), ...unknown },
  'OT7 a throw between messages': { source: throwing(plain, 3), ...unknown },
  'OT8 a message that cannot be encoded': {
    source: () => [1, 2n],
    code: status.INTERNAL,
    reason: 'error',
    error: true,
  },
  'OT8 a message that is too large': {
    source: () => ['x'.repeat(100_000)],
    code: status.RESOURCE_EXHAUSTED,
    reason: 'error',
    error: false,
  },
  'OT9 trailers only': {
    source: throwing(() => new StatusError(status.UNAUTHENTICATED, 'who are you?'), 0),
    code: status.UNAUTHENTICATED,
    reason: 'error',
    error: false,
  },
  'OT10 disconnected': {
    source: parked,
    code: status.CANCELLED,
    reason: 'disconnected',
    error: false,
    raw: true,
  },
  'OT11 drain': {
    source: deaf,
    code: status.UNAVAILABLE,
    reason: 'drain',
    error: true,
    act: ({ server }) => void drain(server, { graceMs: 5 }),
  },
  'OT11 drain, and the source hears of it': {
    source: parked,
    code: status.UNAVAILABLE,
    reason: 'drain',
    error: true,
    act: ({ server }) => void drain(server, { graceMs: 1000 }),
  },
  'OT11 forceShutdown': {
    source: parked,
    code: status.CANCELLED,
    reason: 'disconnected',
    error: false,
    act: ({ server }) => server.forceShutdown(),
  },
  limit: {
    source: () => [1],
    code: status.RESOURCE_EXHAUSTED,
    reason: 'limit',
    error: false,
    middleware: [limit],
  },
};

/** Serves a scenario, lets it end as it does, and tells the code that the client read, if it could. */
export async function play(
  on: MountName,
  scenario: Scenario,
  middleware: Middleware[],
): Promise<status | undefined> {
  const { act, deadlineMs, paused = false, raw, source } = scenario;
  let over = false;
  let begun = false;
  const watch: Middleware = (_call, next) => ({
    message(message) {
      begun = true;
      next.message(message);
    },
    end() {
      over = true;
    },
  });
  const server = await serve(on, source, [...middleware, ...(scenario.middleware ?? []), watch], {
    'grpc.max_send_message_length': 65536,
  });
  let code: status | undefined;
  if (raw) {
    const { socket } = rawCall(server.port);
    await until('the first message', () => begun);
    socket.destroy();
  } else {
    const calling = server.open({}, { paused, ...(deadlineMs && { deadline: Date.now() + deadlineMs }) });
    if (paused) calling.stream.once('data', () => calling.stream.pause());
    if (act) {
      await until('the first message', () => begun);
      await new Promise(resolve => setTimeout(resolve, 5));
      act(server, calling);
    }
    const reply = await calling.reply;
    if (scenario.reason !== 'disconnected') code = reply.code;
  }
  await until('the call is over', () => over);
  await new Promise(resolve => setImmediate(() => setImmediate(resolve)));
  return code;
}
