import { constants, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { LiveAttempt } from '../../lib/client/attempt.ts';
import { type Attempt, retryable, SubscribeError, subscribe } from '../../lib/client/index.ts';
import { settingsOf } from '../../lib/client/options.ts';
import { Judge, type Verdict } from '../../lib/client/verdict.ts';
import { countTimers, failure, listeners, settled, taken } from '../sources/tools.ts';
import { soon, stopAll, until } from '../support/harness.ts';
import { FaultProxy } from './fault-proxy.ts';
import { metadataOf, opener, range, send, serve } from './service.ts';

/** No test waits longer than it must. */
const quick = { backoff: () => 1 } as const;

const numbersOf = (messages: readonly { number: number }[]) => messages.map(({ number }) => number);

async function numbers(stream: AsyncIterable<{ number: number }>): Promise<number[]> {
  const got: number[] = [];
  for await (const { number } of stream) got.push(number);
  return got;
}

const after = (call: grpc.ServerWritableStream<unknown, unknown>): number =>
  Number(call.metadata.get('last-event-id')[0] ?? 0);

describe('subscribe()', () => {
  afterEach(stopAll);

  describe('one stream', () => {
    it('C1 is one `for await` over any number of connections', async () => {
      const { open, calls } = await serve(call => {
        const from = after(call) + 1;
        send(call, range(from, from + 2), from < 28 ? status.UNAVAILABLE : status.OK);
      });
      const stream = subscribe(open, {}, { ...quick, token: ({ number }) => number });
      expect(await numbers(stream)).to.deep.equal(range(1, 30));
      expect(calls).to.have.length(10);
    });

    it('C6 ends at OK, or begins anew', async () => {
      const { open, calls } = await serve((call, index) => send(call, [index], status.OK));
      expect(await numbers(subscribe(open, {}))).to.deep.equal([0]);
      const again = subscribe(open, {}, { ...quick, onOk: 'restart' });
      expect(numbersOf(await taken(again, 3))).to.deep.equal([1, 2, 3]);
      await again.return?.();
      expect(calls).to.have.length(4);
    });

    it('C6 waits longer and longer between streams that end with nothing', async () => {
      const { open } = await serve((call, index) => send(call, index === 5 ? [5] : [], status.OK));
      const retries: number[] = [];
      const backoff = (retry: number) => {
        retries.push(retry);
        return 1;
      };
      const stream = subscribe(open, {}, { backoff, onOk: 'restart' });
      await stream.next();
      await Promise.race([stream.next(), until('six ends', () => retries.length === 6)]);
      await stream.return?.();
      expect(retries).to.deep.equal([1, 2, 3, 4, 5, 1]);
    });

    it('C25 answers concurrent next() calls in order', async () => {
      const { open } = await serve(call => send(call, range(1, 5), status.OK));
      const stream = subscribe(open, {});
      const steps = await Promise.all(Array.from({ length: 6 }, () => stream.next()));
      expect(steps.map(({ value }) => value?.number)).to.deep.equal([1, 2, 3, 4, 5, undefined]);
    });

    it('C26 opens nothing before the first next(), and C24 nothing after return()', async () => {
      const { open, calls } = await serve(call => send(call, [1], status.OK));
      const stream = subscribe(open, {});
      await settled();
      await stream.return?.();
      expect(await stream.next()).to.deep.equal({ done: true, value: undefined });
      expect(stream.attempts).to.have.length(0);
      expect(calls).to.have.length(0);
    });

    it('C29 leaves the channel open', async () => {
      const { open, client } = await serve(call => send(call, [1], status.OK));
      await numbers(subscribe(open, {}));
      await subscribe(open, {}).return?.();
      expect(client.getChannel().getConnectivityState(false)).to.equal(grpc.connectivityState.READY);
      expect(await numbers(subscribe(open, {}))).to.deep.equal([1]);
    });
  });

  describe('leaving', () => {
    for (const [how, leave] of Object.entries<
      (stream: ReturnType<typeof subscribe<any, any>>) => Promise<unknown>
    >({
      async break(stream) {
        for await (const _ of stream) break;
      },
      async return(stream) {
        await (async () => {
          for await (const _ of stream) return;
        })();
      },
      async throw(stream) {
        await failure(
          (async function* () {
            for await (const _ of stream) throw new Error('mine');
            yield 1;
          })(),
        );
      },
      async 'await using'(stream) {
        await using using = stream;
        await using.next();
      },
      async 'return() while next() is pending'(stream) {
        await stream.next();
        const pending = stream.next();
        await stream.return?.();
        expect(await pending).to.deep.equal({ done: true, value: undefined });
      },
    })) {
      it(`C22 by ${how} cancels the RPC: the server sees it within 50 ms`, async () => {
        let cancelled = false;
        const { open } = await serve(call => {
          call.on('cancelled', () => {
            cancelled = true;
          });
          send(call, [1]);
        });
        const stream = subscribe(open, {});
        await leave(stream);
        await soon('the server sees it', () => cancelled);
        expect(await stream.next()).to.deep.equal({ done: true, value: undefined });
      });
    }

    it('C22 cancels the RPC also when it is left in the very turn in which it was opened', async () => {
      let cancelled = 0;
      const { open, calls } = await serve(call => {
        call.on('cancelled', () => {
          cancelled += 1;
        });
      });
      for (let round = 0; round < 40; round++) {
        const stream = subscribe(open, {});
        const pending = stream.next();
        for (let microtasks = 0; microtasks < round % 8; microtasks++) await null;
        await stream.return?.();
        await pending;
      }
      await settled();
      await until('all cancelled', () => cancelled === calls.length);
      await new Promise(resolve => setTimeout(resolve, 20));
      expect(cancelled).to.equal(calls.length);
    });

    it('C7 stops at once on abort, with the reason, and leaves no listener', async () => {
      let cancelled = 0;
      const { open } = await serve(call => {
        call.on('cancelled', () => {
          cancelled += 1;
        });
        send(call, [1]);
      });
      const controller = new AbortController();
      const stream = subscribe(open, {}, controller);
      await stream.next();
      const pending = failure(stream);
      controller.abort(new Error('enough'));
      expect((await pending).error.message).to.equal('enough');
      expect(listeners(controller.signal)).to.equal(0);
      await until('cancelled', () => cancelled === 1);
    });

    it('C7 stops at once on abort, also during backoff', async () => {
      const { open, calls } = await serve(call => send(call, [], status.UNAVAILABLE));
      const timers = countTimers();
      const controller = new AbortController();
      let waiting = false;
      const stream = subscribe(
        open,
        {},
        {
          signal: controller.signal,
          backoff: () => 60_000,
          onAttemptEnd: () => {
            waiting = true;
          },
        },
      );
      const pending = failure(stream);
      await until('the backoff', () => waiting);
      const aborted = performance.now();
      controller.abort(new Error('enough'));
      expect((await pending).error.message).to.equal('enough');
      expect(performance.now() - aborted).to.be.below(1000);
      expect(calls).to.have.length(1);
      timers.restore();
      const left = subscribe(open, {}, { backoff: () => 60_000 });
      const parked = left.next();
      await until('the second backoff', () => left.attempts[0]?.status !== undefined);
      await left.return?.();
      expect(await parked).to.deep.equal({ done: true, value: undefined });
    });

    it('C7 opens nothing when it has aborted before, or while the metadata is fetched', async () => {
      const { open, calls } = await serve(call => send(call, [1], status.OK));
      const { error } = await failure(
        subscribe(open, {}, { signal: AbortSignal.abort(new Error('before')) }),
      );
      expect(error.message).to.equal('before');
      const controller = new AbortController();
      const stream = subscribe(
        open,
        {},
        {
          signal: controller.signal,
          metadata: async () => {
            await settled();
            return new grpc.Metadata();
          },
        },
      );
      const pending = failure(stream);
      controller.abort(new Error('meanwhile'));
      expect((await pending).error.message).to.equal('meanwhile');
      await settled();
      expect(calls).to.have.length(0);
    });

    it('C23 raises no unhandled `error` event, however and whenever it is left', async () => {
      const { open } = await serve((call, index) => {
        send(call, range(1, index % 4));
        if (index % 3 === 0) setImmediate(() => send(call, [], status.INTERNAL));
      });
      for (let round = 0; round < 60; round++) {
        const stream = subscribe(open, {}, quick);
        const pending = stream.next().catch(() => {});
        for (let turns = 0; turns < round % 5; turns++) await settled();
        await stream.return?.();
        await pending;
      }
      await new Promise(resolve => setTimeout(resolve, 20));
    });
  });

  describe('reading slowly', () => {
    it('C26 slows the server: a paused consumer receives no more than buffers hold', async () => {
      const bytes = 'x'.repeat(1000);
      let written = 0;
      const { open } = await serve(call => {
        const write = () => {
          while (!call.cancelled && call.write({ number: ++written, bytes }));
        };
        call.on('drain', write);
        write();
      });
      const stream = subscribe(open, {});
      await stream.next();
      let before = -1;
      while (written !== before) {
        before = written;
        await new Promise(resolve => setTimeout(resolve, 20));
      }
      // 16 in each object-mode stream, the 64 KiB window of HTTP/2 and what the sockets take.
      expect(written).to.be.below(500);
      await taken(stream, written);
      expect(written).to.be.above(before);
      await stream.return?.();
    });
  });

  describe('failures', () => {
    it('C3 C4 C5 retries exactly the codes of the table', async () => {
      for (let code = 1; code <= 16; code++) {
        const { open, calls } = await serve((call, index) => {
          send(call, [index], index === 0 ? code : status.OK);
        });
        const stream = subscribe(open, {}, quick);
        if (retryable.includes(code)) expect(await numbers(stream), status[code]).to.deep.equal([0, 1]);
        else {
          const { items, error } = await failure(stream);
          expect(items, status[code]).to.deep.equal([{ number: 0 }]);
          expect(error).to.be.instanceOf(SubscribeError);
          expect(error).to.include({ code, details: `code ${code}`, reason: 'code' });
          expect(error.message).to.equal(`${code} ${status[code]}: code ${code}`);
          expect(calls).to.have.length(1);
        }
      }
      expect(retryable.map(code => status[code])).to.deep.equal([
        'UNAVAILABLE',
        'RESOURCE_EXHAUSTED',
        'ABORTED',
        'CANCELLED',
      ]);
    });

    it('C3 C4 C5 retries a connection that broke, also where grpc-js calls it INTERNAL', async () => {
      for (const code of [constants.NGHTTP2_INTERNAL_ERROR, constants.NGHTTP2_NO_ERROR]) {
        let streams = 0;
        const server = createServer();
        server.on('stream', stream => {
          stream.on('error', () => {});
          stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
          if (++streams < 3) return stream.close(code);
          stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
          stream.end();
        });
        await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
        const { port } = server.address() as AddressInfo;
        const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
        const stream = subscribe(opener(client), {}, quick);
        expect(await numbers(stream)).to.deep.equal([]);
        expect(stream.attempts.map(({ status }) => status?.code)).to.deep.equal([
          status.INTERNAL,
          status.INTERNAL,
          status.OK,
        ]);
        client.close();
        server.close();
      }
    });

    it('C3 C4 C5 lets the user decide, by a list or by a function', async () => {
      const { open } = await serve((call, index) =>
        send(call, [index], [status.INTERNAL, status.NOT_FOUND, status.OK][index % 3]),
      );
      const listed = subscribe(
        open,
        {},
        { ...quick, retry: [...retryable, status.INTERNAL, status.NOT_FOUND] },
      );
      expect(await numbers(listed)).to.deep.equal([0, 1, 2]);
      const seen: unknown[] = [];
      const asked = subscribe(
        open,
        {},
        {
          ...quick,
          retry(error, attempt) {
            seen.push([error.code, error.details, attempt.number]);
            return error.code === status.INTERNAL;
          },
        },
      );
      const { items, error } = await failure(asked);
      expect(items).to.deep.equal([{ number: 3 }, { number: 4 }]);
      expect(error.code).to.equal(status.NOT_FOUND);
      expect(seen).to.deep.equal([
        [status.INTERNAL, 'code 13', 1],
        [status.NOT_FOUND, 'code 5', 2],
      ]);
    });

    it('C2 throws the first failure when told to, and retries later ones', async () => {
      const { open, calls } = await serve((call, index) =>
        send(call, index === 1 ? [1] : [], [status.UNAVAILABLE, status.UNAVAILABLE, status.OK][index]),
      );
      const strict = { ...quick, firstFailure: 'throw' } as const;
      const { error } = await failure(subscribe(open, {}, strict));
      expect(error).to.include({ code: status.UNAVAILABLE, reason: 'first-failure' });
      expect(calls).to.have.length(1);
      expect(await numbers(subscribe(open, {}, strict))).to.deep.equal([1]);
      expect(calls).to.have.length(3);
    });

    it('C2 retries the first failure by default, also when there is no server yet', async () => {
      const { port } = await serve(call => send(call, [1], status.OK));
      const proxy = await new FaultProxy(port).up();
      await proxy.down();
      const client = new grpc.Client(`127.0.0.1:${proxy.port}`, grpc.credentials.createInsecure(), {
        'grpc.initial_reconnect_backoff_ms': 20,
        'grpc.max_reconnect_backoff_ms': 20,
      });
      const stream = subscribe(opener(client), {}, { backoff: () => 5 });
      const first = stream.next();
      await until('a failure', () => stream.attempts.length > 1);
      await proxy.up();
      expect((await first).value).to.deep.equal({ number: 1 });
      await stream.return?.();
      client.close();
      await proxy.down();
    });

    it('C8 honours maxAttempts, and throws the last error with the history', async () => {
      const { open, calls } = await serve((call, index) =>
        send(call, [], index < 3 ? status.UNAVAILABLE : status.ABORTED),
      );
      const { error } = await failure(subscribe(open, {}, { ...quick, maxAttempts: 4 }));
      expect(error).to.include({ code: status.ABORTED, reason: 'attempts' });
      expect(error.cause).to.include({ code: status.ABORTED });
      expect(
        error.attempts.map(({ number, retry, status }: Attempt) => [number, retry, status?.code]),
      ).to.deep.equal([
        [1, 0, status.UNAVAILABLE],
        [2, 1, status.UNAVAILABLE],
        [3, 2, status.UNAVAILABLE],
        [4, 3, status.ABORTED],
      ]);
      expect(calls).to.have.length(4);
    });

    it('C8 counts attempts anew whenever something new came', async () => {
      const { open, calls } = await serve((call, index) =>
        send(call, index % 2 ? [index] : [], index < 9 ? status.UNAVAILABLE : status.OK),
      );
      expect(await numbers(subscribe(open, {}, { ...quick, maxAttempts: 3 }))).to.deep.equal([1, 3, 5, 7, 9]);
      expect(calls).to.have.length(10);
    });

    it('C8 honours maxElapsedMs', async () => {
      const { open } = await serve(call => send(call, [], status.UNAVAILABLE));
      const started = performance.now();
      const { error } = await failure(subscribe(open, {}, { backoff: () => 10, maxElapsedMs: 60 }));
      expect(error).to.include({ code: status.UNAVAILABLE, reason: 'elapsed' });
      expect(performance.now() - started).to.be.within(30, 3000);
      const late = subscribe(open, {}, { backoff: () => 5000, maxElapsedMs: 1000 });
      expect((await failure(late)).error.attempts).to.have.length(1);
    });

    it('C16 gives up when the server answers again and again and nothing new comes', async () => {
      const { open, calls } = await serve(call => send(call, [1], status.RESOURCE_EXHAUSTED));
      const stream = subscribe(
        open,
        {},
        { ...quick, token: ({ number }) => number, dedupe: 10, maxFruitless: 5 },
      );
      const { items, error } = await failure(stream);
      expect(items).to.deep.equal([{ number: 1 }]);
      expect(error).to.include({ code: status.RESOURCE_EXHAUSTED, reason: 'no-progress' });
      expect(calls).to.have.length(6);
    });

    it('C16 does not give up while the server is away', async () => {
      const { open, calls } = await serve((call, index) =>
        send(call, index === 30 ? [1] : [], index === 30 ? status.OK : status.UNAVAILABLE),
      );
      expect(await numbers(subscribe(open, {}, { backoff: () => 0 }))).to.deep.equal([1]);
      expect(calls).to.have.length(31);
    });

    it('throws what `open`, `metadata` and `resume` throw, as it is', async () => {
      const mine = new Error('mine');
      const broken = () => {
        throw mine;
      };
      const { open, calls } = await serve(call => send(call, [1], status.UNAVAILABLE));
      expect((await failure(subscribe(broken, {}))).error).to.equal(mine);
      expect((await failure(subscribe(open, {}, { metadata: broken }))).error).to.equal(mine);
      expect((await failure(subscribe(open, {}, { resume: broken, after: 1 }))).error).to.equal(mine);
      expect(calls).to.have.length(0);
    });

    it('is not harmed by hooks that throw', async () => {
      const { open } = await serve((call, index) =>
        send(call, [index], index ? status.OK : status.UNAVAILABLE),
      );
      const broken = () => {
        throw new Error('observer');
      };
      const stream = subscribe(
        open,
        {},
        { ...quick, onAttempt: broken, onHeader: broken, onAttemptEnd: broken },
      );
      expect(await numbers(stream)).to.deep.equal([0, 1]);
    });
  });

  describe('waiting', () => {
    it('C19 begins the waits anew only after a healthy period', async () => {
      for (const [healthyMs, expected] of [
        [0, [1, 1, 1, 1, 1]],
        [60_000, [1, 2, 3, 4, 5]],
      ] as const) {
        const { open } = await serve((call, index) => send(call, [index], status.UNAVAILABLE));
        const retries: number[] = [];
        const backoff = (retry: number) => {
          retries.push(retry);
          return 0;
        };
        const stream = subscribe(open, {}, { backoff, healthyMs });
        await taken(stream, 6);
        await stream.return?.();
        expect(retries).to.deep.equal(expected);
      }
    });

    it('C19 counts the healthy period from the headers on', async () => {
      const judge = new Judge(
        settingsOf({ backoff: retry => retry, healthyMs: 10_000 }),
        async answer => answer,
      );
      const ended = { code: status.UNAVAILABLE, details: '', metadata: new grpc.Metadata() };
      const waits: Verdict[] = [];
      for (const openForMs of [undefined, 9000, 5000, 10_000, 0, undefined, 99_999]) {
        const attempt = new LiveAttempt<unknown, unknown>(1, 0, undefined);
        if (openForMs !== undefined) attempt.opened = performance.now() - openForMs;
        waits.push(await judge.judge(attempt, ended));
      }
      expect(waits).to.deep.equal([1, 2, 3, 1, 2, 3, 1].map(retryMs => ({ retryMs })));
    });

    it('C20 waits as long as the server asks, within a cap, and not at all when it refuses', async () => {
      const hints = ['7', '999999', '-1'];
      const { open, calls } = await serve((call, index) =>
        send(call, [], status.UNAVAILABLE, metadataOf({ 'grpc-retry-pushback-ms': hints[index] as string })),
      );
      const waits: (number | undefined)[] = [];
      const stream = subscribe(
        open,
        {},
        {
          backoff: () => 1,
          maxHintMs: 10,
          onAttemptEnd: (_attempt, retryMs) => void waits.push(retryMs),
        },
      );
      const { error } = await failure(stream);
      expect(waits).to.deep.equal([8, 11, undefined]);
      expect(error).to.include({ code: status.UNAVAILABLE, reason: 'refused' });
      expect(calls).to.have.length(3);
    });

    it('C21 gives up an attempt that stalls, and makes the next', async () => {
      let cancelled = 0;
      const { open } = await serve((call, index) => {
        call.on('cancelled', () => {
          cancelled += 1;
        });
        send(call, [index], index === 2 ? status.OK : undefined);
      });
      const stream = subscribe(open, {}, { ...quick, stallMs: 20 });
      expect((await numbers(stream)).at(-1)).to.equal(2);
      expect(stream.attempts[0]?.status).to.include({
        code: status.UNAVAILABLE,
        details: 'no message for 20 ms',
      });
      await until('both cancelled', () => cancelled >= 2);
    });

    it('C21 does not take an attempt that stalled for a healthy one', async () => {
      const { open } = await serve(call => call.sendMetadata(new grpc.Metadata()));
      const stream = subscribe(open, {}, { ...quick, stallMs: 15, healthyMs: 0, maxAttempts: 3 });
      const { error } = await failure(stream);
      expect(error).to.include({ code: status.UNAVAILABLE, reason: 'attempts' });
      expect(stream.attempts.map(({ retry }) => retry)).to.deep.equal([0, 1, 2]);
    });

    it('C21 does not blame the server for a consumer that is slow', async () => {
      const { open, calls } = await serve(call => send(call, [1, 2], status.OK));
      const stream = subscribe(open, {}, { ...quick, stallMs: 10 });
      await stream.next();
      await new Promise(resolve => setTimeout(resolve, 20));
      expect(await numbers(stream)).to.deep.equal([2]);
      expect(calls).to.have.length(1);
    });

    it('C21 notices a black hole', async () => {
      const { port } = await serve((call, index) => send(call, [index]));
      const proxy = await new FaultProxy(port).up();
      const client = new grpc.Client(`127.0.0.1:${proxy.port}`, grpc.credentials.createInsecure());
      const stream = subscribe(opener(client), {}, { backoff: () => 10, stallMs: 20 });
      await stream.next();
      proxy.faults.blackHole = true;
      const next = stream.next();
      await until('a stall', () => stream.attempts.length > 2);
      proxy.faults.blackHole = false;
      expect((await next).done).to.equal(false);
      await stream.return?.();
      client.close();
      await proxy.down();
    });

    it('C27 ends with DEADLINE_EXCEEDED at the deadline, also in a wait', async () => {
      const { open } = await serve(call => send(call, [1]));
      const started = Date.now();
      const stream = subscribe(open, {}, { deadline: Date.now() + 60 });
      const { items, error } = await failure(stream);
      expect(items).to.deep.equal([{ number: 1 }]);
      expect(error).to.include({ code: status.DEADLINE_EXCEEDED, reason: 'deadline' });
      expect(Date.now() - started).to.be.within(40, 3000);
      const { open: failing } = await serve(call => send(call, [], status.UNAVAILABLE));
      const waiting = subscribe(
        failing,
        {},
        { deadline: new Date(Date.now() + 5000), backoff: () => 60_000 },
      );
      const { error: late } = await failure(waiting);
      expect(late).to.include({ code: status.DEADLINE_EXCEEDED, reason: 'deadline' });
      expect(late.cause).to.include({ code: status.UNAVAILABLE });
    });

    it('C27 holds a deadline beyond 24 days', async () => {
      const { open, calls } = await serve(call => send(call, [1], status.OK));
      await numbers(subscribe(open, {}, { deadline: Date.now() + 60 * 24 * 3600 * 1000 }));
      expect(Number(calls[0]?.getDeadline()) - Date.now()).to.be.within(1e9, 2 ** 31 - 1);
    });
  });

  describe('attempts', () => {
    it('C28 shows the headers, trailers and status of each', async () => {
      const { open } = await serve((call, index) => {
        call.sendMetadata(metadataOf({ 'x-attempt': `${index}` }));
        const trailer = metadataOf({ 'x-trailer': `${index}` });
        send(call, [index], index ? status.OK : status.UNAVAILABLE, trailer);
      });
      const log: unknown[] = [];
      const stream = subscribe(
        open,
        {},
        {
          ...quick,
          token: ({ number }) => number,
          onAttempt: ({ number, retry, token }) => void log.push(['attempt', number, retry, token]),
          onHeader: ({ number, header }) => void log.push(['header', number, header?.get('x-attempt')]),
          onAttemptEnd: ({ number, status, messages }, retryMs) =>
            void log.push([
              'end',
              number,
              status?.code,
              status?.metadata.get('x-trailer'),
              messages,
              retryMs,
            ]),
        },
      );
      await numbers(stream);
      expect(log).to.deep.equal([
        ['attempt', 1, 0, undefined],
        ['header', 1, ['0']],
        ['end', 1, status.UNAVAILABLE, ['0'], 1, 1],
        ['attempt', 2, 1, 0],
        ['header', 2, ['1']],
        ['end', 2, status.OK, ['1'], 1, undefined],
      ]);
      const [first] = stream.attempts as [Attempt];
      expect(first.startedAt).to.be.at.most(first.openedAt as number);
      expect(first.openedAt).to.be.at.most(first.endedAt as number);
    });

    it('C28 has no status for an attempt that was left', async () => {
      const { open } = await serve(call => send(call, [1]));
      const ends: unknown[] = [];
      const stream = subscribe(open, {}, { onAttemptEnd: (...args) => void ends.push(args) });
      await stream.next();
      await stream.return?.();
      const [attempt] = stream.attempts;
      expect(attempt).to.include({ status: undefined, messages: 1 });
      expect(ends).to.deep.equal([[attempt, undefined]]);
    });

    it('C10 has cancelled the old call before a new one opens', async () => {
      let live = 0;
      let most = 0;
      const { open } = await serve((call, index) => {
        most = Math.max(most, ++live);
        call.on('cancelled', () => {
          live -= 1;
        });
        send(call, [index], index === 20 ? status.OK : index % 2 ? status.UNAVAILABLE : undefined);
      });
      const got = await numbers(subscribe(open, {}, { ...quick, stallMs: 5 }));
      expect(got).to.deep.equal([...got].sort((a, b) => a - b));
      expect(got.at(-1)).to.equal(20);
      expect(most).to.equal(1);
    });

    it('C11 yields nothing of an old attempt once a new one has started', async () => {
      const { open, calls } = await serve((call, index) =>
        send(call, [index], index ? status.OK : undefined),
      );
      const stream = subscribe(open, {}, { ...quick, stallMs: 20 });
      const got: number[] = [];
      for await (const { number } of stream) {
        got.push(number);
        if (number > 0) calls[0]?.write({ number: 100 });
      }
      expect(got.at(-1)).to.be.within(1, 5);
      expect(got).not.to.include(100);
    });

    it('keeps the history of attempts bounded', async () => {
      const { open } = await serve((call, index) =>
        send(call, [], index < 120 ? status.UNAVAILABLE : status.OK),
      );
      const stream = subscribe(open, {}, { backoff: () => 0 });
      await numbers(stream);
      expect(stream.attempts).to.have.length(100);
      expect(stream.attempts.at(-1)?.number).to.equal(121);
    });

    it('asks for metadata before each, and leaves it as it is', async () => {
      const { open, calls } = await serve((call, index) =>
        send(call, [index], index ? status.OK : status.ABORTED),
      );
      const metadata = metadataOf({ authorization: 'none' });
      await numbers(subscribe(open, {}, { ...quick, metadata, token: ({ number }) => number }));
      expect(calls[1]?.metadata.get('last-event-id')).to.deep.equal(['0']);
      expect(metadata.getMap()).to.deep.equal({ authorization: 'none' });
      const { open: other, calls: others } = await serve((call, index) =>
        send(call, [], index ? status.OK : status.ABORTED),
      );
      await numbers(
        subscribe(
          other,
          {},
          { ...quick, metadata: async ({ number }) => metadataOf({ authorization: `#${number}` }) },
        ),
      );
      expect(others.map(call => call.metadata.get('authorization')[0])).to.deep.equal(['#1', '#2']);
    });
  });

  it('says what is wrong with an option', () => {
    const open = opener(undefined as never);
    expect(() => subscribe(open, {}, { maxAttempts: 0 })).to.throw(
      TypeError,
      'Expected `maxAttempts` to be an integer from 1 and up or `Infinity`, got `0` (number)',
    );
    expect(() => subscribe(open, {}, { dedupe: 5 })).to.throw(
      TypeError,
      '`token` to be a function for `dedupe`',
    );
    expect(() => subscribe(open, {}, { deadline: new Date(NaN) })).to.throw(TypeError, /`deadline`/);
    expect(() => subscribe(open, {}, { backoff: { factor: 0.5 } })).to.throw(TypeError, /`factor`/);
    expect(() => subscribe(open, {}, { onOk: 'stop' as never })).to.throw(TypeError, /`onOk` to be one of/);
    expect(() => subscribe(open, {}, { retry: 14 as never })).to.throw(TypeError, /`retry` to be a list/);
    expect(() => subscribe(1 as never, {})).to.throw(TypeError, '`open` to be a function');
  });

  const wrong: [object, string][] = [
    [{ backoff: null }, 'Expected `backoff` to be a function or an object, got `null` (object)'],
    [{ backoff: 5 }, 'Expected `backoff` to be a function or an object, got `5` (number)'],
    [
      { retry: ['UNAVAILABLE'] },
      'Expected `retry[0]` to be a status from 1 to 16, got `UNAVAILABLE` (string)',
    ],
    [{ retry: [14, 17] }, 'Expected `retry[1]` to be a status from 1 to 16, got `17` (number)'],
    [{ metadata: { a: 'b' } }, 'Expected `metadata` to be a grpc.Metadata, got `Object` (object)'],
    [{ metadata: null }, 'Expected `metadata` to be a grpc.Metadata, got `null` (object)'],
  ];
  for (const [options, sentence] of wrong)
    it(`refuses ${JSON.stringify(options)}`, () => {
      expect(() => subscribe(opener(undefined as never), {}, options as never))
        .to.throw(TypeError)
        .with.property('message', sentence);
    });

  describe('says what is wrong with the answer of', () => {
    const answers: Record<string, [string, unknown, object]> = {
      metadata: [
        'Expected `metadata()` to be a grpc.Metadata, got `Object` (object)',
        () => {},
        { metadata: () => ({ a: 'b' }) },
      ],
      backoff: [
        'Expected `backoff(1)` to be a number of milliseconds from 0 and up, got `NaN` (number)',
        undefined,
        { backoff: () => Number.NaN },
      ],
      'the `random` of a backoff': [
        'Expected `backoff(1)` to be a number of milliseconds from 0 and up, got `NaN` (number)',
        undefined,
        { backoff: { random: () => Number.NaN } },
      ],
    };
    for (const [what, [sentence, open, options]] of Object.entries(answers))
      it(what, async () => {
        const service = await serve(call => send(call, [], status.UNAVAILABLE));
        const { error } = await failure(subscribe((open ?? service.open) as never, {}, options as never));
        expect(error).to.be.instanceOf(TypeError);
        expect(error.message).to.equal(sentence);
      });
  });
});
