import { status } from '@grpc/grpc-js';
import { checkFunction, checkMiddleware } from './check.ts';
import { counters } from './counters.ts';
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
    const stages: Stage[] = [];
    let messages: Sink<unknown> = root;
    let ends: Sink<unknown> = root;
    for (const factory of middleware) {
      const stage = new Stage(call, root, ends);
      try {
        const layer = factory(call, new Outlet(stage, messages));
        if (!layer) continue;
        stage.layer = layer;
      } catch (error) {
        return { ...compose(stages, root, messages), start: () => root.end(outcomeOf(error)) };
      }
      stages.push(stage);
      ends = stage;
      if (stage.layer.message) messages = stage;
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
    return match(call) ? middleware(call, next) : undefined;
  };
}

/** The layers of one call as one layer. What none of them has, it has not either. */
function compose(stages: Stage[], root: Sink<unknown>, messages: Sink<unknown>): Layer<unknown> {
  const layer: Layer<unknown> = {};
  const innermost = stages.at(-1);
  if (innermost) layer.end = outcome => innermost.end(outcome);
  if (messages !== root) layer.message = message => messages.message(message);
  const starts = stages.filter(stage => stage.layer.start);
  if (starts.length)
    layer.start = next => starts.reduceRight((inner, stage) => () => stage.start(inner), next)();
  const holds = stages.map(stage => stage.layer).filter(({ ready }) => ready);
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

/** One layer in its place: what the layers inside it send to. */
class Stage implements Sink<unknown> {
  layer: Layer<unknown> = {};
  ended = false;
  private passed = false;

  constructor(
    private readonly call: Call,
    /** The far end: an `end` that reaches it while the call is open ends the call for everybody. */
    readonly root: Sink<unknown>,
    private readonly outer: Sink<unknown>,
  ) {}

  start(inner: () => void): void {
    let called = false;
    try {
      this.layer.start?.(() => {
        if (called) return this.misused();
        called = true;
        inner();
      });
    } catch (error) {
      this.root.end(outcomeOf(error));
    }
  }

  private misused(): void {
    const error = new StatusError(status.INTERNAL, 'a layer called next() twice in start');
    report(error, this.call);
    this.root.end(outcomeOf(error));
  }

  message(message: unknown): void {
    if (this.ended) {
      counters.lateMessages += 1;
      return;
    }
    try {
      this.layer.message?.(message);
    } catch (error) {
      this.root.end(outcomeOf(error));
    }
  }

  end(outcome: Outcome): void {
    if (this.ended) return;
    this.ended = true;
    let last = outcome;
    try {
      this.layer.end?.(outcome);
    } catch (error) {
      report(error, this.call);
      if (outcome.reason === 'completed') last = outcomeOf(error);
    }
    this.pass(last);
  }

  /** Lets the next layer out hear of the end: once, by the layer itself or after it. */
  pass(outcome: Outcome): void {
    if (this.passed) return;
    this.passed = true;
    this.outer.end(outcome);
  }
}

/** Where one layer sends what it passes on. */
class Outlet implements Sink<unknown> {
  constructor(
    private readonly owner: Stage,
    private readonly messages: Sink<unknown>,
  ) {}

  message(message: unknown): void {
    this.messages.message(message);
  }

  end(outcome: Outcome): void {
    const sound = soundOutcome(outcome);
    if (this.owner.ended) this.owner.pass(sound);
    else this.owner.root.end(sound);
  }
}
