import { status } from '@grpc/grpc-js';
import { isThenable } from '../check.ts';
import { counts } from '../counters.ts';
import { type Inside, insideOf } from '../inside.ts';
import { report } from '../report.ts';
import { changedOutcome, outcomeOf, StatusError } from '../status/status.ts';
import type { Call, Layer, Middleware, Outcome, Sink } from '../types.ts';
import { holdOf, holdOfAll, layerOf, NO_LAYER } from './returned.ts';

/** The layers of one call, outermost first, as one layer, which has a part if any of them has it. */
export class Layers {
  private readonly stages: Stage[] = [];
  /** The innermost stage so far that takes messages. */
  private taking: Stage | undefined;
  /** The outermost one: when it has ended, nothing more comes. */
  private lastTaking: Stage | undefined;
  private starting = false;
  private holding = false;
  private readonly behind: Inside | undefined;

  constructor(
    private readonly call: Call,
    private readonly next: Sink<unknown>,
  ) {
    this.behind = insideOf(call);
  }

  /** Makes the layers from this one of the list on, and waits for those that are promised. */
  make(factories: readonly Middleware[], from: number = 0): Layer<unknown> | Promise<Layer<unknown>> {
    for (let index = from; index < factories.length && !this.behind?.over; index++) {
      const waits = this.add(factories[index] as Middleware);
      if (waits) return waits.then(() => this.make(factories, index + 1));
    }
    return this.composed();
  }

  private add(factory: Middleware): Promise<void> | undefined {
    const stage = new Stage(this.call, this.behind);
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
    const { behind } = this;
    try {
      const layer = await (behind ? Promise.race([made, behind.ending]) : made);
      if (!behind?.over) return this.admit(stage, layer as Layer<unknown> | void, factory);
    } catch (error) {
      if (!behind?.over) return this.call.end(outcomeOf(error));
    }
    behind.watch(made);
    void this.late(stage, made, factory, behind.ending);
  }

  /** One that comes when its call is over hears of the end all the same: it may hold something. */
  private async late(
    stage: Stage,
    made: PromiseLike<Layer<unknown> | void>,
    factory: Middleware,
    ending: Promise<Outcome>,
  ): Promise<void> {
    const outcome = await ending;
    try {
      stage.layer = layerOf(await made, factory);
      stage.end(outcome);
    } catch (error) {
      this.behind?.layerFailed(error);
    }
  }

  private admit(stage: Stage, made: Layer<unknown> | void, factory: Middleware): void {
    const layer = layerOf(made, factory);
    if (layer === undefined) return;
    stage.layer = layer;
    this.stages.push(stage);
    if (layer.start) this.starting = true;
    if (layer.ready) this.holding = true;
    if (!layer.message) return;
    stage.take = layer.message;
    this.taking = stage;
    this.lastTaking ??= stage;
  }

  private composed(): Layer<unknown> {
    const { stages, taking } = this;
    if (stages.length === 0) return NO_LAYER;
    // Of layers within others, what they send is not yet sent.
    const judge = (this.behind as unknown) === this.next ? this.behind : undefined;
    const layer = new Composed(stages, judge, this.lastTaking);
    if (taking) {
      const inlet = new Next(this.next, taking);
      layer.message = message => inlet.message(message);
    }
    if (this.starting) {
      const starts = stages.filter(stage => stage.layer?.start);
      layer.start = inner => starts.reduceRight((within, stage) => () => stage.start(within), inner)();
    }
    if (this.holding) {
      const holds = stages.flatMap(stage => (stage.layer?.ready ? [stage.layer] : []));
      const [only] = holds;
      layer.ready = only && holds.length === 1 ? () => holdOf(only) : () => holdOfAll(holds);
    }
    return layer;
  }
}

type Parts = Required<Layer<unknown>>;

/** Layers as one; most have an end alone. */
class Composed implements Layer<unknown> {
  message?: Parts['message'];
  start?: Parts['start'];
  ready?: Parts['ready'];

  constructor(
    private readonly stages: readonly Stage[],
    private readonly judge: Pick<Inside, 'judged'> | undefined,
    private readonly lastTaking: Stage | undefined,
  ) {}

  /** Tells the layers, innermost first, and answers how the call ends after all of them. */
  end(outcome: Outcome): Outcome {
    const { judge, lastTaking } = this;
    const judged = (last: Outcome) => (judge ? judge.judged(last) : last);
    const first = lastTaking ? outcome : judged(outcome);
    return this.stages.reduceRight((last, stage) => {
      const ended = stage.end(last);
      return stage === lastTaking ? judged(ended) : ended;
    }, first);
  }
}

const nothing = (): void => {};

/** One layer in its place. */
class Stage {
  layer: Layer<unknown> | undefined;
  /** The `message` of the layer, looked up once: layers come in many shapes, which makes that slow. */
  take: (this: unknown, message: unknown) => unknown = nothing;
  ended = false;
  private failure: Outcome | undefined;

  constructor(
    private readonly call: Call,
    private readonly behind: Inside | undefined,
  ) {}

  start(inner: () => void): void {
    let called = false;
    try {
      const started: unknown = this.layer?.start?.(() => {
        if (called) return this.misused();
        called = true;
        inner();
      });
      if (isThenable(started)) started.then(undefined, error => this.startFailed(error));
    } catch (error) {
      this.startFailed(error);
    }
  }

  private startFailed(error: unknown): void {
    if (this.behind) this.behind.layerFailed(error);
    else this.call.end(outcomeOf(error));
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

  /** A message comes to it after its end. */
  late(): void {
    if (this.behind) this.behind.lateMessage();
    else counts.lateMessages += 1;
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
      if (isThenable(answer)) answer.then(undefined, error => report(error, this.call));
      else if (answer !== undefined) return this.changed(answer) ?? heard;
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
    else if (target.ended) target.late();
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
