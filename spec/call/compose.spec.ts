import { Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import fc from 'fast-check';
import { ServerCall } from '../../lib/call/call.ts';
import {
  compose,
  configure,
  interceptor,
  type Layer,
  type Middleware,
  mount,
  only,
  produce,
  StatusError,
  wrap,
} from '../../lib/index.ts';
import { outcomeOf } from '../../lib/status/status.ts';
import { TestPort } from '../../lib/testing/test-port.ts';
import type { Delivery, WireStatus } from '../../lib/wire/port.ts';
import { definition } from '../support/harness.ts';

/** What one layer of a random list does, phase by phase. */
interface Plan {
  readonly factory: 'makes' | 'makes nothing' | 'throws' | 'ends';
  readonly start: 'none' | 'passes' | 'throws' | 'ends' | 'never passes' | 'passes twice';
  readonly message: 'none' | 'passes' | 'drops' | 'doubles' | 'replaces' | 'throws' | 'ends';
  readonly end: 'none' | 'listens' | 'throws' | 'passes' | 'changes' | 'flushes' | 'ends twice';
}

const mostly = <T extends string>(usual: readonly T[], ...rare: T[]) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...usual) },
    { weight: 1, arbitrary: fc.constantFrom(...rare) },
  );

const plan: fc.Arbitrary<Plan> = fc.record<Plan>({
  factory: mostly(['makes', 'makes', 'makes', 'makes nothing'], 'throws', 'ends'),
  start: mostly(['none', 'passes'], 'throws', 'ends', 'never passes', 'passes twice'),
  message: mostly(['none', 'passes', 'drops', 'doubles', 'replaces'], 'throws', 'ends'),
  end: mostly(['none', 'listens', 'passes'], 'throws', 'changes', 'flushes', 'ends twice'),
});

/** How the source goes: some messages, then one of these. */
interface Script {
  readonly messages: number;
  readonly last: 'completes' | 'fails' | 'is cancelled';
}

const script: fc.Arbitrary<Script> = fc.record({
  messages: fc.nat(4),
  last: fc.constantFrom('completes', 'fails', 'is cancelled'),
});

const failure = (name: string) => new StatusError(status.ABORTED, `${name} failed`);

const cutShort = (name: string) =>
  ({ code: status.RESOURCE_EXHAUSTED, details: `${name} ended it`, reason: 'limit' }) as const;

/** A middleware that does as planned and writes down what happens to it. */
function planned({ factory, start, message, end }: Plan, name: string, log: string[]): Middleware {
  return (call, next) => {
    log.push(`${name} made`);
    if (factory === 'throws') throw failure(name);
    if (factory === 'makes nothing') return;
    if (factory === 'ends') call.end(cutShort(name));
    const layer: Layer<string> = {};
    if (start !== 'none')
      layer.start = inner => {
        log.push(`${name} start`);
        if (start === 'throws') throw failure(name);
        if (start === 'ends') call.end(cutShort(name));
        if (start === 'passes' || start === 'passes twice') inner();
        if (start === 'passes twice') inner();
      };
    if (message !== 'none')
      layer.message = given => {
        log.push(`${name} message ${given}`);
        if (message === 'throws') throw failure(name);
        if (message === 'ends') call.end(cutShort(name));
        if (message === 'passes' || message === 'doubles') next.message(given);
        if (message === 'doubles') next.message(`${given}'`);
        if (message === 'replaces') next.message(`${name}(${given})`);
      };
    if (end !== 'none')
      layer.end = outcome => {
        log.push(`${name} end ${outcome.code} ${outcome.reason}`);
        if (end === 'throws') throw failure(name);
        if (end === 'flushes') next.message(`rest of ${name}`);
        if (end === 'changes') return { ...outcome, details: `changed by ${name}` };
        if (end === 'ends twice') call.end(cutShort(name));
        return end === 'passes' ? outcome : undefined;
      };
    return layer;
  };
}

/** A transport that writes down what it is given, and takes it at once. */
class LogPort extends TestPort {
  constructor(private readonly log: string[]) {
    super({ slowByMs: 0, serialize: undefined, took: () => {} });
  }

  override open(): Delivery {
    const message = (sent: unknown) => void this.log.push(`wire ${sent}`);
    return {
      room: true,
      idle: true,
      held: false,
      brief: false,
      pendingBytes: 0,
      takenAt: undefined,
      message,
      flush() {},
      close() {},
    };
  }

  override status({ code, details }: WireStatus): void {
    this.log.push(`status ${code} ${details}`);
  }
}

/** Runs one call through a middleware; what went over the wire is in the log too. */
function drive(middleware: Middleware, log: string[], { messages, last }: Script): void {
  const port = new LogPort(log);
  const origin = {
    getPath: () => '/spec.Service/Stream',
    metadata: new Metadata(),
    getPeer: () => '127.0.0.1:1',
    getHost: () => 'localhost',
    getDeadline: () => Number.POSITIVE_INFINITY,
  };
  const call = new ServerCall(origin, {}, port);
  const quiet = configure({ onError: () => {} });
  call.begin(compose(quiet, middleware), () => {
    log.push('source');
    for (let i = 0; i < messages; i++) if (call.open) call.messages.message(`m${i}`);
    if (last === 'completes') call.end({ code: status.OK, details: 'OK', reason: 'completed' });
    if (last === 'fails') call.end(outcomeOf(failure('source')));
  });
  call.clientLeft();
}

/** The log of a list of plans, put together by `compose`. */
function logOf(plans: readonly Plan[], given: Script, compose: (list: Middleware[]) => Middleware): string[] {
  const log: string[] = [];
  drive(compose(plans.map((one, index) => planned(one, 'abcdef'.charAt(index), log))), log, given);
  return log;
}

const plans = fc.array(plan, { maxLength: 6 });
const runs = { numRuns: Number(process.env.LEAT_RUNS ?? 2000) };

describe('compose()', () => {
  const flat = (list: Middleware[]) => compose(...list);

  it('is associative, however it is nested, and whatever throws or ends', () => {
    const cuts = fc.infiniteStream(fc.nat(6));
    fc.assert(
      fc.property(plans, script, cuts, (list, given, cut) => {
        const nest = (part: Middleware[]): Middleware => {
          const at = cut.next().value % (part.length + 1);
          if (part.length < 2 || at === 0) return compose(...part);
          return compose(nest(part.slice(0, at)), compose(), nest(part.slice(at)));
        };
        expect(logOf(list, given, nest)).to.deep.equal(logOf(list, given, flat));
      }),
      runs,
    );
  });

  it('of nothing is the identity, on both sides', () => {
    fc.assert(
      fc.property(plan, script, (one, given) => {
        const bare = logOf([one], given, ([middleware]) => middleware as Middleware);
        expect(logOf([one], given, flat)).to.deep.equal(bare);
        expect(
          logOf([one], given, ([middleware]) => compose(compose(), middleware as Middleware)),
        ).to.deep.equal(bare);
        expect(
          logOf([one], given, ([middleware]) => compose(middleware as Middleware, compose())),
        ).to.deep.equal(bare);
      }),
      runs,
    );
  });

  it('of nothing costs nothing', () => {
    expect(compose()({} as never, {} as never)).to.deep.equal({});
  });

  it('gives what none of its layers has to nobody', () => {
    const layer = compose(
      () => ({ end() {} }),
      () => {},
      () => ({ ready() {} }),
    )({} as never, {} as never) as Layer<unknown>;
    const parts = ['start', 'message', 'ready', 'end'] as const;
    expect(parts.filter(part => layer[part] !== undefined)).to.deep.equal(['ready', 'end']);
  });

  it('makes outermost first, starts outermost first, ends innermost first', () => {
    const passing = fc.constant<Plan>({
      factory: 'makes',
      start: 'passes',
      message: 'passes',
      end: 'listens',
    });
    fc.assert(
      fc.property(fc.array(passing, { minLength: 1, maxLength: 6 }), fc.nat(3), (list, messages) => {
        const names = [...'abcdef'].slice(0, list.length);
        const inwards = (what: string) => names.map(name => `${name} ${what}`);
        const outwards = (what: string) => inwards(what).reverse();
        expect(logOf(list, { messages, last: 'completes' }, flat)).to.deep.equal([
          ...inwards('made'),
          ...inwards('start'),
          'source',
          ...Array.from({ length: messages }, (_, i) => [...outwards(`message m${i}`), `wire m${i}`]).flat(),
          ...outwards('end 0 completed'),
          'status 0 OK',
        ]);
      }),
    );
  });

  it('ends every layer it made exactly once, innermost first, and the call once', () => {
    fc.assert(
      fc.property(plans, script, (list, given) => {
        const listening = list.map(one => (one.end === 'none' ? { ...one, end: 'listens' as const } : one));
        const log = logOf(listening, given, flat);
        const ended = log.flatMap(line => /^(.) end/.exec(line)?.[1] ?? []);
        const made = log
          .flatMap(line => /^(.) made/.exec(line)?.[1] ?? [])
          .filter(name => ['makes', 'ends'].includes(listening['abcdef'.indexOf(name)]?.factory ?? ''));
        expect(ended).to.deep.equal(made.reverse());
        expect(log.filter(line => line.startsWith('status')).length).to.be.at.most(1);
        if (given.last !== 'is cancelled' && log.includes('source'))
          expect(log.filter(line => line.startsWith('status'))).to.have.length(1);
      }),
      runs,
    );
  });

  it('sends the status that the outermost layer heard', () => {
    const listener: Plan = { factory: 'makes', start: 'none', message: 'none', end: 'listens' };
    fc.assert(
      fc.property(fc.array(plan, { maxLength: 5 }), script, (list, given) => {
        const log = logOf([listener, ...list], given, flat);
        const heard = log.flatMap(line => /^a end (\d+)/.exec(line)?.[1] ?? []);
        const sent = log.flatMap(line => /^status (\d+)/.exec(line)?.[1] ?? []);
        expect(heard).to.have.length(1);
        if (sent.length > 0) expect(sent).to.deep.equal(heard);
      }),
      runs,
    );
  });

  it('gives no layer a message before its start or after its end', () => {
    fc.assert(
      fc.property(plans, script, (list, given) => {
        const log = logOf(list, given, flat);
        for (const [index, { start, end }] of list.entries()) {
          const name = 'abcdef'.charAt(index);
          const own = log.filter(line => line.startsWith(`${name} `)).map(line => line.split(' ')[1]);
          const messages = own.flatMap((what, at) => (what === 'message' ? [at] : []));
          if (messages.length === 0) continue;
          if (start !== 'none') expect(own.indexOf('start')).to.be.below(messages[0] as number);
          if (end !== 'none') expect(own.indexOf('end')).to.be.above(messages.at(-1) as number);
        }
        const status = log.findIndex(line => line.startsWith('status'));
        if (status !== -1) expect(log.findLastIndex(line => line.startsWith('wire'))).to.be.below(status);
      }),
      runs,
    );
  });

  it('asks every `ready`, outermost first, and waits for all that answer with a promise', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom('now', 'later', 'none'), { maxLength: 6 }), async answers => {
        const log: string[] = [];
        const list = answers.map(
          (answer, index): Middleware =>
            () =>
              answer === 'none'
                ? {}
                : {
                    ready() {
                      log.push(`asked ${index}`);
                      return answer === 'later'
                        ? Promise.resolve().then(() => void log.push(`let ${index}`))
                        : undefined;
                    },
                  },
        );
        const answer = (compose(...list)({} as never, {} as never) as Layer<unknown>).ready?.();
        expect(answer instanceof Promise).to.equal(answers.includes('later'));
        await answer;
        const of = (kinds: string[], what: string) =>
          answers.flatMap((kind, index) => (kinds.includes(kind) ? [`${what} ${index}`] : []));
        expect(log).to.deep.equal([...of(['now', 'later'], 'asked'), ...of(['later'], 'let')]);
      }),
    );
  });

  it('does not keep the list it was given', () => {
    const log: string[] = [];
    const list = [planned({ factory: 'makes', start: 'none', message: 'none', end: 'none' }, 'a', log)];
    const composed = compose(...list);
    list.push(planned({ factory: 'throws', start: 'none', message: 'none', end: 'none' }, 'b', log));
    drive(composed, log, { messages: 0, last: 'completes' });
    expect(log).to.deep.equal(['a made', 'source', 'status 0 OK']);
  });

  it('M2 answers INTERNAL when a layer calls inner() twice in start', () => {
    const twice: Plan = { factory: 'makes', start: 'passes twice', message: 'none', end: 'listens' };
    // A source that is already done when it is started again has done no harm.
    expect(logOf([twice], { messages: 1, last: 'is cancelled' }, flat)).to.deep.equal([
      'a made',
      'a start',
      'source',
      'wire m0',
      'a end 13 error',
      'status 13 a layer called inner() twice in start',
    ]);
  });
});

describe('only()', () => {
  it('is the middleware where it matches, and nothing where it does not', () => {
    fc.assert(
      fc.property(plan, script, (one, given) => {
        const bare = logOf([one], given, ([middleware]) => middleware as Middleware);
        const matching = logOf([one], given, ([middleware]) => only(() => true, middleware as Middleware));
        const other = logOf([one], given, ([middleware]) => only(() => false, middleware as Middleware));
        expect(matching).to.deep.equal(bare);
        expect(other).to.deep.equal(logOf([], given, list => compose(...list)));
      }),
      runs,
    );
  });

  it('goes over every part of a list', () => {
    fc.assert(
      fc.property(plans, script, fc.boolean(), (list, given, matches) => {
        const whole = logOf(list, given, parts => only(() => matches, compose(...parts)));
        const each = logOf(list, given, parts => compose(...parts.map(part => only(() => matches, part))));
        expect(whole).to.deep.equal(each);
      }),
      runs,
    );
  });

  it('looks at the call', () => {
    const log: string[] = [];
    const named = planned({ factory: 'makes', start: 'none', message: 'none', end: 'none' }, 'a', log);
    drive(
      only(call => call.path.startsWith('/spec.'), named),
      log,
      { messages: 0, last: 'completes' },
    );
    drive(
      only(call => call.path.startsWith('/other.'), named),
      log,
      { messages: 0, last: 'completes' },
    );
    expect(log).to.deep.equal(['a made', 'source', 'status 0 OK', 'source', 'status 0 OK']);
  });

  it('ends the call when it is not told yes or no, also by a promise that rejects', () => {
    for (const answer of [Promise.resolve(true), Promise.reject(new Error('later')), 'yes', 1, undefined]) {
      const log: string[] = [];
      drive(
        only((() => answer) as never, () => {}),
        log,
        { messages: 1, last: 'completes' },
      );
      expect(log).to.deep.equal(['status 2 internal error']);
    }
  });

  it('ends the call when it cannot tell', () => {
    const log: string[] = [];
    const torn = () => {
      throw failure('match');
    };
    drive(
      only(torn, () => {}),
      log,
      { messages: 1, last: 'completes' },
    );
    expect(log).to.deep.equal(['status 10 match failed']);
  });
});

describe('misuse', () => {
  const layer: Middleware = () => {};
  const handler = () => {};
  const server = { addService() {} } as never;
  const unnamed = Object.create(null);
  for (const [misuse, message] of [
    [() => compose(7 as never), 'Expected `middleware[0]` to be a function, got `7` (number)'],
    [() => compose(layer, {} as never), 'Expected `middleware[1]` to be a function, got `Object` (object)'],
    [() => compose([layer] as never), 'Expected `middleware[0]` to be a function, got `Array` (object)'],
    [
      () => only('x' as never, layer),
      'Expected `match` to be a function, or the definition of a method, got `x` (string)',
    ],
    [() => only(() => true, null as never), 'Expected `middleware[0]` to be a function, got `null` (object)'],
    [() => produce(undefined as never), 'Expected `method` to be a function, got `undefined` (undefined)'],
    [() => produce(() => [], 1n as never), 'Expected `middleware[0]` to be a function, got `1` (bigint)'],
    [() => wrap('x' as never), 'Expected `target` to be a handler or an implementation, got `x` (string)'],
    [
      () => wrap(null as never),
      'Expected `target` to be a handler or an implementation, got `null` (object)',
    ],
    [() => wrap(handler, 7 as never), 'Expected `middleware[0]` to be a function, got `7` (number)'],
    [
      () => interceptor(layer, true as never),
      'Expected `middleware[1]` to be a function, got `true` (boolean)',
    ],
    [() => mount(7 as never, definition, {}), 'Expected `server` to be a grpc.Server, got `7` (number)'],
    [
      () => mount(server, undefined as never, {} as never),
      'Expected `definition` to be a service definition, got `undefined` (undefined)',
    ],
    [
      () => mount(server, definition, 7 as never),
      'Expected `methods` to be an object of methods, got `7` (number)',
    ],
    [
      () => mount(server, definition, { stream: 7 as never }),
      'Expected `methods.stream` to be a method or a handler, got `7` (number)',
    ],
    [
      () => mount(server, definition, { steam: () => [] } as never),
      'Expected a method of the service, got `steam`: did you mean `stream`?',
    ],
    [
      () => mount(server, definition, {}, Symbol('x') as never),
      'Expected `middleware[0]` to be a function, got `Symbol(x)` (symbol)',
    ],
    [
      () => configure({ maxUnackedMessages: 0 }),
      'Expected `maxUnackedMessages` to be an integer from 1 and up, got `0` (number)',
    ],
    [
      () => configure({ maxUnackedBytes: 1.5 }),
      'Expected `maxUnackedBytes` to be an integer from 1 and up, got `1.5` (number)',
    ],
    [
      () => configure({ cleanupGraceMs: Number.NaN }),
      'Expected `cleanupGraceMs` to be a number of milliseconds from 0 to 2147483647, got `NaN` (number)',
    ],
    [
      () => configure({ cleanupGraceMs: '5' as never }),
      'Expected `cleanupGraceMs` to be a number of milliseconds from 0 to 2147483647, got `5` (string)',
    ],
    [() => configure({ onError: unnamed }), 'Expected `onError` to be a function, got `object` (object)'],
    [
      () => configure({ onOrphan: 'log' as never }),
      'Expected `onOrphan` to be a function, got `log` (string)',
    ],
    [() => new StatusError(0, 'no error'), 'Expected `code` to be a status from 1 to 16, got `0` (number)'],
    [
      () => new StatusError(5, undefined as never),
      'Expected `details` to be a string, got `undefined` (undefined)',
    ],
  ] as const)
    it(message, () => {
      expect(misuse).to.throw(TypeError, message);
    });

  it('of a value that cannot be shown says so', () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(() => compose(proxy as never)).to.throw(TypeError, 'got `unprintable` (object)');
  });
});
