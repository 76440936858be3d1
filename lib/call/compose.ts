import { status } from '@grpc/grpc-js';
import { checkMiddleware, expected, isThenable } from '../check.ts';
import { counts } from '../counters.ts';
import { answerOf, isBoolean } from '../hooks.ts';
import { checkPlace } from '../kinds.ts';
import { makes, middleware as middlewareOf } from '../made.ts';
import { report } from '../report.ts';
import { changedOutcome, outcomeOf, StatusError } from '../status/status.ts';
import type { Call, Layer, Middleware, Outcome, Sink } from '../types.ts';

/** A middleware that is a list: one that stands in another list is laid open there. */
const list: unique symbol = Symbol.for('leat.list') as never;

/**
 * Makes a list of middleware one middleware; the first is the outermost.
 *
 * @example
 * const ours = compose(tracing(), errors());
 * mount(server, NumberService.service, methods, ours);
 * @throws TypeError when one of them is not a function.
 */
export function compose<Req = any, Res = any>(
  ...middleware: readonly Middleware<Req, Res>[]
): Middleware<Req, Res> {
  checkMiddleware(middleware);
  const flat = middleware.flatMap(listOf);
  const composed = (call: Call<Req>, next: Sink<Res>) => new Layers(call, next as Sink<unknown>).make(flat);
  return Object.assign(middlewareOf(composed), { [list]: flat });
}

makes(compose);

/** The middleware that one middleware is. */
export function listOf(middleware: Middleware): readonly Middleware[] {
  return (middleware as { [list]?: Middleware[] })[list] ?? [middleware];
}

/**
 * Applies middleware to the calls that match; the others do not pay for it.
 *
 * @example
 * only(call => call.path.startsWith('/shop.'), tracing(), metrics());
 * only(NumberService.service.listNumbers, batch());
 * @throws TypeError when `match` is neither a function nor the definition of a method, a middleware is not a function,
 * or one for streams is to be applied to a method that answers with one message. A `match` that does not answer with a
 * boolean ends its call with `UNKNOWN`.
 */
export function only<Req = any, Res = any>(
  match: ((call: Call<Req>) => boolean) | { readonly path: string; readonly responseStream?: boolean },
  ...middleware: readonly Middleware<Req, Res>[]
): Middleware<Req, Res> {
  const matches = matcherOf(match);
  const composed = compose(...middleware);
  if (typeof match !== 'function') checkPlace(listOf(composed), match);
  return middlewareOf(function only(call, next) {
    return answerOf('match', 'a boolean', matches(call), isBoolean) ? composed(call, next) : undefined;
  });
}

makes(only);

function matcherOf<Req>(match: ((call: Call<Req>) => boolean) | { readonly path: string }) {
  if (typeof match === 'function') return match;
  const path = match?.path;
  if (typeof path !== 'string') throw expected('match', 'a function, or the definition of a method', match);
  return (call: Call<Req>) => call.path === path;
}

/** What composing needs of a call beyond what middleware sees. */
export interface Composing extends Call {
  /** The call was ended: nobody further in has to hear of it. */
  readonly over: boolean;
  /** How the call was ended, as soon as it is. */
  readonly ending: Promise<Outcome>;
  /** Reports work that has not finished in time. */
  watch(work: PromiseLike<unknown>): void;
}

/** The layers of one call, outermost first, as one layer, which has a part if any of them has it. */
class Layers {
  private readonly stages: Stage[] = [];
  /** The innermost stage so far that takes messages. */
  private taking: Stage | undefined;

  constructor(
    private readonly call: Call,
    private readonly next: Sink<unknown>,
  ) {}

  /** Makes the layers from this one of the list on, and waits for those that are promised. */
  make(factories: readonly Middleware[], from: number = 0): Layer<unknown> | Promise<Layer<unknown>> {
    const call = this.call as Composing;
    for (let index = from; index < factories.length && !call.over; index++) {
      const waits = this.add(factories[index] as Middleware);
      if (waits) return waits.then(() => this.make(factories, index + 1));
    }
    return this.composed();
  }

  private add(factory: Middleware): Promise<void> | undefined {
    const stage = new Stage(this.call);
    try {
      const made = factory(this.call, new Next(this.next, this.taking));
      if (isThenable(made)) return this.promised(stage, made, factory);
      this.admit(stage, made, factory);
    } catch (error) {
      this.call.end(outcomeOf(error));
    }
    return undefined;
  }

  /** Waits for a layer while its call is open, and no longer: those that are made hear of the end in time. */
  private async promised(
    stage: Stage,
    made: PromiseLike<Layer<unknown> | void>,
    factory: Middleware,
  ): Promise<void> {
    const call = this.call as Composing;
    try {
      const layer = await Promise.race([made, call.ending]);
      if (!call.over) return this.admit(stage, layer as Layer<unknown> | void, factory);
    } catch (error) {
      if (!call.over) return call.end(outcomeOf(error));
    }
    call.watch(made);
    void this.late(stage, made, factory);
  }

  /** One that comes when its call is over hears of the end all the same: it may hold something. */
  private async late(
    stage: Stage,
    made: PromiseLike<Layer<unknown> | void>,
    factory: Middleware,
  ): Promise<void> {
    const outcome = await (this.call as Composing).ending;
    try {
      stage.layer = layerOf(await made, factory);
      stage.end(outcome);
    } catch {
      // Nobody waits for it any more.
    }
  }

  private admit(stage: Stage, made: Layer<unknown> | void, factory: Middleware): void {
    const layer = layerOf(made, factory);
    if (layer === undefined) return;
    stage.layer = layer;
    this.stages.push(stage);
    if (layer.message === undefined) return;
    stage.take = layer.message;
    this.taking = stage;
  }

  private composed(): Layer<unknown> {
    const { stages, taking } = this;
    const layer: Layer<unknown> = {};
    if (stages.length === 0) return layer;
    layer.end = outcome => this.end(outcome);
    if (taking) {
      const inlet = new Next(this.next, taking);
      layer.message = message => inlet.message(message);
    }
    const starts = stages.filter(stage => stage.layer?.start);
    if (starts.length)
      layer.start = inner => starts.reduceRight((within, stage) => () => stage.start(within), inner)();
    const holds = stages.flatMap(stage => (stage.layer?.ready ? [stage.layer] : []));
    if (holds.length === 1) layer.ready = () => holds[0]?.ready?.();
    else if (holds.length) layer.ready = () => askAll(holds);
    return layer;
  }

  /** Tells the layers, innermost first, and answers how the call ends after all of them. */
  private end(outcome: Outcome): Outcome {
    return this.stages.reduceRight((last, stage) => stage.end(last), outcome);
  }
}

/** What a factory returned; a middleware whose options were forgotten returns a function. */
function layerOf(returned: Layer<unknown> | void, { name }: Middleware): Layer<unknown> | undefined {
  if (returned === undefined || returned === null) return undefined;
  if (typeof returned === 'object') return returned;
  const mistake = expected('a middleware', 'a function that returns a layer or nothing', returned);
  if (typeof returned === 'function' && name)
    mistake.message += `, of \`${name}\`: it may have to be called, \`${name}()\``;
  throw mistake;
}

function askAll(layers: readonly Layer<unknown>[]): void | Promise<void> {
  const pending: PromiseLike<void>[] = [];
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

const nothing = (): void => {};

/** One layer in its place. */
class Stage {
  layer: Layer<unknown> | undefined;
  /** The `message` of the layer, looked up once: layers come in many shapes, which makes that slow. */
  take: (this: unknown, message: unknown) => unknown = nothing;
  ended = false;
  private failure: Outcome | undefined;

  constructor(private readonly call: Call) {}

  start(inner: () => void): void {
    let called = false;
    try {
      const started: unknown = this.layer?.start?.(() => {
        if (called) return this.misused();
        called = true;
        inner();
      });
      if (isThenable(started)) started.then(undefined, error => this.call.end(outcomeOf(error)));
    } catch (error) {
      this.call.end(outcomeOf(error));
    }
  }

  private misused(): void {
    const error = new StatusError(status.INTERNAL, 'a layer called inner() twice in start');
    report(error, this.call);
    this.call.end(outcomeOf(error));
  }

  /** The layer failed on a message: the call ends with that. */
  failed(error: unknown): void {
    this.failure ??= outcomeOf(error);
    this.call.end(this.failure);
  }

  /** What a layer answered with; what is no outcome is reported, and changes nothing. */
  private changed(answer: unknown): Outcome | undefined {
    try {
      return changedOutcome(answer);
    } catch (error) {
      report(error, this.call);
      return undefined;
    }
  }

  /** Tells the layer of the end, once, and answers how the call ends after it. */
  end(outcome: Outcome): Outcome {
    if (this.ended) return outcome;
    this.ended = true;
    // A message that failed on its way out, while the call ended well, was not sent.
    const heard = outcome.reason === 'completed' ? (this.failure ?? outcome) : outcome;
    try {
      const answer: unknown = this.layer?.end?.(heard);
      if (answer === undefined) return heard;
      if (isThenable(answer)) answer.then(undefined, error => report(error, this.call));
      else return this.changed(answer) ?? heard;
      return heard;
    } catch (error) {
      report(error, this.call);
      return heard.reason === 'completed' ? outcomeOf(error) : heard;
    }
  }
}

/** Where a layer sends its messages: to the nearest layer further out that takes them, or to the far end. */
class Next implements Sink<unknown> {
  constructor(
    private readonly far: Sink<unknown>,
    private readonly target: Stage | undefined,
  ) {}

  message(message: unknown): void {
    const { target } = this;
    if (target === undefined) this.far.message(message);
    else if (target.ended) counts.lateMessages += 1;
    else {
      try {
        const taken = target.take.call(target.layer, message);
        if (taken !== undefined && isThenable(taken)) taken.then(undefined, error => target.failed(error));
      } catch (error) {
        target.failed(error);
      }
    }
  }

  /** Until 0.2.0: how layers ended calls and changed outcomes. */
  end(): never {
    throw new TypeError(
      '`next.end` is gone: a layer changes an outcome by returning another one from `end`, and `call.end(outcome)` ends a call early',
    );
  }
}
