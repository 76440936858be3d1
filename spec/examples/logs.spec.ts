import { createHash } from 'node:crypto';
import { constants } from 'node:http2';
import { Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { logs } from '../../examples/logs.ts';
import { example } from '../../examples/protos.ts';
import { live } from '../../lib/call/live.ts';
import { all, watch } from '../support/examples.ts';
import { connectRaw, frame, requestRaw } from '../support/frames.ts';
import { until } from '../support/harness.ts';
import { callNothing, closeServed, serveExample, soonAfterCancel } from '../support/served.ts';

const { LogService } = example;
const KNOWN = ['', 'debug', 'info', 'warn', 'error'];
const UNKNOWN = ['trace', 'fatal', 'ERROR', 'Error', ' error', 'error ', 'warning', 'é', '0'];

const serve = () => serveExample(logs, LogService);

/** What both methods do with a level. */
function checksLevels(method: 'getLogs' | 'streamLogs'): void {
  for (const level of KNOWN)
    it(`takes the level '${level}'`, async () => {
      const { client } = await serve();
      const { stream, messages } = watch(client[method]({ level }));
      await until('a message is here', () => messages.length > 0);
      stream.cancel();
    });

  for (const level of UNKNOWN)
    it(`refuses the level '${level}', and says which there are`, async () => {
      const { client } = await serve();
      const { messages, code, details } = await all(client[method]({ level }));
      expect({ messages, code, details }).to.deep.equal({
        messages: [],
        code: status.INVALID_ARGUMENT,
        details: `unknown level '${level}': debug, info, warn, error`,
      });
    });

  it('refuses a very long level', async () => {
    const { client } = await serve();
    const { code, details } = await all(client[method]({ level: 'x'.repeat(1_000_000) }));
    expect(code).to.equal(status.INVALID_ARGUMENT);
    expect(details).to.match(/^unknown level 'xxx/);
    expect(details.length).to.be.lessThan(5000);
  });
}

describe('examples: LogService', () => {
  afterEach(closeServed);

  it('has the field numbers of its tutorial', () => {
    for (const { requestSerialize, responseSerialize } of [
      LogService.service.GetLogs,
      LogService.service.StreamLogs,
    ]) {
      expect([...requestSerialize({ level: 'a' })]).to.deep.equal([0x0a, 1, 97]);
      expect([...responseSerialize({ message: 'a', timestamp: 5 })]).to.deep.equal([0x0a, 1, 97, 0x10, 5]);
    }
  });

  it('answers UNIMPLEMENTED for a method that is in its .proto only', async () => {
    const { client } = await serve();
    const { messages, code } = await all(client.archiveLogs({ level: 'error' }));
    expect({ messages, code }).to.deep.equal({ messages: [], code: status.UNIMPLEMENTED });
  });

  it('answers UNIMPLEMENTED for a method it has not', async () => {
    const { client } = await serve();
    expect((await all(callNothing(client, logs.service))).code).to.equal(status.UNIMPLEMENTED);
  });

  describe('GetLogs', () => {
    checksLevels('getLogs');

    it('sends five entries, then OK', async () => {
      const { client } = await serve();
      const { messages, code } = await all(client.getLogs({}));
      expect(code).to.equal(status.OK);
      expect(messages).to.deep.equal(
        [0, 1, 2, 3, 4].map(i => ({ message: `Error ${i}`, timestamp: `${i}` })),
      );
    });

    it('sends its headers before the first message', async () => {
      const { client } = await serve();
      const order: string[] = [];
      const { stream, ended } = watch(client.getLogs({}));
      stream.on('metadata', header => order.push(`header ${header.get('x-total-count')}`));
      stream.on('data', ({ message }) => order.push(message));
      const { trailer } = await ended;
      order.push(`trailer ${trailer.get('x-sent-count')}`);
      expect(order).to.deep.equal(['header 5', ...[0, 1, 2, 3, 4].map(i => `Error ${i}`), 'trailer 5']);
    });

    it('sends no other headers and trailers', async () => {
      const { client } = await serve();
      const { header, trailer } = await all(client.getLogs({}));
      expect(Object.keys(trailer.getMap())).to.have.members(['x-sent-count', 'x-checksum']);
      const ours = Object.keys(header?.getMap() ?? {}).filter(name => name.startsWith('x-'));
      expect(ours).to.have.members(['x-correlation-id', 'x-total-count']);
    });

    it('gives back the correlation id of the request', async () => {
      const { client } = await serve();
      for (const id of ['abc-1', 'x'.repeat(4000)]) {
        const metadata = new Metadata();
        metadata.set('x-correlation-id', id);
        const { header } = await all(client.getLogs({}, metadata));
        expect(header?.get('x-correlation-id')).to.deep.equal([id]);
      }
    });

    it('makes up a correlation id, another for each request, when there is none', async () => {
      const { client } = await serve();
      const empty = new Metadata();
      empty.set('x-correlation-id', '');
      const ids: unknown[] = [];
      for (const metadata of [new Metadata(), new Metadata(), empty])
        ids.push((await all(client.getLogs({}, metadata))).header?.get('x-correlation-id')[0]);
      for (const id of ids) expect(id).to.match(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      expect(new Set(ids)).to.have.property('size', 3);
    });

    it('sums up the bytes of its messages', async () => {
      const { client } = await serve();
      const { path, requestSerialize } = LogService.service.GetLogs;
      const raw = client.makeServerStreamRequest(path, requestSerialize, bytes => bytes, {});
      const { messages, trailer } = await all(raw);
      const sum = createHash('sha256')
        .update(Buffer.concat(messages as Buffer[]))
        .digest('hex');
      expect(messages).to.have.length(5);
      expect(trailer.get('x-checksum')).to.deep.equal([sum]);
    });

    it('counts and sums up nothing when it refuses', async () => {
      const { client } = await serve();
      const { trailer } = await all(client.getLogs({ level: 'loud' }));
      expect(trailer.get('x-sent-count')).to.deep.equal(['0']);
      expect(trailer.get('x-checksum')).to.deep.equal([createHash('sha256').digest('hex')]);
    });

    it('is over within 50 ms of a cancel by a client that takes nothing', async () => {
      const { running, seen } = await serve();
      const { path, requestSerialize } = LogService.service.GetLogs;
      const session = connectRaw(running.port, { initialWindowSize: 0 });
      const stream = requestRaw(session, frame(requestSerialize({})), { ':path': path });
      await until('all is on its way', () => seen.sent === 5);
      expect(live.size).to.equal(1);
      stream.close(constants.NGHTTP2_CANCEL);
      await soonAfterCancel(seen, 'the call is over', () => true);
      session.destroy();
    });
  });

  describe('StreamLogs', () => checksLevels('streamLogs'));
});
