import {
  Client,
  credentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerWritableStream,
  status,
} from '@grpc/grpc-js';
import fc from 'fast-check';
import {
  type Call,
  compose,
  interceptor,
  type Middleware,
  mount,
  type Outcome,
  produce,
  StatusError,
  wrap,
} from '../../lib/index.ts';
import { exotics } from './errors.ts';
import {
  type AnySource,
  deferred,
  definition,
  type Handler,
  type MountName,
  mountNames,
  path,
  quiet,
  type Running,
  start,
  turn,
} from './harness.ts';
import { Peer, stalledPeer } from './peer.ts';

/** What a source does, step by step; a handler goes on after the steps that end a source. */
const steps = [
  'write',
  'jitter',
  'turn',
  'the client leaves',
  'wait for the signal',
  'wait for the end of the call',
  'throw',
  'fail',
  'end',
  'destroy',
  'a layer ends the call',
  'a layer completes the call',
  'a layer throws',
  'write what cannot be serialised',
  'send the header',
  'set a trailer',
] as const;
type Step = (typeof steps)[number];

const layerKinds = ['passes', 'drops', 'holds', 'fails in end', 'flushes', 'starts late'] as const;
const shapes = ['async generator', 'generator', 'iterator', 'promise', 'late promise'] as const;
const clients = ['reads', 'pauses', 'raw', 'stalled'] as const;
const delayable = ['metadata', 'messages', 'status'] as const;
const leavings = ['cancel', 'reset TCP', 'destroy the session'] as const;

/** One call, as both its ends will behave. */
export interface Plan {
  readonly steps: readonly Step[];
  readonly shape: (typeof shapes)[number];
  readonly layers: readonly (typeof layerKinds)[number][];
  readonly client: (typeof clients)[number];
  readonly leaving: (typeof leavings)[number];
  /** Leaves after so many turns, whatever happens. */
  readonly patience: number | undefined;
  readonly deadlineMs: number | undefined;
  readonly thrown: string;
  /** Whether the handler is wrapped once more, or for the first time under an interceptor. */
  readonly nested: boolean;
  /** Whether an interceptor of somebody else lies below, which counts the statuses. */
  readonly below: boolean;
  /** What that one does not pass on at once. */
  readonly delays: readonly (typeof delayable)[number][];
  /** What a source does when it is told to stop and has steps left. */
  readonly inFinally: 'nothing' | 'jitter' | 'turn' | 'throw';
}

export const plan: fc.Arbitrary<Plan> = fc.record<Plan>({
  steps: fc.array(
    fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom<Step>('write', 'write', 'write', 'jitter', 'turn') },
      { weight: 2, arbitrary: fc.constantFrom<Step>(...steps) },
    ),
    { maxLength: 12 },
  ),
  shape: fc.constantFrom(...shapes),
  layers: fc.array(fc.constantFrom(...layerKinds), { maxLength: 3 }),
  client: fc.oneof({ weight: 3, arbitrary: fc.constant('reads' as const) }, fc.constantFrom(...clients)),
  leaving: fc.constantFrom(...leavings),
  patience: fc.option(fc.nat(6), { nil: undefined, freq: 4 }),
  deadlineMs: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined, freq: 4 }),
  thrown: fc.constantFrom(...Object.keys(exotics)),
  nested: fc.boolean(),
  below: fc.boolean(),
  delays: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.subarray([...delayable])),
  inFinally: fc.constantFrom('nothing', 'nothing', 'jitter', 'turn', 'throw'),
});

/** What came of one call. */
class Run {
  readonly outcomes: Outcome[] = [];
  readonly innerOutcomes: Outcome[] = [];
  readonly sentStatuses: unknown[] = [];
  readonly written: number[] = [];
  messages: unknown[] = [];
  /** How often a client heard a status, which is an integer from 0 to 16. */
  readonly received: number[] = [];
  made = 0;
  started = 0;
  finallies = 0;
  over = deferred();
  call: Call | undefined;
  layerThrows = false;
  leave: () => void = () => {};

  constructor(
    readonly on: MountName,
    readonly plan: Plan,
  ) {}

  get finished(): boolean {
    return this.made === 0 || (this.outcomes.length > 0 && this.finallies === this.started);
  }

  /** Says what is wrong, or nothing. */
  verdict(): string | undefined {
    const { made, outcomes, innerOutcomes, started, finallies, received, sentStatuses } = this;
    if (made > 1) return `layers were made ${made} times`;
    if (outcomes.length !== made) return `the outermost layer heard of ${outcomes.length} ends`;
    if (innerOutcomes.length !== made) return `the innermost layer heard of ${innerOutcomes.length} ends`;
    if (finallies !== started) return `finally ran ${finallies} times, for ${started} starts`;
    if (started > 1) return `the source was started ${started} times`;
    if (received.length > 1) return `the client heard of ${received.length} ends`;
    if (sentStatuses.length > 1) return `statuses were sent: ${sentStatuses.join(', ')}`;
    const odd = [...received, ...sentStatuses].filter(
      code => !Number.isInteger(code) || !isLegal(Number(code)),
    );
    if (odd.length > 0) return `${odd} is no status`;
    return this.misdelivered();
  }

  /** Where nothing disturbs a call, what its client receives is known. */
  private misdelivered(): string | undefined {
    const { steps, layers, client, patience, deadlineMs, shape, inFinally } = this.plan;
    const legacy = this.on === 'wrap' || this.on === 'interceptor';
    if (client === 'stalled' || patience !== undefined || deadlineMs !== undefined) return;
    if (!steps.every(step => peaceful.includes(step)) || !layers.every(kind => harmless.includes(kind)))
      return;
    const last = steps.findIndex(step => step === 'end' || step === 'fail');
    const before = last === -1 ? steps : steps.slice(0, last);
    const fails = steps[last] === 'fail' || (!legacy && inFinally === 'throw');
    const expected = before.filter(step => step === 'write').map((_, index) => index + 1);
    const got = JSON.stringify([this.received, this.messages]);
    const want = JSON.stringify([[fails ? status.ABORTED : status.OK], expected]);
    return got === want ? undefined : `the client received ${got}, not ${want} (${shape})`;
  }
}

const peaceful: Step[] = ['write', 'jitter', 'turn', 'send the header', 'set a trailer', 'end', 'fail'];
const harmless: (typeof layerKinds)[number][] = ['passes', 'holds', 'starts late'];

const isLegal = (code: number) => code >= 0 && code <= 16;

/** All mounts, each with a server that runs what it is told. */
export class Stage {
  private readonly runs = new Map<number, Run>();
  private readonly servers = new Map<string, Running>();
  private readonly clients = new Map<number, { client: Client; until: number }>();
  private readonly retired: Client[] = [];
  /** How calls ended so far, by mount and reason. */
  readonly tally: Record<string, Record<string, number>> = {};
  private opened = 0;

  static async open(): Promise<Stage> {
    const stage = new Stage();
    for (const on of mountNames)
      for (const below of [true, false])
        stage.servers.set(`${on} ${below}`, await stage.serve(on, below ? [stage.counting] : []));
    return stage;
  }

  async close(): Promise<void> {
    // A connection that its client closes first, after it cancelled something, may never be closed by Node.
    for (const server of this.servers.values()) await server.close();
    for (const { client } of this.clients.values()) client.close();
    for (const client of this.retired) client.close();
  }

  /** Runs a plan on every mount; answers with what is wrong. */
  async check(given: Plan): Promise<string[]> {
    const verdicts = await Promise.all(mountNames.map(on => this.run(new Run(on, given))));
    return verdicts.filter(verdict => verdict !== undefined);
  }

  /** Calls that their client left before they were seen to arrive, and that may have since. */
  stragglers(): string[] {
    return [...this.runs.values()].map(run => run.verdict() ?? '').filter(verdict => verdict !== '');
  }

  private async run(run: Run): Promise<string | undefined> {
    const id = ++this.opened;
    this.runs.set(id, run);
    const port = this.servers.get(`${run.on} ${run.plan.below}`)?.port as number;
    const ended = this.open(run, id, port, await this.client(port));
    const { patience, client } = run.plan;
    void leaveLater(run, patience ?? (client === 'stalled' ? 20 : undefined));
    let timer: NodeJS.Timeout | undefined;
    const watchdog = new Promise<'hangs'>(resolve => {
      timer = setTimeout(resolve, 2000, 'hangs');
    });
    const hung = await Promise.race([ended, watchdog]);
    clearTimeout(timer);
    const late = Date.now() + 2000;
    do for (let i = 0; i < 3; i++) await turn();
    while (!run.finished && Date.now() < late);
    const how = run.outcomes[0]?.reason ?? 'never arrived';
    const row = this.tally[run.on] ?? {};
    this.tally[run.on] = row;
    row[how] = (row[how] ?? 0) + 1;
    const verdict = run.verdict() ?? (hung ? 'the client hangs' : undefined);
    if (run.made > 0 || verdict) this.runs.delete(id);
    return verdict && `on ${run.on}: ${verdict}`;
  }

  /** Opens the call; settles when its client knows that it is over. */
  private open(run: Run, id: number, port: number, known: Client): Promise<void> {
    const { client, deadlineMs, leaving } = run.plan;
    if (client === 'raw' || client === 'stalled') {
      const peer = client === 'raw' ? new Peer(port) : stalledPeer(port);
      const exchange = peer.open({ id }, { headers: deadlineMs ? { 'grpc-timeout': `${deadlineMs}m` } : {} });
      run.leave = () => {
        if (leaving === 'cancel') exchange.reset();
        else if (leaving === 'reset TCP') peer.resetTcp();
        else peer.session.destroy();
      };
      return exchange.closed.then(() => {
        const code = exchange.trailer?.['grpc-status'];
        if (code !== undefined) run.received.push(Number(code));
        run.messages = exchange.messages();
        peer.session.destroy();
      });
    }
    const { requestSerialize, responseDeserialize } = definition.stream;
    const options = deadlineMs ? { deadline: Date.now() + deadlineMs } : {};
    const stream = known.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { id },
      options,
    );
    run.leave = () => stream.cancel();
    stream.on('data', message => run.messages.push(message));
    stream.on('error', () => {});
    if (client === 'pauses')
      stream.once('data', async () => {
        stream.pause();
        await turn();
        stream.resume();
      });
    return new Promise(resolve => {
      stream.on('status', ({ code }) => {
        run.received.push(code);
        resolve();
      });
    });
  }

  /** A client with a fresh connection now and then: a server takes many resets in a row for an attack. */
  private async client(port: number): Promise<Client> {
    const known = this.clients.get(port);
    if (known && this.opened < known.until) return known.client;
    if (known) this.retired.push(known.client);
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    this.clients.set(port, { client, until: this.opened + 1000 });
    await new Promise(resolve => client.waitForReady(Date.now() + 5000, resolve));
    return client;
  }

  private serve(on: MountName, below: ServerInterceptor[]): Promise<Running> {
    const source: AnySource = (request, call) => shaped(this.runOf(request), call);
    const inner = wrap((stream => perform(this.runOf(stream.request), stream)) as Handler, quiet);
    const handler: Handler = stream => {
      const run = this.runOf(stream.request);
      return run.plan.nested ? inner(stream) : perform(run, stream);
    };
    const layers: Middleware = (call, next) => layersOf(this.runOf(call.request))(call, next);
    switch (on) {
      case 'produce':
        return start(server => server.addService(definition, { stream: produce(source, quiet, layers) }), {
          interceptors: below,
        });
      case 'mount':
        return start(server => mount(server, definition, { stream: source }, quiet, layers), {
          interceptors: below,
        });
      case 'wrap':
        return start(server => server.addService(definition, { stream: wrap(handler, quiet, layers) }), {
          interceptors: below,
        });
      case 'interceptor':
        return start(server => server.addService(definition, { stream: handler }), {
          interceptors: [...below, interceptor(quiet, layers)],
        });
    }
  }

  /** For below everything: counts what is told to grpc-js, and takes its time where the plan says so. */
  private readonly counting: ServerInterceptor = (_method, call) => {
    let run: Run | undefined;
    const pass = (what: (typeof delayable)[number], send: () => void) => {
      if (run?.plan.delays.includes(what)) void jitter().then(send);
      else send();
    };
    return new ServerInterceptingCall(call, {
      start: next =>
        next({
          onReceiveMessage: (request, receive) => {
            run = this.runOf(request);
            receive(request);
          },
        }),
      sendMetadata: (metadata, next) => pass('metadata', () => next(metadata)),
      sendMessage: (message, next) => pass('messages', () => next(message)),
      sendStatus: (last, next) => {
        run?.sentStatuses.push(last.code);
        pass('status', () => next(last));
      },
    });
  };

  private runOf(request: unknown): Run {
    const run = this.runs.get((request as { id: number }).id);
    if (run === undefined) throw new Error('a call that came long after it was forgotten');
    return run;
  }
}

async function leaveLater(run: Run, turns: number | undefined): Promise<void> {
  if (turns === undefined) return;
  for (let i = 0; i < turns; i++) await turn();
  run.leave();
}

async function jitter(): Promise<void> {
  for (let i = 0; i < 3; i++) await null;
}

/** The layers of a plan, between two that count the ends. */
function layersOf(run: Run): Middleware {
  const kinds: Record<(typeof layerKinds)[number], Middleware> = {
    passes: (_call, next) => ({ message: message => next.message(message) }),
    drops: (_call, next) => ({
      message(message) {
        if (message % 2 === 0) next.message(message);
      },
    }),
    holds: () => ({ ready: jitter }),
    'fails in end': () => ({
      end() {
        throw new Error('a layer fails');
      },
    }),
    flushes: (_call, next) => ({ end: () => next.message(-1) }),
    'starts late': () => ({ start: next => void jitter().then(next) }),
  };
  const outer: Middleware = (call, next) => {
    run.made += 1;
    run.call = call;
    return {
      message(message) {
        if (run.layerThrows) throw new StatusError(status.DATA_LOSS, 'a layer throws');
        next.message(message);
      },
      end(outcome) {
        run.outcomes.push(outcome);
        void jitter().then(run.over.resolve);
      },
    };
  };
  const inner: Middleware = () => ({ end: outcome => void run.innerOutcomes.push(outcome) });
  return compose(outer, ...run.plan.layers.map(kind => kinds[kind]), inner);
}

/** The steps that a source and a handler take alike; `false` when it is one of the others. */
function common(run: Run, step: Step, call: Pick<Call, 'trailer' | 'sendHeader'> | undefined): boolean {
  switch (step) {
    case 'the client leaves':
      run.leave();
      return true;
    case 'a layer ends the call':
      run.call?.end({ code: status.RESOURCE_EXHAUSTED, details: 'a layer ends it', reason: 'limit' });
      return true;
    case 'a layer completes the call':
      run.call?.end({ code: status.OK, details: 'OK', reason: 'completed' });
      return true;
    case 'a layer throws':
      run.layerThrows = true;
      return true;
    case 'send the header':
      call?.sendHeader();
      return true;
    case 'set a trailer':
      call?.trailer.set('x-trailer', 't');
      return true;
    default:
      return false;
  }
}

function thrownBy({ plan }: Run): unknown {
  return exotics[plan.thrown]?.make();
}

function enough(): StatusError {
  return new StatusError(status.ABORTED, 'enough');
}

function signalled({ signal }: Call): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** What a source does that has to wait for nothing. */
function* sync(run: Run, call: Call): Generator<unknown> {
  run.started += 1;
  try {
    for (const step of run.plan.steps) {
      if (common(run, step, call)) continue;
      if (step === 'write') yield run.written.push(1);
      else if (step === 'write what cannot be serialised') yield 1n;
      else if (step === 'fail') throw enough();
      else if (step === 'throw' || step === 'destroy') throw thrownBy(run);
      else if (step === 'end') return;
    }
  } finally {
    run.finallies += 1;
    // biome-ignore lint/correctness/noUnsafeFinally: that is what this is about
    if (run.plan.inFinally === 'throw') throw enough();
  }
}

async function* async(run: Run, call: Call): AsyncGenerator<unknown> {
  run.started += 1;
  try {
    for (const step of run.plan.steps) {
      if (common(run, step, call)) continue;
      if (step === 'write') yield run.written.push(1);
      else if (step === 'write what cannot be serialised') yield 1n;
      else if (step === 'jitter') await jitter();
      else if (step === 'turn') await turn();
      else if (step === 'wait for the signal') {
        void leaveLater(run, 0);
        await signalled(call);
      } else if (step === 'wait for the end of the call') {
        void leaveLater(run, 1);
        await run.over.promise;
      } else if (step === 'fail') throw enough();
      else if (step === 'throw' || step === 'destroy') throw thrownBy(run);
      else if (step === 'end') return;
    }
  } finally {
    if (run.plan.inFinally === 'jitter') await jitter();
    if (run.plan.inFinally === 'turn') await turn();
    run.finallies += 1;
    // biome-ignore lint/correctness/noUnsafeFinally: that is what this is about
    if (run.plan.inFinally === 'throw') throw enough();
  }
}

function shaped(run: Run, call: Call): ReturnType<AnySource> {
  switch (run.plan.shape) {
    case 'async generator':
      return async(run, call);
    case 'generator':
      return sync(run, call);
    case 'iterator': {
      // One that is no generator, and answers at once.
      const inner = sync(run, call);
      return { [Symbol.asyncIterator]: () => inner as never };
    }
    case 'promise':
      return jitter().then(() => async(run, call));
    case 'late promise':
      return turn().then(() => async(run, call));
  }
}

/** A handler that goes on where it should have stopped; how far depends on who is there to absorb it. */
function perform(run: Run, stream: ServerWritableStream<any, any>): void {
  const { on, plan } = run;
  const absorbed = on === 'wrap' || plan.nested;
  run.started += 1;
  const cancelled = new Promise<void>(resolve => {
    if (stream.cancelled) resolve();
    else stream.once('cancelled', () => resolve());
  });
  let ended = false;
  const fail = (error: unknown) => {
    ended = true;
    stream.emit('error', error as Error);
  };
  const take = async (step: Step): Promise<void> => {
    // Above an interceptor of ours is the Writable of grpc-js, which loses an end that has to wait.
    if (!absorbed && ended) return;
    if (common(run, step, undefined)) return;
    if (step === 'write' || step === 'write what cannot be serialised') {
      const more = stream.write(step === 'write' ? run.written.push(1) : 1n);
      if (!more && !ended)
        await Promise.race([
          cancelled,
          run.over.promise,
          new Promise(resolve => stream.once('drain', resolve)),
        ]);
    } else if (step === 'jitter') await jitter();
    else if (step === 'turn') await turn();
    else if (step === 'wait for the signal' && !ended) {
      void leaveLater(run, 0);
      await cancelled;
    } else if (step === 'wait for the end of the call' && !ended) {
      void leaveLater(run, 1);
      await run.over.promise;
    } else if (step === 'end') {
      ended = true;
      stream.end();
    } else if (step === 'fail') fail(enough());
    else if (step === 'throw' && absorbed) throw thrownBy(run);
    else if (step === 'throw') fail(new Error('not meant for the client'));
    else if (step === 'destroy' && absorbed) {
      ended = true;
      stream.destroy(thrownBy(run) as Error);
    } else if (step === 'destroy') fail(enough());
  };
  const work = async () => {
    try {
      for (const step of plan.steps) await take(step);
      if (!ended) stream.end();
    } finally {
      run.finallies += 1;
    }
  };
  return work() as never;
}
