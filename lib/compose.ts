import { status } from '@grpc/grpc-js';
import { checkFunction, checkMiddleware, expected, isThenable } from './check.ts';
import { counters } from './counters.ts';
import { answerOf, forget, isBoolean } from './hooks.ts';
import { report } from './report.ts';
import { outcomeOf, StatusError, soundOutcome } from './status.ts';
import type { Call, Layer, Middleware, Outcome, Sink } from './types.ts';

/**
 * Makes a list of middleware one middleware; the first is the outermost.
 *
 * @example
 * const ours = all(tracing(), errors());
 * mount(server, NumberService.service, sources, ours);
 */
export function all(...middleware: readonly Middleware[]): Middleware {
  checkMiddleware(middleware);
  return function all(call, root) {
    const run: Run = { ending: false, refused: false };
    const stages: Stage[] = [];
    let messages: Stage | undefined;
    let ends: Pick<Sink<unknown>, 'end'> = root;
    for (const factory of middleware) {
      const stage = new Stage(call, run, root, ends);
      try {
        stage.layer = layerOf(factory(call, new Outlet(root, messages, stage)));
      } catch (error) {
        stage.refuse(outcomeOf(error));
      }
      const { layer } = stage;
      if (layer) {
        stages.push(stage);
        ends = stage;
        if (layer.message) {
          stage.take = layer.message;
          messages = stage;
        }
      }
      // The call is over: nobody further in has to hear of it.
      if (run.refused) break;
    }
    return compose(stages, root, messages);
  };
}

/**
 * Applies a middleware to the calls that match; the others do not pay for it.
 *
 * @example
 * only(call => call.path.startsWith('/shop.'), tracing());
 */
export function only(match: (call: Call) => boolean, middleware: Middleware): Middleware {
  checkFunction('match', match);
  checkFunction('middleware', middleware);
  return function only(call, next) {
    return answerOf('match', 'a boolean', match(call), isBoolean) ? middleware(call, next) : undefined;
  };
}

/** What a factory returned; a middleware whose options were forgotten returns a function, an async one a promise. */
function layerOf(returned: Layer<unknown> | void): Layer<unknown> | undefined {
  if (!returned) return undefined;
  forget(returned);
  if (typeof returned !== 'object' || isThenable(returned))
    throw expected('a middleware', 'a function that returns a layer or nothing', returned);
  return returned;
}

/** The layers of one call as one layer. What none of them has, it has not either. */
function compose(stages: Stage[], root: Sink<unknown>, messages: Stage | undefined): Layer<unknown> {
  const layer: Layer<unknown> = {};
  const innermost = stages.at(-1);
  if (innermost === undefined) return layer;
  layer.end = outcome => innermost.end(outcome);
  if (messages) {
    const inlet = new Inlet(root, messages);
    layer.message = message => inlet.message(message);
  }
  const starts = stages.filter(stage => stage.layer?.start);
  if (starts.length)
    layer.start = next => starts.reduceRight((inner, stage) => () => stage.start(inner), next)();
  const holds = stages
    .map(stage => stage.layer)
    .filter(layer => layer?.ready !== undefined) as Layer<unknown>[];
  if (holds.length === 1) layer.ready = () => holds[0]?.ready?.();
  else if (holds.length) layer.ready = () => askAll(holds);
  return layer;
}

function askAll(layers: Layer<unknown>[]): void | Promise<void> {
  const pending: Promise<void>[] = [];
  for (const layer of layers) {
    try {
      const answer = layer.ready?.();
      if (answer) pending.push(answer);
    } catch (error) {
      pending.push(Promise.reject(error));
    }
  }
  if (pending.length) return Promise.all(pending).then(() => {});
}

/** How far a list of layers has come. */
interface Run {
  /** The end is on its way outwards. */
  ending: boolean;
  /** A layer ended the call before. */
  refused: boolean;
}

const nothing = (): void => {};

/** One layer in its place: what the layers inside it send to. */
class Stage {
  layer: Layer<unknown> | undefined;
  /** The `message` of the layer, looked up once: layers come in many shapes, which makes that slow. */
  take: (this: unknown, message: unknown) => unknown = nothing;
  ended = false;
  private passed = false;
  private failure: Outcome | undefined;

  constructor(
    private readonly call: Call,
    private readonly run: Run,
    /** The far end: an `end` that reaches it while the call is open ends the call for everybody. */
    private readonly root: Sink<unknown>,
    private readonly outer: Pick<Sink<unknown>, 'end'>,
  ) {}

  start(inner: () => void): void {
    let called = false;
    try {
      const started: unknown = this.layer?.start?.(() => {
        if (called) return this.misused();
        called = true;
        inner();
      });
      if (isThenable(started)) started.then(undefined, error => this.refuse(outcomeOf(error)));
    } catch (error) {
      this.refuse(outcomeOf(error));
    }
  }

  private misused(): void {
    const error = new StatusError(status.INTERNAL, 'a layer called next() twice in start');
    report(error, this.call);
    this.refuse(outcomeOf(error));
  }

  /** A message went wrong here; at the end of a call, that is how it ends. */
  failed(error: unknown): void {
    this.failure ??= outcomeOf(error);
    this.refuse(this.failure);
  }

  end(outcome: Outcome): void {
    if (this.ended) return;
    this.ended = true;
    this.run.ending = true;
    // What failed on its way out at the end was not sent.
    let last = outcome.reason === 'completed' ? (this.failure ?? outcome) : outcome;
    try {
      const told: unknown = this.layer?.end?.(last);
      if (isThenable(told)) told.then(undefined, error => report(error, this.call));
    } catch (error) {
      report(error, this.call);
      if (last.reason === 'completed') last = outcomeOf(error);
    }
    this.pass(last);
  }

  /** Ends the call for everybody, unless it is ending already. */
  refuse(outcome: Outcome): void {
    this.run.refused = true;
    if (!this.run.ending) this.root.end(outcome);
  }

  /** Lets the next layer out hear of the end: once, by the layer itself or after it. */
  pass(outcome: Outcome): void {
    if (this.passed) return;
    this.passed = true;
    this.outer.end(outcome);
  }
}

/** The way of messages to the next layer out that takes them, past those that do not, or to the far end. */
class Inlet {
  constructor(
    protected readonly root: Sink<unknown>,
    private readonly target: Stage | undefined,
  ) {}

  message(message: unknown): void {
    const { target } = this;
    if (target === undefined) this.root.message(message);
    else if (target.ended) counters.lateMessages += 1;
    else {
      try {
        const taken = target.take.call(target.layer, message);
        if (taken !== undefined && isThenable(taken)) taken.then(undefined, error => target.failed(error));
      } catch (error) {
        target.failed(error);
      }
    }
  }
}

/** Where one layer sends what it passes on. */
class Outlet extends Inlet implements Sink<unknown> {
  constructor(
    root: Sink<unknown>,
    target: Stage | undefined,
    private readonly owner: Stage,
  ) {
    super(root, target);
  }

  end(outcome: Outcome): void {
    const sound = soundOutcome(outcome);
    if (this.owner.ended) this.owner.pass(sound);
    else this.owner.refuse(sound);
  }
}
