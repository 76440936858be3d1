import { readdirSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { streamservice } from '../../examples/protos.ts';
import { streamService } from '../../examples/stream-service.ts';
import { all, watch } from '../support/examples.ts';
import { turn, until } from '../support/harness.ts';
import { callNothing, closeServed, serveExample, timers } from '../support/served.ts';

const { StreamService } = streamservice;

/** The service with its publisher, its jobs, its database and its log. */
describe('examples: streamservice.StreamService', () => {
  afterEach(closeServed);

  const serve = () => serveExample(streamService, StreamService, { speed: 50 });

  it('publishes demo updates', async () => {
    const { client } = await serve();
    const { stream, messages } = watch(client.subscribeToUpdates({ topics: ['alerts'], clientId: 'me' }));
    await until('some are here', () => messages.length >= 3);
    stream.cancel();
    for (const { topic, message, metadata } of messages)
      expect({ topic, message, metadata }).to.deep.equal({
        topic: 'alerts',
        message: 'Update from alerts',
        metadata: { source: 'system' },
      });
  });

  it('writes a log of three services, and follows it', async () => {
    const { client } = await serve();
    const { messages } = await all(client.tailLogs({ lines: 1000 }));
    expect(messages.length).to.be.at.least(200);
    const { stream, messages: more } = watch(client.tailLogs({ serviceName: 'billing', follow: true }));
    await until('new ones come', () => more.length >= 2);
    stream.cancel();
    expect(new Set(more.map(({ service }) => service))).to.deep.equal(new Set(['billing']));
  });

  it('answers UNIMPLEMENTED for a method it has not', async () => {
    const { client } = await serve();
    expect((await all(callNothing(client, streamService.service))).code).to.equal(status.UNIMPLEMENTED);
  });

  it('leaves no timer and no open file when it is closed', async () => {
    const files = () =>
      readdirSync('/proc/self/fd').filter(fd => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`).startsWith(join(tmpdir(), 'stream-service-'));
        } catch {
          return false;
        }
      });
    await turn(); // mocha's own timer is there from now on
    const before = timers();
    const { client } = await serve();
    const { messages } = watch(client.tailLogs({ follow: true }));
    await until('it writes', () => messages.length > 0);
    expect(files()).to.not.deep.equal([]);
    await closeServed();
    await until('nothing is left', () => timers() === before && files().length === 0);
  });
});
