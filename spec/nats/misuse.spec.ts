import { status } from '@grpc/grpc-js';
import { jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { expect } from 'chai';
import { jetstreamTopic } from '../../lib/nats/index.ts';
import { Publisher } from '../../lib/nats/publisher.ts';
import { taken } from '../sources/tools.ts';
import { until } from '../support/harness.ts';
import {
  configFile,
  infoOf,
  leaveAll,
  type NatsServer,
  nats,
  open,
  span,
  startNats,
  stopNats,
} from '../support/nats.ts';
import { takePort } from '../support/program.ts';

const rejected = async (promise: Promise<unknown>): Promise<any> => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not reject');
};

describe('jetstreamTopic() without NATS', () => {
  const nc = { status: () => [] };
  const wrong: [string, Record<string, unknown>, RegExp][] = [
    ['no stream', { stream: undefined }, /`stream` to be the name of a stream/],
    ['a stream with dots', { stream: 'a.b' }, /`stream` to be the name of a stream/],
    ['a stream with half a character', { stream: 'a\ud800' }, /`stream` to be the name of a stream/],
    ['a stream with a long name', { stream: 'x'.repeat(256) }, /`stream` to be the name of a stream/],
    ['no subject', { subject: undefined }, /`subject` to be a subject of NATS without wildcards/],
    ['a subject with wildcards', { subject: 'a.*' }, /`subject` to be a subject of NATS without wildcards/],
    ['a subject with blanks', { subject: 'a b' }, /`subject` to be/],
    ['nothing to read', { subjects: [] }, /`subjects` to be at least one subject/],
    ['subjects that are none', { subjects: ['a', 'a..b'] }, /`subjects` to be a subject of NATS/],
    ['subjects twice', { subjects: ['a.*', '*.b'] }, /`subjects` to be subjects of which none matches/],
    ['words behind `>`', { subjects: 'a.>.b' }, /`subjects` to be a subject of NATS/],
    ['a prefix with wildcards', { apiPrefix: '$JS.*.API' }, /`apiPrefix` to be a subject of NATS without/],
    ['a prefix that is none', { apiPrefix: '' }, /`apiPrefix` to be a subject of NATS without wildcards/],
    ['a `create` that is none', { create: true }, /`create` to be the settings of a stream/],
    ['a codec that is none', { decode: 'json' }, /`decode` to be a function/],
    ['another codec', { encode: {} }, /`encode` to be a function/],
    ['a listener that is none', { onEvent: 1 }, /`onEvent` to be a function/],
    ['a history below 0', { history: -1 }, /`history` to be an integer from 0/],
    ['no capacity', { capacity: 0 }, /`capacity` to be an integer from 1/],
    ['conflate without key', { overflow: 'conflate' }, /`key` to be a function for `conflate`/],
    ['another word for poison', { poison: 'drop' }, /`poison` to be one of `fail`, `skip`/],
    ['another word for gaps', { gaps: 'fine' }, /`gaps` to be one of/],
    ['an awayMs that is none', { awayMs: Number.NaN }, /`awayMs` to be a number of milliseconds/],
    ['no catch-ups', { maxCatchUps: 0 }, /`maxCatchUps` to be an integer from 1/],
    ['a name that nobody knows', { subjets: 'a' }, /did you mean `subjects?`/],
  ];
  for (const [what, options, message] of wrong)
    it(`refuses ${what}`, async () => {
      const error = await rejected(
        jetstreamTopic(nc as never, { stream: 'a', subject: 'a', ...options } as never),
      );
      expect(error).to.be.instanceOf(TypeError);
      expect(error.message).to.match(message);
    });

  it('refuses what is no connection', async () => {
    for (const nc of [undefined, null, 'nats://localhost', {}])
      expect((await rejected(jetstreamTopic(nc as never, { stream: 'a', subject: 'a' }))).message).to.match(
        /`nc` to be a connection of @nats-io\/transport-node/,
      );
  });
});

/** All that one has to be allowed who reads `updates` of the stream `updates`. */
const READS = [
  '$JS.API.STREAM.INFO.updates',
  '$JS.API.CONSUMER.CREATE.updates.*.updates',
  '$JS.API.CONSUMER.INFO.updates.*',
  '$JS.API.CONSUMER.MSG.NEXT.updates.*',
  '$JS.API.STREAM.MSG.GET.updates',
];
const list = (subjects: readonly string[]) => JSON.stringify(subjects);

describe(`jetstreamTopic() and bad input, on ${nats}`, function () {
  this.timeout(20_000);
  let server: NatsServer;

  before(async function () {
    const users = `authorization: { users: [
      { user: all, password: all },
      { user: own, password: own, permissions: { subscribe: ["_INBOX_own.>"] } }
      { user: reader, password: reader, permissions: { publish: { deny: ["$JS.API.STREAM.CREATE.>", "updates"] } } }
      { user: reads, password: x, permissions: { publish: ${list(READS)}, subscribe: "_INBOX.>" } }
      { user: deaf, password: x, permissions: { subscribe: { deny: "_INBOX.>" } } }
      ${READS.map((one, index) => `{ user: without${index}, password: x, permissions: { publish: { deny: "${one}" } } }`).join('\n')}
    ] }, no_auth_user: all, max_payload: 64KB`;
    server = await startNats(this, '-js', '-c', configFile(users));
  });
  afterEach(async () => {
    await leaveAll();
    await server.clear();
  });
  after(stopNats);

  it('says with its address that NATS is not there, before it is there', async () => {
    const taken = await takePort();
    await taken?.giveBack();
    const error = await rejected(connect({ servers: `127.0.0.1:${taken?.port}`, timeout: 2000 }));
    expect(error.message).to.match(/refused/i);
  });

  it('says that NATS does not answer, when it went away before the topic was opened', async () => {
    const other = await startNats({} as never);
    const nc = await other.connect();
    await other.down();
    const at = performance.now();
    const error = await rejected(jetstreamTopic(nc, { stream: 'updates', subject: 'updates' }));
    expect(error).to.include({ code: status.UNAVAILABLE });
    expect(error.details).to.include(`stream \`updates\` on 127.0.0.1:${other.port}`);
    expect(performance.now() - at).to.be.below(5000);
    await nc.close();
    await other.destroy();
  });

  it('says that NATS runs without JetStream', async () => {
    const other = await startNats({} as never, '-c', configFile('max_payload: 64KB'));
    const nc = await other.connect();
    const error = await rejected(jetstreamTopic(nc, { stream: 'updates', subject: 'updates' }));
    expect(error.details).to.match(/^cannot open stream `updates` on .*JetStream/);
    await nc.close();
    await other.destroy();
  });

  it('says that the stream is missing', async () => {
    const error = await rejected(open(server, { create: undefined as never }));
    expect(error).to.include({ code: status.FAILED_PRECONDITION });
    expect(error.details).to.match(/^cannot open stream `updates` on \S+: there is no such stream/);
  });

  it('says that it may not make the stream', async () => {
    const error = await rejected(open(server, {}, { user: 'reader', pass: 'reader' }));
    expect(error).to.include({ code: status.PERMISSION_DENIED });
    expect(error.details).to.match(/^cannot make stream `updates` on .*NATS does not allow it/);
  });

  it('says that it may not publish, at once for all that are on their way, and goes on reading', async () => {
    const writer = await open(server);
    const reader = await open(server, {}, { user: 'reader', pass: 'reader' });
    const live = reader.subscribe();
    for (const publishing of [reader.publish(1), reader.publish(2)]) {
      const error = await rejected(publishing);
      expect(error).to.include({ code: status.PERMISSION_DENIED });
      expect(error.details).to.match(/^cannot publish to `updates` of .*NATS does not allow it/);
    }
    expect(reader.state).to.equal('live');
    await writer.publish(3);
    expect(await taken(live, 1)).to.deep.equal([3]);
  });

  it('says at once what it may not ask, be it needed only when something is odd', async () => {
    const writer = await open(server);
    for (const full of [false, true]) {
      for (const [index, subject] of READS.entries()) {
        const error = await rejected(open(server, {}, { user: `without${index}`, pass: 'x' }));
        expect(error, subject).to.include({ code: status.PERMISSION_DENIED });
        expect(error.details).to.include(subject.split('.*', 1)[0]);
      }
      if (!full) await writer.publish(1);
    }
    const deaf = await rejected(open(server, {}, { user: 'deaf', pass: 'x' }));
    expect(deaf).to.include({ code: status.PERMISSION_DENIED });
    expect(deaf.details).to.match(/^cannot open stream `updates` on .*_INBOX/);
  });

  it('reads what it may, and nothing else, also when it has to begin anew', async () => {
    const writer = await open(server, { create: { subjects: ['updates', 'secret'] } });
    const reader = await open(server, {}, { user: 'reads', pass: 'x' });
    const live = reader.subscribe();
    await writer.publish(1);
    expect(await taken(live, 1)).to.deep.equal([1]);
    await reader.nc.reconnect();
    const next = reader.subscribe();
    await writer.publish(2);
    expect(await taken(next, 1)).to.deep.equal([2]);
    const error = await rejected(
      open(server, { subject: 'secret', create: undefined as never }, { user: 'reads', pass: 'x' }),
    );
    expect(error).to.include({ code: status.PERMISSION_DENIED });
  });

  it('hears acknowledgements where it may hear them, and says when it may nowhere', async () => {
    const own = { user: 'own', pass: 'own' };
    const here = await open(server, {}, { ...own, inboxPrefix: '_INBOX_own' });
    expect(await here.publish(1)).to.be.above(0);
    const nc = await server.connect({ ...own, inboxPrefix: '_INBOX_own' });
    const deaf = new Publisher(nc, 'updates', async () => undefined, '_INBOX');
    for (const number of [1, 2]) {
      const error = await rejected(deaf.publish('updates', String(number), { timeoutMs: 2000 }));
      expect(error).to.include({ code: status.PERMISSION_DENIED });
    }
    await nc.close();
  });

  it('says that credentials are wrong, as NATS does', async () => {
    const error = await rejected(server.connect({ user: 'reader', pass: 'x', maxReconnectAttempts: 0 }));
    expect(error.message).to.match(/authorization violation/i);
  });

  it('refuses subjects that the stream does not have', async () => {
    const create = { subjects: ['updates.>'] };
    for (const [options, name] of [
      [{ subject: 'orders' }, 'subject'],
      [{ subject: 'updates' }, 'subject'],
      [{ subject: 'updates.a', subjects: 'orders' }, 'subjects'],
      [{ subject: 'updates.a', subjects: ['updates.a', '*'] }, 'subjects'],
    ] as const) {
      const error = await rejected(open(server, { create, ...options }));
      expect(error).to.be.instanceOf(TypeError);
      expect(error.message).to.include(`Expected \`${name}\` to be `).and.include('(updates.>)');
    }
    await open(server, { create, subject: 'updates.a', subjects: ['*.a', 'updates.*.b'] });
  });

  const useless: [string, Partial<StreamConfig>, RegExp][] = [
    ['acknowledges nothing', { no_ack: true }, /`no_ack: true`: nobody is told/],
    ['is a work queue', { retention: 'workqueue' }, /`retention: workqueue`: each of its messages/],
  ];
  for (const [what, create, why] of useless)
    it(`neither makes nor uses a stream that ${what}`, async () => {
      const refused = await rejected(open(server, { create }));
      expect(refused).to.be.instanceOf(TypeError);
      expect(refused.message)
        .to.match(/^Expected `create` to be without /)
        .and.match(why);
      const nc = await server.connect();
      const { streams } = await jetstreamManager(nc);
      expect(await streams.names().next()).to.deep.equal([]);
      await streams.add({ name: 'updates', subjects: ['updates'], ...create });
      const error = await rejected(open(server));
      expect(error).to.include({ code: status.FAILED_PRECONDITION });
      expect(error.details)
        .to.match(/^cannot use stream `updates`, which has /)
        .and.match(why);
      await nc.close();
    });

  it('makes no stream of counters', async () => {
    const create = { allow_msg_counter: true } as Partial<StreamConfig>;
    const error = await rejected(open(server, { create }));
    expect(error).to.be.instanceOf(TypeError);
    expect(error.message).to.match(
      /`create` to be without `allow_msg_counter: true`: it stores numbers to add/,
    );
  });

  it('makes no stream that does not take its subject, or has not what is read', async () => {
    const nc = await server.connect();
    const { streams } = await jetstreamManager(nc);
    for (const options of [
      { create: { subjects: ['other'] } },
      { create: {}, subjects: 'other' },
      { create: { subject_transform: { src: '>', dest: 'other' } } },
    ]) {
      expect(await rejected(open(server, options))).to.be.instanceOf(TypeError);
      expect(await streams.names().next()).to.deep.equal([]);
    }
    await nc.close();
  });

  it('says that a stream has as many readers as it may have', async () => {
    await open(server, { create: { max_consumers: 1 } });
    const error = await rejected(open(server));
    expect(error).to.include({ code: status.RESOURCE_EXHAUSTED });
    expect(error.details).to.match(/^cannot read stream `updates`: .*as many readers as it may have/);
  });

  it('says that a stream is sealed, and reads it', async () => {
    const topic = await open(server);
    const first = await topic.publish(1);
    const sealed = { ...(await infoOf(topic)).config, sealed: true };
    await (await jetstreamManager(topic.nc)).streams.update('updates', sealed);
    const error = await rejected(topic.publish(2));
    expect(error).to.include({ code: status.FAILED_PRECONDITION });
    expect(error.details).to.match(/the stream is sealed/);
    expect(await taken((await open(server)).subscribe({ after: first - 1 }), 1)).to.deep.equal([1]);
  });

  it('says at once, to all that are on their way, that the stream is gone, or does not take a subject any more', async () => {
    const topic = await open(server);
    const { streams } = await jetstreamManager(topic.nc);
    await topic.publish(1);
    const all = () => Promise.all(span(1, 300).map(n => rejected(topic.publish(n, { timeoutMs: 60_000 }))));
    const { config } = await infoOf(topic);
    await streams.update('updates', { ...config, subjects: ['elsewhere'] });
    for (const error of await all()) {
      expect(error).to.include({ code: status.FAILED_PRECONDITION });
      expect(error.details).to.match(
        /^cannot publish to `updates` of .*the stream does not take this subject/,
      );
    }
    await streams.update('updates', config);
    expect(await topic.publish(2)).to.be.above(0);
    await streams.delete('updates');
    for (const error of await all()) {
      expect(error).to.include({ code: status.FAILED_PRECONDITION });
      expect(error.details).to.match(/^cannot publish to `updates` of .*there is no such stream/);
    }
  });

  it('refuses to publish to a subject that another stream takes, or none', async () => {
    const topic = await open(server);
    await (await jetstreamManager(topic.nc)).streams.add({ name: 'other', subjects: ['other'] });
    const taken = await rejected(topic.publish(1, { subject: 'other' }));
    expect(taken).to.include({ code: status.FAILED_PRECONDITION });
    expect(taken.details).to.match(/another stream takes this subject/);
    const none = await rejected(topic.publish(1, { subject: 'nobody' }));
    expect(none).to.include({ code: status.FAILED_PRECONDITION });
    expect(none.details).to.match(/the stream does not take this subject/);
    for (const options of [
      ...['a.>', '\ud800', 'updates\0', `updates.${'x'.repeat(5000)}`].map(subject => ({ subject })),
      { id: '' },
      { id: 1 },
      { id: 'a\nb' },
      { timeoutMs: 0 },
      { ttl: 1 },
    ])
      expect(await rejected(topic.publish(1, options as never))).to.be.instanceOf(TypeError);
  });

  it('refuses ids that NATS might read as another one', async () => {
    const topic = await open(server);
    const blanks = [' ', ' a', 'a ', '\ta', '\u00a0a', 'a\u2028', '\ufeffa'];
    const odd = ['a\r', 'a\tb', 'a\0', '\x7f', '\x85', '\ud800', '\ud801', 'a\udc00b', 'x'.repeat(70_000)];
    for (const id of ['', 1, null, ...blanks, ...odd]) {
      const error = await rejected(topic.publish(1, { id } as never));
      expect(error, JSON.stringify(id)?.slice(0, 20)).to.be.instanceOf(TypeError);
      expect(error.message)
        .to.match(/^Expected `id` to be /)
        .and.have.length.below(200);
    }
    const ids = ['a', 'A', 'a b', 'ü', 'u\u0308', '😀', '日本', ':', 'x'.repeat(8192), '日'.repeat(8192)];
    const numbers = await Promise.all([...ids, ...ids].map(id => topic.publish(1, { id })));
    expect(numbers.slice(ids.length)).to.deep.equal(numbers.slice(0, ids.length));
    expect(new Set(numbers).size).to.equal(ids.length);
  });

  it('says that an item is too large, for NATS or for the stream', async () => {
    const topic = await open<string>(server, { create: { max_msg_size: 1000 } });
    for (const length of [2000, 100_000]) {
      const error = await rejected(topic.publish('x'.repeat(length)));
      expect(error).to.include({ code: status.INVALID_ARGUMENT });
      expect(error.details).to.match(/the item is larger than/);
    }
    await topic.publish('fine');
  });

  it('says that the stream is full', async () => {
    const topic = await open(server, { create: { max_msgs: 2, discard: 'new' } });
    await topic.publish(1);
    await topic.publish(2);
    const error = await rejected(topic.publish(3));
    expect(error).to.include({ code: status.RESOURCE_EXHAUSTED });
    expect(error.details).to.match(/NATS cannot store it \(maximum messages exceeded\)/);
    expect((await infoOf(topic)).state.messages).to.equal(2);
  });

  it('refuses what cannot be encoded', async () => {
    const topic = await open<unknown>(server);
    const round: { self?: unknown } = {};
    round.self = round;
    const nothing = [null, Number.NaN, -Infinity, new Date(Number.NaN), Object(Number.NaN)];
    const toJson = [() => null, () => undefined, () => () => {}].map(toJSON => ({ toJSON }));
    for (const item of [undefined, round, 1n, () => {}, Symbol('x'), ...nothing, ...toJson])
      expect(await rejected(topic.publish(item)), String(item)).to.be.instanceOf(TypeError);
    expect((await rejected(topic.publish(Number.NaN))).message).to.equal(
      'Expected `item` to be more than `null` in JSON, got `NaN` (number)',
    );
    for (const encode of [() => 'null', () => Buffer.from('null'), () => '', () => new Uint8Array(0)])
      expect(await rejected((await open(server, { encode })).publish(1))).to.be.instanceOf(TypeError);
    const other = await open<unknown>(server, { encode: String, decode: bytes => `${bytes.length}` });
    expect((await rejected(other.publish(null))).message).to.equal(
      'Expected `item` to be a message, got `null` (object)',
    );
    expect((await infoOf(topic)).state.messages).to.equal(0);
    await other.publish(Number.NaN);
    for (const item of [0, '', false, []]) await topic.publish(item);
    const later = await open(server, { encode: (async () => 'x') as never });
    expect((await rejected(later.publish(1))).message).to.match(/`encode\(\)` to return bytes or a string/);
  });

  it('tells of what a codec answers that is no item', async () => {
    const topic = await open(server, { decode: (() => undefined) as never, poison: 'skip' });
    await topic.publish(1);
    await until('it is counted', () => topic.skipped === 1);
    expect((topic.events.at(-1)?.error as Error | undefined)?.cause).to.be.instanceOf(TypeError);
  });

  it('opens a stream that another process makes at the same time', async () => {
    const topics = await Promise.all(Array.from({ length: 8 }, () => open(server)));
    await topics[0]?.publish(1);
    await until('all have it', () => new Set(topics.map(({ last }) => last)).size === 1);
  });
});
