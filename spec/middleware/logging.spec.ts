import { Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { pino } from 'pino';
import { type Call, configure, drain, key, type Middleware, StatusError } from '../../lib/index.ts';
import { errors } from '../../middleware/errors.ts';
import { limits } from '../../middleware/limits.ts';
import { type Level, type LoggingOptions, logging } from '../../middleware/logging.ts';
import { type AnySource, type MountName, mountNames, serve, stopAll, until } from '../support/harness.ts';
import { rawCall } from '../support/raw.ts';

const numbers: AnySource = ({ max = 3 }) => Array.from({ length: max }, (_, index) => index + 1);
const failing = (error: unknown): AnySource =>
  async function* () {
    yield 1;
    throw error;
  };

/** Yields once, then waits for the end of the call. */
const parked: AnySource = async function* (_request, call: Call) {
  yield 1;
  await new Promise(resolve => call.signal.addEventListener('abort', resolve));
};

interface Line {
  readonly level: Level;
  readonly text: string;
  readonly fields: any;
}

/** A logger like the console, and the lines it was given. */
function recorder() {
  const lines: Line[] = [];
  const at = (level: Level) => (text: string, fields: object) => void lines.push({ level, text, fields });
  return {
    lines,
    logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
    finished: () => until('the last line', () => lines.at(-1)?.text === 'stream finished'),
  };
}

describe('logging()', () => {
  afterEach(stopAll);
  for (const on of mountNames) describe(`on ${on}`, () => behaves(on));

  describe('options', () => {
    const wrong: [LoggingOptions, string][] = [
      [{ logger: {} as never }, 'Expected `logger.debug` to be a function, got `undefined` (undefined)'],
      [{ logger: null as never }, 'Expected `logger` to be a logger, got `null` (object)'],
      [{ objectFirst: 1 as never }, 'Expected `objectFirst` to be a boolean, got `1` (number)'],
      [{ start: 'no' as never }, 'Expected `start` to be a boolean, got `no` (string)'],
      [
        { slowMs: 0 },
        'Expected `slowMs` to be a number of milliseconds from 1 to 2147483647, got `0` (number)',
      ],
      [{ metadata: 'x-id' as never }, 'Expected `metadata` to be an array of names, got `x-id` (string)'],
      ...['', 'x id', 'x-ïd', ':path'].map((name): [LoggingOptions, string] => [
        { metadata: ['x-id', name] },
        `Expected \`metadata[1]\` to be the name of a header or trailer, got \`${name}\` (string)`,
      ]),
      [{ level: 'info' as never }, 'Expected `level` to be a function, got `info` (string)'],
      [{ fields: {} as never }, 'Expected `fields` to be a function, got `Object` (object)'],
    ];
    for (const [options, sentence] of wrong)
      it(`refuses ${JSON.stringify(options)}`, () => {
        expect(() => logging(options)).to.throw(TypeError, sentence);
      });
  });
});

function behaves(on: MountName): void {
  it('writes a line for the start and one for the end', async () => {
    const { lines, logger } = recorder();
    const server = await serve(on, numbers, [logging({ logger })]);
    await server.call();
    const [started, finished] = lines;
    expect(lines).to.have.length(2);
    expect(started).to.deep.include({ level: 'info', text: 'stream started' });
    expect(started?.fields.path).to.equal('/spec.Service/Stream');
    expect(started?.fields.peer).to.match(/^127\.0\.0\.1:\d+$/);
    expect(finished).to.deep.include({ level: 'info', text: 'stream finished' });
    const { durationMs, peer, ...rest } = finished?.fields ?? {};
    expect(rest).to.deep.equal({
      path: '/spec.Service/Stream',
      code: 'OK',
      reason: 'completed',
      messages: 3,
      bytes: 3,
    });
    expect(durationMs).to.be.within(0.001, 2000);
    expect(peer).to.equal(started?.fields.peer);
  });

  it('S23 does not take it for an error that a client cancels or goes away', async () => {
    const { lines, logger, finished } = recorder();
    const server = await serve(on, parked, [logging({ logger, start: false })]);
    const calling = server.open();
    calling.stream.once('data', () => calling.cancel());
    await calling.reply;
    await finished();
    const raw = rawCall(server.port);
    raw.stream.once('response', () => raw.socket.destroy());
    await until('the second line', () => lines.length === 2);
    expect(lines.map(({ level, fields }) => [level, fields.code, fields.reason])).to.deep.equal([
      ['info', 'CANCELLED', 'cancelled'],
      ['info', 'CANCELLED', 'disconnected'],
    ]);
  });

  it('takes the level from the code, for errors, deadlines and limits', async () => {
    const codes: [status, Level][] = [
      [status.NOT_FOUND, 'info'],
      [status.RESOURCE_EXHAUSTED, 'warn'],
      [status.DATA_LOSS, 'error'],
    ];
    for (const [code, level] of codes) {
      const { lines, logger } = recorder();
      const server = await serve(on, failing(new StatusError(code, 'so it is')), [
        logging({ logger, start: false }),
      ]);
      await server.call();
      expect(lines[0]).to.include({ level });
      expect(lines[0]?.fields).to.include({ code: status[code], reason: 'error', details: 'so it is' });
    }
    const { lines, logger } = recorder();
    const limited = await serve(on, parked, [
      logging({ logger, start: false }),
      limits({ maxStreamAgeMs: 5, jitter: 0 }),
    ]);
    await limited.call();
    const late = await serve(on, parked, [logging({ logger, start: false })]);
    await late.call({}, { deadline: Date.now() + 40 });
    await until('the deadline', () => lines.length === 2);
    expect(lines.map(({ level, fields }) => [level, fields.code, fields.reason])).to.deep.equal([
      ['warn', 'UNAVAILABLE', 'limit'],
      ['warn', 'DEADLINE_EXCEEDED', 'deadline'],
    ]);
  });

  it('takes a shutdown for no error', async () => {
    const { lines, logger } = recorder();
    const deaf: AnySource = async function* () {
      yield 1;
      await new Promise(() => {});
    };
    const server = await serve(on, deaf, [logging({ logger, start: false })]);
    const calling = server.open();
    await new Promise(resolve => calling.stream.once('data', resolve));
    await drain(server.server, { graceMs: 0 });
    expect(lines[0]).to.include({ level: 'info' });
    expect(lines[0]?.fields).to.include({ code: 'UNAVAILABLE', reason: 'drain' });
  });

  it('has the id of an unknown error, and the cause of a known one, once', async () => {
    const { lines, logger } = recorder();
    const list = [logging({ logger, start: false }), errors()];
    const unknown = await serve(on, failing(new Error('canary')), list);
    const { trailer } = await unknown.call();
    expect(lines[0]).to.include({ level: 'error' });
    expect(lines[0]?.fields).to.include({ details: 'internal error', errorId: trailer.get('x-error-id')[0] });
    expect(lines[0]?.fields).not.to.have.property('err');
    const error = new StatusError(status.INTERNAL, 'broken', { cause: new Error('disk') });
    const known = await serve(on, failing(error), list);
    await known.call();
    expect(lines[1]?.fields).not.to.have.property('errorId');
    if (on === 'interceptor') expect(lines[1]?.fields.err.message).to.equal('broken');
    else expect(lines[1]?.fields.err).to.equal(error);
  });

  it('says what a stream waits for, once for each wait, when that is long', async () => {
    const { lines, logger } = recorder();
    const server = await serve(on, parked, [logging({ logger, slowMs: 15, start: false })]);
    const calling = server.open();
    await until('the line', () => lines.length === 1);
    await new Promise(resolve => setTimeout(resolve, 20));
    expect(lines).to.have.length(1);
    expect(lines[0]).to.include({ level: 'warn', text: 'stream waits' });
    expect(lines[0]?.fields).to.include({ waiting: 'source', messages: 1 });
    expect(lines[0]?.fields.waitedMs).to.be.within(15, 1000);
    calling.cancel();

    const client = recorder();
    const block = 'x'.repeat(10_000);
    const endless: AnySource = async function* () {
      for (;;) yield block;
    };
    const stalled = await serve(on, endless, [logging({ logger: client.logger, slowMs: 15, start: false })]);
    const raw = rawCall(stalled.port);
    await until('the line', () => client.lines.length === 1);
    expect(client.lines[0]?.fields).to.include({ waiting: 'flow_control' });
    raw.socket.destroy();
  });

  it('writes to pino, fields first', async () => {
    const written: any[] = [];
    const logger = pino({ base: null }, { write: (line: string) => void written.push(JSON.parse(line)) });
    const error = new StatusError(status.INTERNAL, 'broken');
    const server = await serve(on, failing(error), [logging({ logger })]);
    await server.call();
    expect(written.map(({ level, msg, path }) => ({ level, msg, path }))).to.deep.equal([
      { level: 30, msg: 'stream started', path: '/spec.Service/Stream' },
      { level: 50, msg: 'stream finished', path: '/spec.Service/Stream' },
    ]);
    expect(written[1]).to.include({ code: 'INTERNAL', details: 'broken', messages: 1 });
    expect(written[1].err.message).to.include('broken');
  });

  it('O10 shows only the request metadata that is asked for', async () => {
    const { lines, logger } = recorder();
    const names = ['x-request-id', 'x-key-bin', 'x-absent'];
    const server = await serve(on, numbers, [logging({ logger, start: false, metadata: names })]);
    const metadata = new Metadata();
    metadata.set('authorization', 'secret');
    metadata.set('x-request-id', 'r1');
    metadata.set('x-key-bin', Buffer.from('key'));
    await server.call({}, { metadata });
    expect(lines[0]?.fields.metadata).to.deep.equal({ 'x-request-id': 'r1', 'x-key-bin': 'a2V5' });
    expect(JSON.stringify(lines)).not.to.include('secret');
  });

  it('lets a function choose the level, or no line', async () => {
    const { lines, logger } = recorder();
    const level: LoggingOptions['level'] = ({ code }) => (code === status.OK ? undefined : 'debug');
    const options = { logger, start: false, level };
    await (await serve(on, numbers, [logging(options)])).call();
    await (await serve(on, failing(new Error('x')), [logging(options)])).call();
    expect(lines.map(line => line.level)).to.deep.equal(['debug']);
  });

  it('has in its last line what layers further in found out, and its own fields as they are', async () => {
    const user = key<string>('user');
    const { lines, logger } = recorder();
    const fields = ({ values }: Call) => ({ user: values.get(user), path: 'another', code: 'another' });
    const auth: Middleware = async call => call.values.set(user, 'ann');
    const server = await serve(on, numbers, [logging({ logger, fields }), auth]);
    await server.call();
    expect(lines[0]?.fields).to.not.have.property('user');
    expect(lines[1]?.fields).to.include({ user: 'ann', code: 'OK', path: '/spec.Service/Stream' });
  });

  for (const [what, fields, message] of [
    [
      'fails',
      ({ values }: Call) => values.get(key('user')) as object,
      /^Expected the value of `user` to be set/,
    ],
    ['waits', async () => ({}), /^Expected `fields\(\)` to return an object, got `Promise`.*not waited for/],
    ['has none', () => 'ann' as never, /^Expected `fields\(\)` to return an object, got `ann` \(string\)$/],
  ] as const)
    it(`goes without fields, and reports once, when what gives them ${what}`, async () => {
      const { lines, logger } = recorder();
      const reports: unknown[] = [];
      const loud = configure({ onError: error => reports.push(error) });
      const server = await serve(on, numbers, [loud, logging({ logger, start: false, fields })]);
      await server.call();
      await server.call();
      expect(lines.map(line => line.fields.code)).to.deep.equal(['OK', 'OK']);
      expect(reports).to.have.length(1);
      expect((reports[0] as Error).message).to.match(message);
    });

  it('S22 changes nothing when the logger throws, rejects or chooses badly', async () => {
    const boom = () => {
      throw new Error('no disk');
    };
    const rejects = () => Promise.reject(new Error('no disk'));
    const all = (log: () => unknown) => ({ debug: log, info: log, warn: log, error: log });
    for (const options of [{ logger: all(boom) }, { logger: all(rejects) }, { level: boom }]) {
      const server = await serve(on, numbers, [logging({ logger: all(() => {}), ...options })]);
      const { code, messages } = await server.call();
      expect({ code, messages }).to.deep.equal({ code: 0, messages: [1, 2, 3] });
    }
  });
}
