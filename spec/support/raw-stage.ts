import type { Http2Server, ServerHttp2Stream } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { live } from '../../lib/call/live.ts';
import {
  type Call,
  configure,
  interceptor,
  type Middleware,
  mount,
  produce,
  StatusError,
  wrap,
} from '../../lib/index.ts';
import { limits } from '../../middleware/limits.ts';
import { logging } from '../../middleware/logging.ts';
import { tracing } from '../../middleware/tracing.ts';
import { type AnySource, type Handler, turn } from './harness.ts';
import { aborted } from './observe.ts';
import { type Rig, startOtel } from './otel.ts';
import { PATH, RawClient } from './raw-client.ts';
import { frames, type Input, input, type Step, type Variant } from './raw-input.ts';
import { timers } from './served.ts';

/** How long the calls of a client that is gone may take to end. */
const PATIENCE_MS = 2000;
/** How many inputs are under way: most of the time they wait. */
const AT_ONCE = 32;
/** By it a server tells which of its HTTP/2 streams a call is. */
const ID = 'x-call';

const raw = { serialize: (bytes: Buffer) => bytes, deserialize: readable };
const definition = {
  stream: {
    path: PATH,
    requestStream: false,
    responseStream: true,
    requestSerialize: raw.serialize,
    requestDeserialize: raw.deserialize,
    responseSerialize: raw.serialize,
    responseDeserialize: raw.deserialize,
  },
} as const;

function readable(bytes: Buffer): Buffer {
  if (bytes[0] === 0xff) throw new Error('cannot be read');
  return bytes;
}

/** One thing that is wrong, where it is, and the smallest input that shows it. */
export interface Found {
  readonly verdict: string;
  readonly on: Set<Variant>;
  input: Input;
  count: number;
}

/** Runs inputs, many at a time, each on a server of its own. */
export class RawStage {
  private readonly otel: Rig = startOtel();
  private timersBefore = 0;
  private readonly found = new Map<string, Found>();
  /** What is under way: one of these it was, when something escapes. */
  readonly running: Set<Input> = new Set();
  readonly tally: Record<string, Record<'inputs' | 'calls' | 'started' | 'completed', number>> = {};

  /** The timers of whoever runs this are there from the next turn on. */
  static async open(): Promise<RawStage> {
    const stage = new RawStage();
    await turn();
    stage.timersBefore = timers();
    return stage;
  }

  /** Runs what a seed gives, `count` inputs or as many as can be run until `until`. */
  async run(seed: number, count: number, until: number): Promise<void> {
    const left = fc.sample(input, { seed, numRuns: count });
    const worker = async () => {
      for (let next = left.pop(); next && Date.now() < until; next = left.pop())
        for (const verdict of await this.check(next)) this.note(verdict, next);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }

  /** What is wrong after one input; nothing, as it should be. */
  async check(given: Input): Promise<string[]> {
    const trial = new Trial(given);
    this.running.add(given);
    const verdicts = await trial.run();
    this.running.delete(given);
    const row = this.tally[given.on] ?? { inputs: 0, calls: 0, started: 0, completed: 0 };
    this.tally[given.on] = row;
    row.inputs += 1;
    row.calls += trial.layered;
    row.started += trial.started;
    row.completed += trial.completed;
    return verdicts;
  }

  private note(verdict: string, given: Input): void {
    const known = this.found.get(verdict);
    if (known === undefined) {
      this.found.set(verdict, { verdict, on: new Set([given.on]), input: given, count: 1 });
      return;
    }
    known.count += 1;
    known.on.add(given.on);
    if (given.steps.length < known.input.steps.length) known.input = given;
  }

  /** All that is wrong, to be read; inputs are made smaller while there is time. */
  async verdicts(until: number): Promise<string[]> {
    const lines: string[] = [];
    for (const found of this.found.values()) {
      const smallest = await this.shrink(found, until);
      lines.push(
        `${found.count} x ${found.verdict} (${[...found.on].join(', ')}): ${JSON.stringify(smallest)}`,
      );
    }
    return [...lines, ...(await this.leftovers())];
  }

  /** The same input without the steps that it does not take to be as wrong. */
  private async shrink({ verdict, input: found }: Found, until: number): Promise<Input> {
    let smallest = found;
    const attempt = async (steps: readonly Step[]) => {
      const fewer = { ...smallest, steps };
      if (Date.now() < until && (await this.check(fewer)).includes(verdict)) smallest = fewer;
    };
    for (let at = smallest.steps.length - 1; at >= 0; at--) await attempt(smallest.steps.toSpliced(at, 1));
    for (const [at, [what, how]] of smallest.steps.entries())
      if (typeof how === 'object') await attempt(smallest.steps.with(at, [what as 'open', {}]));
    return smallest;
  }

  /** What is open when all inputs are over. */
  private async leftovers(): Promise<string[]> {
    const left = (): [string, number][] => [
      ['live calls', live.size],
      ['spans', this.otel.started - this.otel.spans.length],
      ['timers', Math.max(0, timers() - this.timersBefore)],
    ];
    await soon(() => left().every(([, count]) => count === 0));
    return left().flatMap(([what, count]) => (count === 0 ? [] : [`${count} ${what} are left`]));
  }

  /** What should have ended long ago would keep this process alive. */
  close(): Promise<void> {
    for (const call of live) call.end({ code: status.CANCELLED, details: 'left open', reason: 'cancelled' });
    return this.otel.stop();
  }
}

/** One input on a server of its own, and what its layers, its sources and its client saw. */
class Trial {
  layered = 0;
  private ended = 0;
  started = 0;
  completed = 0;
  private finished = 0;
  private startLines = 0;
  private endLines = 0;
  private connections = 0;
  private readonly wrong = new Set<string>();
  /** The HTTP/2 streams of the server, by what their clients call them. */
  private readonly streams = new Map<string, ServerHttp2Stream>();
  /** Of calls that layers were made for, and did not hear the end of. */
  private readonly open = new Map<object, ServerHttp2Stream>();

  constructor(private readonly input: Input) {}

  async run(): Promise<string[]> {
    const { steps } = this.input;
    const { server, port } = await this.serve();
    const client = new RawClient(port, this.input.window);
    try {
      for (const step of steps) await take(client, step);
      client.flush();
      await sleep(10);
      if (!(await soon(() => ![...this.open.values()].some(isOver))))
        this.wrong.add('the layers of a call that was over did not hear of it while its client was there');
      client.leave();
      if (await this.quiet()) {
        if (!(await this.serves(port))) this.wrong.add('slots were not given back');
      } else this.blame();
      for (const stream of this.streams.values()) {
        const code = statusOf(stream);
        if (code !== undefined && !(Number(code) >= 0 && Number(code) <= 16))
          this.wrong.add(`${code} is no status`);
      }
      if (this.finished > this.started) this.wrong.add('`finally` ran more than once');
    } finally {
      server.forceShutdown();
    }
    return [...this.wrong];
  }

  private get isQuiet(): boolean {
    const { ended, layered, started, finished, startLines, endLines } = this;
    return ended === layered && finished === started && startLines === endLines;
  }

  /** Once the server knows that its client is gone. */
  private async quiet(): Promise<boolean> {
    if (!(await soon(() => this.connections === 0))) this.wrong.add('a connection was never closed');
    // What begins only now is over before it begins.
    await sleep(5);
    return soon(() => this.isQuiet);
  }

  private blame(): void {
    const { ended, layered, started, finished, startLines, endLines } = this;
    if (ended < layered) this.wrong.add('the layers of a call never heard of its end');
    if (ended > layered) this.wrong.add('layers heard of more ends than there were calls');
    if (finished < started) this.wrong.add('a source, or a handler, never came to its `finally`');
    if (startLines !== endLines) this.wrong.add('a line for a start has none for its end');
  }

  /** Whether all slots are there: as many calls at once as may be. */
  private async serves(port: number): Promise<boolean> {
    const client = new RawClient(port);
    let served = 0;
    for (let i = 0; i < this.slots; i++) void client.probe({ 'x-probe': '1' }).then(() => served++);
    await soon(() => served === this.slots);
    client.leave();
    return (await this.quiet()) && served === this.slots;
  }

  private get slots(): number {
    const { steps } = this.input;
    return steps.filter(([what]) => what.startsWith('open') || what === 'frame').length || 1;
  }

  private async serve(): Promise<{ server: Server; port: number }> {
    const { on } = this.input;
    const { slots } = this;
    const note = () => {};
    const logger = { debug: note, info: note, warn: note, error: note };
    const log = (text: string) => {
      if (text === 'stream started') this.startLines += 1;
      else if (text === 'stream finished') this.endLines += 1;
    };
    for (const level of ['debug', 'info', 'warn', 'error'] as const) logger[level] = log as never;
    const list = [
      configure({ onError: note, onOrphan: note, cleanupGraceMs: 50 }),
      tracing(),
      logging({ logger }),
      limits({ maxStreams: slots, maxStreamsPerPeer: slots }),
      this.counting,
    ];
    const over = on.startsWith('interceptor over');
    const inner = over ? [this.counting] : list;
    const server = new Server({
      interceptors: on.startsWith('interceptor') ? [interceptor(...list)] : [],
      // After a protocol error Node leaves a connection open for good, and tells nobody: this ends it.
      'grpc.keepalive_time_ms': 300,
      'grpc.keepalive_timeout_ms': 200,
    });
    const handler = on.endsWith('async') ? this.asyncHandler : this.handler;
    if (/\bmount$/.test(on)) mount(server, definition, { stream: this.source }, ...inner);
    else {
      const stream = /\bproduce$/.test(on)
        ? produce(this.source, ...inner)
        : /\bwrap\b/.test(on)
          ? wrap(handler, ...inner)
          : handler;
      server.addService(definition, { stream });
    }
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    const { http2Servers } = server as unknown as { http2Servers: Map<Http2Server, unknown> };
    for (const http2Server of http2Servers.keys()) {
      http2Server.prependListener('stream', (stream, headers) =>
        this.streams.set(String(headers[ID]), stream),
      );
      http2Server.on('session', session => {
        this.connections += 1;
        session.once('close', () => {
          this.connections -= 1;
        });
      });
    }
    return { server, port };
  }

  private readonly counting: Middleware = call => {
    this.layered += 1;
    if (call.request === undefined) this.wrong.add('layers were made for a call without a request');
    this.blameStart('layers were made', call.metadata);
    const stream = this.streamOf(call.metadata);
    if (stream) this.open.set(call, stream);
    let ends = 0;
    return {
      end: ({ reason }) => {
        if (++ends > 1) this.wrong.add('a layer heard of two ends');
        this.open.delete(call);
        this.ended += 1;
        if (reason === 'completed') this.completed += 1;
      },
    };
  };

  private streamOf(metadata: Metadata): ServerHttp2Stream | undefined {
    return this.streams.get(String(metadata.get(ID)[0]));
  }

  /** A call that is over must not begin. */
  private blameStart(what: string, metadata: Metadata): void {
    const stream = this.streamOf(metadata);
    if (stream && statusOf(stream) !== undefined)
      this.wrong.add(`${what} for a call that was answered already`);
    else if (stream && isOver(stream)) this.wrong.add(`${what} for a call whose client had left`);
  }

  private begin(metadata: Metadata): void {
    this.started += 1;
    this.blameStart('a source, or a handler, was started', metadata);
  }

  private deed(metadata: Metadata): Input['does'] {
    return metadata.get('x-probe').length > 0 ? 'parks' : this.input.does;
  }

  private readonly source: AnySource = (_request, call) => this.produced(call);

  private async *produced(call: Call): AsyncGenerator<Buffer> {
    this.begin(call.metadata);
    try {
      const does = this.deed(call.metadata);
      if (does !== 'is silent') yield Buffer.from('first');
      if (does === 'ends late') await sleep(10);
      if (does === 'fails') throw new StatusError(status.ABORTED, 'as it should');
      if (does === 'streams')
        for (let sent = 0; sent < 50; sent++) {
          yield Buffer.alloc(4096);
          await turn();
        }
      if (lasts(does)) await aborted(call.signal);
    } finally {
      this.finished += 1;
    }
  }

  /** As most are written: callbacks, and no promise. */
  private readonly handler: Handler = stream => {
    this.begin(stream.metadata);
    let over = false;
    const finish = () => {
      if (!over) this.finished += 1;
      over = true;
    };
    const does = this.deed(stream.metadata);
    stream.once('cancelled', finish);
    if (does !== 'is silent') stream.write(Buffer.from('first'));
    const end = () => {
      if (over) return;
      finish();
      if (does === 'fails')
        stream.emit('error', Object.assign(new Error(), { code: status.ABORTED, details: 'so' }));
      else stream.end();
    };
    if (does === 'streams') for (let sent = 0; sent < 50; sent++) stream.write(Buffer.alloc(4096));
    else if (does === 'ends late') setTimeout(end, 10);
    else if (!lasts(does)) end();
  };

  private readonly asyncHandler: Handler = async stream => {
    this.begin(stream.metadata);
    const cancelled = new Promise<void>(resolve => stream.once('cancelled', () => resolve()));
    try {
      const does = this.deed(stream.metadata);
      if (does !== 'is silent') stream.write(Buffer.from('first'));
      if (does === 'ends late') await sleep(10);
      if (does === 'streams')
        for (let sent = 0; sent < 50 && !stream.cancelled; sent++)
          if (!stream.write(Buffer.alloc(4096)))
            await Promise.race([cancelled, new Promise(resolve => stream.once('drain', resolve))]);
      if (lasts(does)) return await cancelled;
      if (does === 'fails')
        stream.emit('error', Object.assign(new Error(), { code: status.ABORTED, details: 'so' }));
      else stream.end();
    } finally {
      this.finished += 1;
    }
  };
}

function statusOf({ sentHeaders, sentTrailers }: ServerHttp2Stream): unknown {
  return (sentTrailers ?? sentHeaders)?.['grpc-status'];
}

function isOver(stream: ServerHttp2Stream): boolean {
  return statusOf(stream) !== undefined || stream.destroyed || stream.closed;
}

/** Until somebody else ends it. */
function lasts(does: Input['does']): boolean {
  return does === 'streams' || does === 'parks' || does === 'is silent';
}

/** Whether something comes to hold. */
async function soon(holds: () => boolean): Promise<boolean> {
  const late = Date.now() + PATIENCE_MS;
  while (!holds() && Date.now() < late) await sleep(5);
  return holds();
}

let calls = 0;

async function take(client: RawClient, step: Step): Promise<void> {
  switch (step[0]) {
    case 'wait':
      client.flush();
      return sleep(step[1]);
    case 'open':
      return client.open({ [ID]: String(++calls), ...step[1] });
    case 'open and end':
      return client.open({ [ID]: String(++calls), ...step[1] }, true);
    case 'send':
      return client.send(step[1]);
    case 'send and end':
      return client.send(step[1], true);
    case 'end':
      return client.send('', true);
    case 'end with trailers':
      return client.trailers();
    case 'reset':
      return client.reset(step[1]);
    case 'goaway':
      return client.goaway(step[1]);
    case 'frame':
      return client.raw(frames[step[1]]);
    case 'half-close':
      return client.halfClose();
    case 'cut':
      return client.cut();
    case 'leave':
      return client.leave();
  }
}
