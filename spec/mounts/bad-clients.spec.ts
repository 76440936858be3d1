import { mock } from 'node:test';
import { expect } from 'chai';
import { live } from '../../lib/call/live.ts';
import type { Middleware, Outcome } from '../../lib/index.ts';
import { deferred, mountNames, stopAll, turn, until } from '../support/harness.ts';
import { type AnyMethod, calling, serveKind, service } from '../support/kinds.ts';
import { RawClient } from '../support/raw-client.ts';

const framed = (json: unknown) => {
  const bytes = Buffer.from(JSON.stringify(json));
  return `00${bytes.length.toString(16).padStart(8, '0')}${bytes.toString('hex')}`;
};

/** Waits until something holds while no timer runs. */
async function inTurns(what: string, holds: () => boolean) {
  for (let turns = 0; !holds(); turns++) {
    if (turns > 100_000) throw new Error(`not within ${turns} turns: ${what}`);
    await turn();
  }
}

const keepalive = { 'grpc.keepalive_time_ms': 30, 'grpc.keepalive_timeout_ms': 30 };

describe('clients that stream as they should not', () => {
  afterEach(stopAll);

  for (const on of mountNames)
    for (const kind of ['clientStream', 'bidi'] as const)
      describe(`${kind} on ${on}`, () => {
        for (const together of [true, false])
          it(`ends once, and without what came after the half-close ${together ? 'with it' : 'later'}`, async () => {
            const log: unknown[] = [];
            const outcomes: Outcome[] = [];
            const told: Middleware = () => ({ end: outcome => void outcomes.push(outcome) });
            const method: AnyMethod = async requests => {
              try {
                for await (const request of requests) log.push(request);
              } finally {
                log.push('finally');
              }
              return kind === 'bidi' ? [1] : 1;
            };
            // Before Node 24 a connection stays as it is after such a fault, until keepalive ends it.
            const server = await serveKind(on, kind, method, [told], keepalive);
            const client = new RawClient(server.port);
            client.open({ ':path': service[kind].path });
            client.send(framed(1));
            client.send(framed(2), true);
            if (!together) {
              client.flush();
              await until('it has begun', () => log.length > 0 || outcomes.length > 0);
            }
            client.send(framed('late'));
            client.send(framed('later'), true);
            client.flush();
            await until('it has ended', () => outcomes.length > 0 || (together && live.size === 0));
            for (let turns = 0; turns < 20; turns++) await turn();
            expect(outcomes.length).to.be.at.most(1);
            expect(log).not.to.include('late');
            expect(log).not.to.include('later');
            expect(log.filter(one => one === 'finally').length).to.be.at.most(1);
            client.leave();
            await until('nothing is left', () => live.size === 0);
          });

        describe('one that closes its side', () => {
          const outcomes: Outcome[] = [];
          let whole = false;
          const method: AnyMethod = async requests => {
            for await (const _ of requests);
            whole = true;
            return kind === 'bidi' ? [1] : 1;
          };
          const upload = async (agent: Record<string, string>) => {
            outcomes.length = 0;
            whole = false;
            const told: Middleware = () => ({ end: outcome => void outcomes.push(outcome) });
            const server = await serveKind(on, kind, method, [told]);
            const client = new RawClient(server.port);
            mock.timers.enable({ apis: ['setTimeout'] });
            client.open({ ':path': service[kind].path, ...agent });
            client.send(framed(1), true);
            client.flush();
            return client;
          };
          afterEach(() => mock.timers.reset());

          it('and resets its stream in a later packet has left, and sent nothing that is complete', async () => {
            const client = await upload({ 'user-agent': 'grpc-node-js/1.14.0' });
            await inTurns('it has begun', () => live.size > 0);
            for (let turns = 0; turns < 20; turns++) await turn();
            expect(whole).to.equal(false);
            client.reset(8);
            client.flush();
            await inTurns('it has ended', () => outcomes.length > 0);
            mock.timers.tick(5);
            for (let turns = 0; turns < 20; turns++) await turn();
            expect(outcomes.map(({ reason }) => reason)).to.deep.equal(['cancelled']);
            expect(whole).to.equal(false);
            client.leave();
          });

          it('has sent all when no reset comes', async () => {
            const client = await upload({});
            await inTurns('it has begun', () => live.size > 0);
            for (let turns = 0; turns < 20; turns++) await turn();
            mock.timers.tick(2);
            await inTurns('it has ended', () => outcomes.length > 0);
            expect(outcomes.map(({ reason }) => reason)).to.deep.equal(['completed']);
            expect(whole).to.equal(true);
            client.leave();
          });

          for (const agent of [
            'grpc-go/1.70.0',
            'app/2 grpc-java-netty/1.70.0',
            'grpc-python/1.70.0 grpc-c/45.0.0 (linux)',
          ])
            it(`is not waited for when it would have reset at once: ${agent}`, async () => {
              const client = await upload({ 'user-agent': agent });
              await inTurns('it has ended', () => outcomes.length > 0);
              expect(outcomes.map(({ reason }) => reason)).to.deep.equal(['completed']);
              client.leave();
            });
        });

        it('reads no more than 17 ahead of a method that reads no more, however long the client goes on', async () => {
          const gate = deferred();
          let decoded = 0;
          const method: AnyMethod = async requests => {
            const reader = on === 'produce' || on === 'mount' ? requests[Symbol.asyncIterator]() : undefined;
            if (reader) await reader.next();
            else for await (const _ of requests) break;
            await gate.promise;
            return kind === 'bidi' ? [1] : 1;
          };
          const { requestDeserialize } = service[kind];
          const counting = (bytes: Buffer) => {
            decoded += 1;
            return requestDeserialize(bytes);
          };
          Object.assign(service[kind], { requestDeserialize: counting });
          try {
            const server = await serveKind(on, kind, method);
            // Each is larger than what HTTP/2 gives at once, so that grpc-js has no more than one in hand by itself.
            const large = 'x'.repeat(70_000);
            const { stream, reply } = calling(server, kind, [1], { endless: true });
            let goes = true;
            const goOn = () => {
              while (goes && stream.write(large));
            };
            stream.on('drain', goOn);
            goOn();
            await until('it has begun', () => decoded > 0);
            for (let turns = 0; turns < 300; turns++) await turn();
            expect(decoded).to.be.at.most(19);
            const before = decoded;
            for (let turns = 0; turns < 100; turns++) await turn();
            expect(decoded).to.equal(before);
            goes = false;
            gate.resolve();
            expect((await reply).code).to.equal(0);
          } finally {
            Object.assign(service[kind], { requestDeserialize });
          }
        });
      });
});
