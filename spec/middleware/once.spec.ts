import { createHash } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { compose, interceptor, type Middleware, mount, produce, StatusError, wrap } from '../../lib/index.ts';
import { batch } from '../../middleware/batch.ts';
import { checksum } from '../../middleware/checksum.ts';
import { errors } from '../../middleware/errors.ts';
import { heartbeat } from '../../middleware/heartbeat.ts';
import { limits } from '../../middleware/limits.ts';
import { logging } from '../../middleware/logging.ts';
import { metadata } from '../../middleware/metadata.ts';
import {
  type AnySource,
  definition,
  handWritten,
  quiet,
  type Running,
  start,
  stopAll,
  until,
} from '../support/harness.ts';

const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

/** The ways in which one middleware may come to stand twice on a call. */
const twice: Record<string, (source: AnySource, list: Middleware) => Promise<Running>> = {
  'interceptor and mount': (source, list) =>
    start(server => mount(server, definition, { stream: source }, quiet, list), {
      interceptors: [interceptor(quiet, list)],
    }),
  'interceptor and produce': (source, list) =>
    start(server => server.addService(definition, { stream: produce(source, quiet, list) }), {
      interceptors: [interceptor(quiet, list)],
    }),
  'interceptor and wrap': (source, list) =>
    start(
      server => server.addService(definition, { stream: wrap(handWritten(source).handler, quiet, list) }),
      { interceptors: [interceptor(quiet, list)] },
    ),
  'two interceptors': (source, list) =>
    start(server => mount(server, definition, { stream: source }, quiet), {
      interceptors: [interceptor(quiet, list), interceptor(quiet, list)],
    }),
  'mount and produce': (source, list) =>
    start(server => mount(server, definition, { stream: produce(source, list) as never }, quiet, list)),
  'one list, two times': (source, list) =>
    start(server => mount(server, definition, { stream: source }, quiet, list, list)),
};

describe('a middleware that stands twice on a call', () => {
  afterEach(stopAll);
  for (const [where, serve] of Object.entries(twice)) describe(where, () => worksOnce(serve));

  it('is two when it is two of a kind: both limits hold, both loggers write', async () => {
    const parked: AnySource = async function* (_request, { signal }) {
      yield 1;
      await new Promise(resolve => signal.addEventListener('abort', resolve));
    };
    const ends: string[] = [];
    const to = (name: string) => {
      const line = (text: string) => ends.push(`${name}: ${text}`);
      return logging({ logger: { debug: line, info: line, warn: line, error: line }, start: false });
    };
    for (const [outer, inner] of [
      [1, 9],
      [9, 1],
    ] as const) {
      ends.length = 0;
      const server = await start(
        server =>
          mount(server, definition, { stream: parked }, quiet, to('inner'), limits({ maxStreams: inner })),
        { interceptors: [interceptor(quiet, to('outer'), limits({ maxStreams: outer }))] },
      );
      const first = server.open();
      await new Promise(resolve => first.stream.once('data', resolve));
      expect((await server.call()).code).to.equal(status.RESOURCE_EXHAUSTED);
      first.cancel();
      await until('both have ended', () => ends.length === (outer === 1 ? 3 : 4));
      expect(ends.slice(-2).sort()).to.deep.equal(['inner: stream finished', 'outer: stream finished']);
    }
  });
});

/** An interceptor alone sees statuses, and not what was thrown. */
function worksOnce(serve: (source: AnySource, list: Middleware) => Promise<Running>): void {
  it('limits() takes one slot, and gives it back', async () => {
    const server = await serve(() => [1, 2], limits({ maxStreams: 1, maxStreamsPerPeer: 1 }));
    for (let i = 0; i < 3; i++) {
      const { code, messages } = await server.call();
      expect({ code, messages }).to.deep.equal({ code: 0, messages: [1, 2] });
    }
  });

  it('logging() writes one line for the start and one for the end', async () => {
    const lines: unknown[] = [];
    const line = (text: string, { code, messages }: any) => lines.push([text, code, messages]);
    const server = await serve(
      () => [1, 2],
      logging({ logger: { debug: line, info: line, warn: line, error: line } }),
    );
    await server.call();
    await sleep(5);
    expect(lines).to.deep.equal([
      ['stream started', undefined, undefined],
      ['stream finished', 'OK', 2],
    ]);
  });

  it('heartbeat() beats once', async () => {
    const beats: number[] = [];
    const server = await serve(
      async function* () {
        await sleep(20);
        await sleep(20);
        yield 1;
      },
      heartbeat({
        everyMs: 30,
        make() {
          beats.push(performance.now());
          return { beat: true };
        },
      }),
    );
    const { messages } = await server.call();
    expect(messages).to.have.length(beats.length + 1);
    for (const [index, at] of beats.slice(1).entries()) expect(at - (beats[index] as number)).to.be.above(25);
  });

  it('batch() merges once', async () => {
    const server = await serve(
      () => [1, 2, 3, 4],
      batch({ maxItems: 2, merge: (list: unknown[]): any => ({ list }) }),
    );
    expect((await server.call()).messages).to.deep.equal([{ list: [1, 2] }, { list: [3, 4] }]);
  });

  it('errors() maps once, where the error was thrown, and gives one id', async () => {
    let made = 0;
    const mapping = errors({
      rules: [
        [RangeError, status.NOT_FOUND],
        [status.NOT_FOUND, status.DATA_LOSS],
        [status.ALREADY_EXISTS, status.ABORTED],
      ],
      makeId: () => `id-${++made}`,
    });
    const thrown = [new RangeError('no'), new StatusError(status.ALREADY_EXISTS, 'is there'), new Error('?')];
    const server = await serve(({ index }) => {
      throw thrown[index];
    }, mapping);
    const replies = await Promise.all([0, 1, 2].map(index => server.call({ index })));
    expect(replies.map(({ code }) => code)).to.deep.equal([status.NOT_FOUND, status.ABORTED, status.UNKNOWN]);
    expect(replies[2]?.trailer.get('x-error-id')).to.deep.equal([`id-${made}`]);
    expect(made).to.equal(1);
  });

  it('metadata() and checksum() send each once', async () => {
    const fields = metadata({ header: { 'x-one': 'a' }, trailer: { 'x-two': 'b', 'x-three': () => 'c' } });
    const server = await serve(
      () => [1, 2],
      compose(fields, checksum({ bytes: message => String(message) })),
    );
    const { header, trailer } = await server.call();
    expect(header?.get('x-one')).to.deep.equal(['a']);
    expect(trailer.get('x-two')).to.deep.equal(['b']);
    expect(trailer.get('x-three')).to.deep.equal(['c']);
    expect(trailer.get('x-checksum')).to.deep.equal([createHash('sha256').update('12').digest('hex')]);
  });
}
