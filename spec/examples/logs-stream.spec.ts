import { constants } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { logs } from '../../examples/logs.ts';
import { example } from '../../examples/protos.ts';
import { all, watch } from '../support/examples.ts';
import { connectRaw, frame, requestRaw } from '../support/frames.ts';
import { until } from '../support/harness.ts';
import {
  closeServed,
  narrow,
  readOne,
  type ServeOptions,
  serveExample,
  soonAfterCancel,
  timers,
} from '../support/served.ts';

describe('examples: StreamLogs', () => {
  afterEach(closeServed);

  const serve = (options?: ServeOptions) => serveExample(logs, example.LogService, options);

  it('sends entries without a timestamp, numbered from 0, until its client leaves', async () => {
    const { client } = await serve({ speed: 100 });
    const { stream, messages, ended } = watch(client.streamLogs({}));
    await until('thirty are here', () => messages.length >= 30);
    stream.cancel();
    const { code, trailer } = await ended;
    expect({ code, trailer: trailer.getMap() }).to.deep.equal({ code: status.CANCELLED, trailer: {} });
    expect(messages).to.deep.equal(messages.map((_, i) => ({ message: `Log ${i}`, timestamp: '0' })));
  });

  it('sends none of the headers of GetLogs', async () => {
    const { client } = await serve({ speed: 100 });
    const { stream, messages, ended } = watch(client.streamLogs({}));
    await until('one is here', () => messages.length > 0);
    stream.cancel();
    const { header } = await ended;
    expect(Object.keys(header?.getMap() ?? {}).filter(name => name.startsWith('x-'))).to.deep.equal([]);
  });

  it('waits a tenth of a second between entries', async () => {
    const { client } = await serve({ speed: 10 });
    const began = performance.now();
    const { messages, stream } = watch(client.streamLogs({}));
    await until('six are here', () => messages.length === 6);
    expect(performance.now() - began).to.be.at.least(5 * 9);
    stream.cancel();
  });

  it('has a feeder for each call, that begins at 0', async () => {
    const { client } = await serve({ speed: 100 });
    const calls = [1, 2].map(() => watch(client.streamLogs({})));
    await until('both have some', () => calls.every(({ messages }) => messages.length > 5));
    for (const { stream, messages } of calls) {
      stream.cancel();
      expect(messages[0]?.message).to.equal('Log 0');
    }
  });

  it('stops its feeder when the client stops reading, and goes on without a gap', async function () {
    this.timeout(20_000);
    const { client, seen } = await serve({ speed: 1e6, options: narrow });
    const before = timers();
    const { stream, messages } = watch(client.streamLogs({}), { paused: true });
    messages.push(await readOne(stream));
    let still = 0;
    const standsStill = () => {
      still = timers() === before ? still + 1 : 0;
      return still > 15;
    };
    await until('the feeder stands still', standsStill, 15_000);
    const { sent } = seen;
    stream.on('data', message => messages.push(message)).resume();
    await until('it goes on', () => messages.length > sent + 50);
    stream.cancel();
    expect(messages.map(({ message }) => message)).to.deep.equal(messages.map((_, i) => `Log ${i}`));
  });

  it('leaves no feeder within 50 ms of a cancel', async () => {
    const { client, seen, logged } = await serve();
    const before = timers();
    const { stream, messages, ended } = watch(client.streamLogs({}));
    await until('the first is here', () => messages.length === 1);
    stream.cancel();
    await ended;
    const over = () => logged.includes('the feeder stopped') && timers() === before;
    await soonAfterCancel(seen, 'the feeder is over', over);
  });

  it('leaves no feeder within 50 ms of a cancel by a client that takes nothing', async () => {
    const { running, seen, logged } = await serve({ speed: 1e6 });
    const { path, requestSerialize } = example.LogService.service.StreamLogs;
    const before = timers();
    const session = connectRaw(running.port, { initialWindowSize: 0 });
    const stream = requestRaw(session, frame(requestSerialize({})), { ':path': path });
    await until('the feeder waits for room', () => seen.sent > 10 && timers() === before);
    expect(logged).to.deep.equal([]);
    stream.close(constants.NGHTTP2_CANCEL);
    await soonAfterCancel(seen, 'the feeder is over', () => logged.includes('the feeder stopped'));
    session.destroy();
  });

  it('leaves no feeder after the deadline', async () => {
    const { client, logged } = await serve();
    const before = timers();
    const { code } = await all(client.streamLogs({}, { deadline: Date.now() + 60 }));
    expect(code).to.equal(status.DEADLINE_EXCEEDED);
    await until('the feeder is over', () => logged.length > 0 && timers() === before);
  });
});
