import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { Queue } from './queue.ts';
import { stamped } from './stamp.ts';

/** The parts of a call that these sources use; what nice-grpc calls its context has them too. */
export interface Call {
  readonly signal: AbortSignal;
  sendHeader(): void;
}

export interface Num {
  num: number;
}

export interface Chunk {
  payload: Buffer;
}

export interface Batch {
  items: Buffer[];
}

export interface Update {
  topic: string;
  message: string;
  metadata: Record<string, string>;
  timestamp: number;
}

/** What the sources of this process did so far. */
export const tally = { pulled: 0, arrived: 0, started: 0, finished: 0 };

export async function* numbers({ max }: { max: number }): AsyncGenerator<Num> {
  for (let num = 1; num <= max; num++) yield { num };
}

export function* numbersSync({ max }: { max: number }): Generator<Num> {
  for (let num = 1; num <= max; num++) yield { num };
}

export async function* chunks({ count, bytes }: { count: number; bytes: number }): AsyncGenerator<Chunk> {
  for (let sent = 0; sent < count; sent++) {
    tally.pulled += 1;
    yield { payload: Buffer.alloc(bytes) };
  }
}

/** One item in each message. */
export async function* batches({ count, bytes }: { count: number; bytes: number }): AsyncGenerator<Batch> {
  const item = Buffer.alloc(bytes);
  for (let sent = 0; sent < count; sent++) yield { items: [item] };
}

/** Now and then an item, that tells when it was yielded. */
export async function* trickle({
  count,
  everyMs,
}: Record<'count' | 'everyMs', number>): AsyncGenerator<Batch> {
  for (let sent = 0; sent < count; sent++) {
    await sleep(everyMs);
    yield { items: [stamped(100)] };
  }
}

const subscribers = new Set<Queue<Update>>();

export function updates(_: object, call: Call): Queue<Update> {
  const queue = new Queue<Update>(() => subscribers.delete(queue));
  subscribers.add(queue);
  call.sendHeader();
  tally.arrived += 1;
  return queue;
}

export function publish(update: Update): void {
  for (const subscriber of subscribers) subscriber.push(update);
}

const parked: (() => void)[] = [];

/** Waits for something that does not come, as most streams do most of the time. */
export async function* park({ early }: { early: boolean }, call: Pick<Call, 'sendHeader'>) {
  if (early) call.sendHeader();
  tally.arrived += 1;
  await new Promise<void>(wake => parked.push(wake));
  yield { payload: Buffer.alloc(0) };
}

const kib: Chunk = { payload: Buffer.alloc(1024) };

const points: Record<string, (call: Call) => AsyncGenerator<Chunk>> = {
  async *'before the headers'({ signal }) {
    tally.arrived += 1;
    await aborted(signal);
    yield kib;
  },
  async *'after the headers'(call) {
    call.sendHeader();
    tally.arrived += 1;
    await aborted(call.signal);
    yield kib;
  },
  async *'mid-stream'() {
    for (tally.arrived += 1; ; ) {
      yield kib;
      await turn();
    }
  },
  async *'blocked on the window'() {
    for (tally.arrived += 1; ; ) yield kib;
  },
  async *'parked between messages'({ signal }) {
    yield kib;
    tally.arrived += 1;
    await aborted(signal);
    yield kib;
  },
  async *'after the last message'() {
    yield kib;
    tally.arrived += 1;
    await turn();
  },
};

/** Where the source of a call is when its client leaves. */
export const leavingPoints: readonly string[] = Object.keys(points);

export async function* leave({ point }: { point: string }, call: Call): AsyncGenerator<Chunk> {
  tally.started += 1;
  try {
    const source = points[point];
    if (source) yield* source(call);
  } finally {
    tally.finished += 1;
  }
}

const aborted = (signal: AbortSignal) =>
  new Promise<void>(resolve => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
