import { type ServiceError, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import {
  type Call,
  configure,
  type Detail,
  interceptor,
  type Middleware,
  mount,
  type Outcome,
  StatusError,
} from '../../lib/index.ts';
import { defaultSettings } from '../../lib/options.ts';
import { type ErrorRule, type ErrorsOptions, errors } from '../../middleware/errors.ts';
import {
  type AnySource,
  definition,
  type MountName,
  mountNames,
  serve,
  start,
  stopAll,
  until,
} from '../support/harness.ts';

class NotFound extends Error {
  constructor(readonly what: string) {
    super(`no ${what} in /etc/secret`);
  }
}
class NoJob extends NotFound {}
class Plain {}

/** Yields once, then fails. */
const failing = (error: unknown): AnySource =>
  async function* () {
    yield 1;
    throw error;
  };

const withCode = (code: unknown, message = 'secret') => Object.assign(new Error(message), { code });

const defaultHook = defaultSettings().onError;

interface Reported {
  readonly error: unknown;
  readonly id: unknown;
}

/** Hears what is reported, and with which id. */
function reports(): { reported: Reported[]; hook: Middleware } {
  const reported: Reported[] = [];
  const onError = (error: unknown, call: Call) =>
    void reported.push({ error, id: call.trailer.get('x-error-id')[0] });
  return { reported, hook: configure({ onError }) };
}

describe('errors()', () => {
  afterEach(stopAll);
  for (const on of mountNames) describe(`on ${on}`, () => behaves(on));

  it('gives one id to an error, and reports it once, also through a mount and an interceptor', async () => {
    const { reported, hook } = reports();
    const server = await start(
      server => mount(server, definition, { stream: failing(new Error('canary')) }, hook, errors()),
      { interceptors: [interceptor(hook, errors())] },
    );
    const { trailer } = await server.call();
    expect(reported.map(({ id }) => id)).to.deep.equal(trailer.get('x-error-id'));
  });

  describe('options', () => {
    const wrong: [unknown, object | undefined, string][] = [
      [5, undefined, 'Expected `rules` to be a list of rules, got `5` (number)'],
      [
        [RangeError],
        undefined,
        'Expected `rules[0]` to be a pair of what matches and the answer, got `RangeError` (function)',
      ],
      [
        [[Error, 5], 5],
        undefined,
        'Expected `rules[1]` to be a pair of what matches and the answer, got `5` (number)',
      ],
      [[null], undefined, 'Expected `rules[0]` to be a pair of what matches and the answer, got `null`'],
      [[[null, 5]], undefined, 'Expected `rules[0][0]` to be a class, a predicate or a code, got `null`'],
      [
        [
          [Error, 5],
          [Error, 0],
        ],
        undefined,
        'Expected `rules[1][1]` to be a status from 1 to 16, or an object with one, got `0` (number)',
      ],
      [[[Error, { code: 17 }]], undefined, 'from 1 to 16, or an object with one, got `17`'],
      [[], { default: 0 }, 'Expected `default` to be a status from 1 to 16, got `0` (number)'],
      [[], { forward: 'yes' }, 'Expected `forward` to be a boolean, got `yes` (string)'],
      [[], { makeId: 'id' }, 'Expected `makeId` to be a function, got `id` (string)'],
    ];
    for (const [rules, given, sentence] of wrong)
      it(`refuses ${JSON.stringify([rules, given])}`, () => {
        expect(() => errors({ rules: rules as ErrorRule[], ...(given as object) })).to.throw(
          TypeError,
          sentence,
        );
      });
  });
});

function behaves(on: MountName): void {
  /** What the client gets of an error; a handler's own error reaches an interceptor as a status without a class. */
  const answer = async (
    error: unknown,
    rules: Iterable<ErrorRule> = [],
    rest: Omit<ErrorsOptions, 'rules'> = {},
  ) => {
    const server = await serve(on, failing(error), [errors({ rules, ...rest })]);
    const { code, details, messages, trailer } = await server.call();
    expect(messages).to.deep.equal([1]);
    return { code, details, trailer };
  };

  if (on !== 'interceptor') {
    it('maps classes, in order, and says nothing of the error by itself', async () => {
      const rules: ErrorRule[] = [
        [NoJob, { code: status.FAILED_PRECONDITION, details: 'the job is gone' }],
        [NotFound, status.NOT_FOUND],
        [Plain, status.ABORTED],
      ];
      expect(await answer(new NoJob('job'), rules)).to.include({ code: 9, details: 'the job is gone' });
      expect(await answer(new NotFound('user'), rules)).to.include({ code: 5, details: 'not found' });
      expect(await answer(new Plain(), rules)).to.include({ code: 10, details: 'aborted' });
      expect(await answer(new NotFound('user'), rules.toReversed())).to.include({ code: 5 });
    });

    it('maps by predicate, by the code of the error, and by what a function answers', async () => {
      const rules: ErrorRule[] = [
        ['ENOENT', status.NOT_FOUND],
        [11000, { code: status.ALREADY_EXISTS, details: 'there is one already' }],
        [(error: Error) => error.name === 'TimeoutError', status.DEADLINE_EXCEEDED],
        [NotFound, (error: NotFound) => new StatusError(status.NOT_FOUND, `no ${error.what}`)],
        [RangeError, () => status.OUT_OF_RANGE],
      ];
      expect(await answer(withCode('ENOENT'), rules)).to.include({ code: 5, details: 'not found' });
      expect(await answer(withCode(11000), rules)).to.include({ code: 6, details: 'there is one already' });
      const timeout = Object.assign(new Error('slow'), { name: 'TimeoutError' });
      expect(await answer(timeout, rules)).to.include({ code: 4, details: 'deadline exceeded' });
      expect(await answer(new NotFound('user'), rules)).to.include({ code: 5, details: 'no user' });
      expect(await answer(new RangeError('x'), rules)).to.include({ code: 11, details: 'out of range' });
    });

    it('takes a Map of rules', async () => {
      const rules = new Map([[NotFound, status.NOT_FOUND]]);
      expect(await answer(new NotFound('user'), rules)).to.include({ code: 5 });
    });

    it('E4 maps an AbortError that is not the answer to the end of the call', async () => {
      const aborted = new DOMException('This operation was aborted', 'AbortError');
      expect(await answer(aborted, [[DOMException, status.UNAVAILABLE]])).to.include({ code: 14 });
      expect(await answer(aborted)).to.include({ code: 2, details: 'internal error' });
    });

    it('E6 tries the members of an AggregateError', async () => {
      const many = new AggregateError([new Error('x'), new NotFound('user')], 'all failed');
      expect(await answer(many, [[NotFound, status.NOT_FOUND]])).to.include({ code: 5 });
      expect(await answer(many, [[AggregateError, status.UNAVAILABLE]])).to.include({ code: 14 });
      expect(await answer(many)).to.include({ code: 2, details: 'internal error' });
    });
  }

  it('E1 gives an unknown error a fixed text and an id, and reports it once with that id', async () => {
    const { reported, hook } = reports();
    const cause = new Error('the disk', { cause: new Error('of 10.0.0.7') });
    const error = new Error('canary', { cause });
    const server = await serve(on, failing(error), [hook, errors({ rules: [[NotFound, status.NOT_FOUND]] })]);
    const { code, details, trailer } = await server.call();
    expect({ code, details }).to.deep.equal({ code: status.UNKNOWN, details: 'internal error' });
    const [id] = trailer.get('x-error-id');
    expect(id).to.match(/^[0-9a-f-]{36}$/);
    expect(JSON.stringify(trailer.toJSON())).not.to.match(/canary|disk|10\.0/);
    expect(reported).to.have.length(1);
    expect(reported[0]?.id).to.equal(id);
    if (on === 'interceptor') return;
    expect(reported[0]?.error, 'E5 with its cause chain').to.equal(error);
    expect(error.cause).to.equal(cause);
  });

  it('prints the id with the error when nobody asked to hear of errors', async () => {
    const lines: unknown[][] = [];
    const { error } = console;
    console.error = (...line: unknown[]) => void lines.push(line);
    try {
      const unheard = configure({ onError: defaultHook });
      const server = await serve(on, failing(new Error('canary')), [unheard, errors()]);
      const [id] = (await server.call()).trailer.get('x-error-id');
      expect(lines).to.have.length(1);
      expect(lines[0]?.[0]).to.equal(`leat: /spec.Service/Stream: ${id}:`);
      expect(lines[0]?.[1]).to.be.instanceOf(Error);
    } finally {
      console.error = error;
    }
  });

  it('gives unknown errors another code and id when asked, and still reports each once', async () => {
    const { reported, hook } = reports();
    const server = await serve(on, failing(new Error('canary')), [
      hook,
      errors({ default: status.INTERNAL, makeId: (_error, call) => `id of ${call.path}` }),
    ]);
    const { code, details, trailer } = await server.call();
    expect({ code, details }).to.deep.equal({ code: status.INTERNAL, details: 'internal error' });
    expect(trailer.get('x-error-id')).to.deep.equal(['id of /spec.Service/Stream']);
    expect(reported.map(({ id }) => id)).to.deep.equal(['id of /spec.Service/Stream']);
  });

  it('E2 leaves a StatusError as it is, and does not report it', async () => {
    const { reported, hook } = reports();
    const error = new StatusError(status.NOT_FOUND, 'no such job', { cause: new Error('canary') });
    error.metadata?.set('x-own', 'o');
    const server = await serve(on, failing(error), [hook, errors()]);
    const { code, details, trailer } = await server.call();
    expect({ code, details }).to.deep.equal({ code: 5, details: 'no such job' });
    expect(trailer.get('x-error-id')).to.deep.equal([]);
    expect(reported).to.deep.equal([]);
  });

  it('maps a status by its code', async () => {
    const rules: ErrorRule[] = [
      [status.NOT_FOUND, { code: status.PERMISSION_DENIED, details: 'not for you' }],
      [status.UNKNOWN, status.INTERNAL],
    ];
    expect(await answer(new StatusError(5, 'no job'), rules)).to.include({ code: 7, details: 'not for you' });
    expect(await answer(new Error('canary'), rules)).to.include({ code: 13, details: 'internal' });
  });

  it('E3 makes a code that is none UNKNOWN, also when a rule answers it', async () => {
    const codes = [Number.NaN, 11000, 'ENOENT', -1, 1.5, 17];
    // Before an interceptor sees it, grpc-js has made a success of 0.
    if (on !== 'interceptor') codes.push(0);
    for (const code of codes)
      expect(await answer(withCode(code)), `code ${code}`).to.include({ code: 2, details: 'internal error' });
    for (const code of [0, 17, 'NOT_FOUND'])
      expect(await answer(new Error('x'), [[() => true, () => code as never]])).to.include({
        code: 2,
        details: 'internal error',
      });
  });

  it('survives whatever is thrown, and a rule that throws', async () => {
    const thrown = [Object.freeze({}), Object.create(null)];
    // What is no object kills a handler that knows nothing of us before we see it.
    if (on !== 'interceptor') thrown.push(undefined, null, 'text', 42);
    const rules: ErrorRule[] = [
      ['ENOENT', 5],
      [NotFound, 5],
    ];
    for (const error of thrown)
      expect(await answer(error, rules)).to.include({ code: 2, details: 'internal error' });
    const { reported, hook } = reports();
    const rule: ErrorRule = [
      () => {
        throw new Error('a bad rule');
      },
      5,
    ];
    const server = await serve(on, failing(new Error('canary')), [hook, errors({ rules: [rule] })]);
    expect(await server.call()).to.include({ code: 2, details: 'internal error' });
    expect(reported.map(({ error }) => (error as Error).message)).to.deep.equal(['a bad rule', 'canary']);
  });

  it('E7 sends rich details', async () => {
    const detail: Detail = {
      typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo',
      value: Buffer.from('\n\x04full'),
    };
    const full = () => new StatusError(status.RESOURCE_EXHAUSTED, 'full', { details: [detail] });
    const { code, trailer } = await answer(new Error('x'), [[() => true, full]]);
    expect(code).to.equal(status.RESOURCE_EXHAUSTED);
    const any = Buffer.concat([
      Buffer.from([0x0a, 40]),
      Buffer.from(detail.typeUrl),
      Buffer.from([0x12, 6]),
      detail.value,
    ]);
    expect(trailer.get('grpc-status-details-bin')).to.deep.equal([
      Buffer.concat([
        Buffer.from([8, 8, 0x12, 4]),
        Buffer.from('full'),
        Buffer.from([0x1a, any.length]),
        any,
      ]),
    ]);
  });

  it('E8 names the message that is too large, as the core does', async () => {
    const source: AnySource = () => ['small', 'x'.repeat(5000)];
    const server = await serve(on, source, [errors()], { 'grpc.max_send_message_length': 1000 });
    const { code, details } = await server.call();
    expect(code).to.equal(status.RESOURCE_EXHAUSTED);
    const named = 'the message at index 1 of /spec.Service/Stream has 5002 bytes, and 1000 may be sent';
    if (on === 'mount') expect(details).to.equal(named);
  });

  describe('E9 an upstream call that failed', () => {
    /** An error as a grpc-js client raises it. */
    const upstream = async (): Promise<ServiceError> => {
      const other = await start(server =>
        server.addService({ other: { ...definition.stream, path: '/spec.Service/Other' } }, { other() {} }),
      );
      const { stream } = other.open();
      return new Promise(resolve => stream.on('error', error => resolve(error as ServiceError)));
    };
    const forwarding =
      (error: ServiceError): AnySource =>
      () => {
        error.metadata.set('x-address', '10.0.0.7');
        throw error;
      };

    if (on !== 'interceptor')
      it('is not passed on, unless asked', async () => {
        const error = await upstream();
        expect(error.code).to.equal(status.UNIMPLEMENTED);
        const secret = await serve(on, forwarding(error), [errors()]);
        const hidden = await secret.call();
        expect(hidden).to.include({ code: 2, details: 'internal error' });
        expect(hidden.trailer.get('x-address')).to.deep.equal([]);
        const open = await serve(on, forwarding(error), [errors({ forward: true })]);
        const forwarded = await open.call();
        expect(forwarded).to.include({ code: 12, details: error.details });
        expect(forwarded.trailer.get('x-address')).to.deep.equal(['10.0.0.7']);
        expect(forwarded.trailer.get('x-error-id')).to.deep.equal([]);
      });

    it('can be mapped by its code', async () => {
      const rule: ErrorRule = [status.UNIMPLEMENTED, { code: status.UNAVAILABLE, details: 'try later' }];
      const server = await serve(on, forwarding(await upstream()), [errors({ rules: [rule] })]);
      expect(await server.call()).to.include({ code: 14, details: 'try later' });
    });
  });

  it('never remaps how a client, a deadline, a limit or a layer ended a call, nor CANCELLED', async () => {
    const outcomes: Outcome[] = [];
    const seen: Middleware = () => ({ end: outcome => void outcomes.push(outcome) });
    const all = errors({ rules: [[() => true, status.DATA_LOSS]] });
    const parked: AnySource = async function* (_request, call: Call) {
      yield 1;
      await new Promise(resolve => call.signal.addEventListener('abort', resolve));
    };
    const server = await serve(on, parked, [seen, all]);
    const cancelled = server.open();
    cancelled.stream.once('data', () => cancelled.cancel());
    await cancelled.reply;
    await until('the server knows', () => outcomes.length === 1);
    expect(outcomes[0]).to.include({ code: 1, reason: 'cancelled' });
    expect((await server.call({}, { deadline: Date.now() + 40 })).code).to.equal(4);
    const closed: Middleware = call => ({
      start: () => call.end({ code: 14, details: 'full', reason: 'limit' }),
    });
    expect((await (await serve(on, parked, [all, closed])).call()).code).to.equal(14);
    const itself = await serve(on, failing(new StatusError(1, 'I stop')), [all]);
    expect(await itself.call()).to.include({ code: 1, details: 'I stop' });
  });

  it('gives one id to an error that passes twice', async () => {
    const { reported, hook } = reports();
    const twice = [errors(), errors()];
    const server = await serve(on, failing(new Error('canary')), [hook, ...twice]);
    const { trailer } = await server.call();
    expect(trailer.get('x-error-id')).to.have.length(1);
    expect(reported).to.have.length(1);
    expect(reported[0]?.id).to.equal(trailer.get('x-error-id')[0]);
  });
}
