import * as grpc from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { LiveAttempt } from '../../lib/client/attempt.ts';
import { type Open, retryable, type SubscribeOptions, subscribe } from '../../lib/client/index.ts';
import { settingsOf } from '../../lib/client/options.ts';
import { Judge, type Verdict } from '../../lib/client/verdict.ts';
import { all, failure } from '../sources/tools.ts';
import { definition, path, stopAll } from '../support/harness.ts';
import { type Call, metadataOf, opener, send, serve } from './service.ts';

const quick = { backoff: () => 1 } as const;
const token = ({ number }: { number: number }) => number;
const DAY = 24 * 3600 * 1000;

function busy(ms: number): void {
  const from = performance.now();
  while (performance.now() - from < ms);
}

describe('what subscribe() decides', () => {
  afterEach(stopAll);

  describe('what this client refuses itself is not tried again:', () => {
    const clients: grpc.Client[] = [];
    afterEach(() => {
      for (const client of clients.splice(0)) client.close();
    });

    const limited = (port: number, options: object): Open<any, any> => {
      const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options);
      clients.push(client);
      return opener(client);
    };
    const refuses = () => {
      throw new Error('not mine');
    };
    const cases: Record<string, [status, (service: Awaited<ReturnType<typeof serve>>) => Open<any, any>]> = {
      'a message beyond its limit': [
        status.RESOURCE_EXHAUSTED,
        ({ port }) => limited(port, { 'grpc.max_receive_message_length': 100 }),
      ],
      'a request beyond its limit': [
        status.RESOURCE_EXHAUSTED,
        ({ port }) => limited(port, { 'grpc.max_send_message_length': 1 }),
      ],
      'a message that it cannot decode': [
        status.INTERNAL,
        ({ client }) =>
          (...args) =>
            client.makeServerStreamRequest(path, definition.stream.requestSerialize, refuses, ...args),
      ],
      'a request that it cannot encode': [
        status.INTERNAL,
        ({ client }) =>
          (...args) =>
            client.makeServerStreamRequest(path, refuses, definition.stream.responseDeserialize, ...args),
      ],
    };
    for (const [what, [code, open]] of Object.entries(cases))
      it(what, async () => {
        for (const retry of [[...retryable, status.INTERNAL], () => true]) {
          const service = await serve(async call => {
            send(call, [1]);
            await new Promise(resolve => setTimeout(resolve, 5));
            call.write({ number: 2, text: 'x'.repeat(1000) });
          });
          const stream = subscribe(open(service), { max: 1 }, { ...quick, token, retry });
          const { error } = await failure(stream);
          expect(error).to.include({ code, reason: 'code' });
          expect(stream.attempts).to.have.length(1);
        }
      });

    it('what a server cannot do is', async () => {
      const { open, calls } = await serve((call, index) => {
        if (index === 1) return send(call, [], status.OK);
        const details = 'Received message larger than max (5 vs 4)';
        call.emit('error', { code: 8, details, metadata: metadataOf({ 'x-quota': '1' }) });
      });
      await all(subscribe(open, {}, quick));
      expect(calls).to.have.length(2);
    });
  });

  describe('every way on is counted:', () => {
    const failing: Record<string, [status, SubscribeOptions<any, any>]> = {
      'a failure': [status.ABORTED, {}],
      'OK with nothing new': [status.OK, { onOk: 'restart' }],
      'a resume point that is lost': [status.OUT_OF_RANGE, { after: 1, onResumeLost: () => ({}) }],
      "a server's own deadline": [
        status.DEADLINE_EXCEEDED,
        { retry: [status.DEADLINE_EXCEEDED], deadline: Date.now() + 60 * DAY },
      ],
    };
    const limits: [SubscribeOptions<any, any>, string, number][] = [
      [{ maxAttempts: 3 }, 'attempts', 3],
      [{ maxFruitless: 3 }, 'no-progress', 3],
      [{ backoff: () => 500, maxElapsedMs: 400 }, 'elapsed', 1],
    ];
    for (const [what, [code, options]] of Object.entries(failing))
      for (const [limit, reason, attempts] of limits)
        it(`${what}, by ${Object.keys(limit).at(-1)}`, async () => {
          const { open, calls } = await serve((call, index) => {
            // A point that was lost once is lost again as soon as there is one.
            if (code === status.OUT_OF_RANGE && index > 0) send(call, [], status.ABORTED);
            else send(call, [], code);
          });
          const waits: (number | undefined)[] = [];
          const { error } = await failure(
            subscribe(
              open,
              {},
              { backoff: () => 1, ...options, ...limit, onAttemptEnd: (_, ms) => void waits.push(ms) },
            ),
          );
          expect(error.reason).to.equal(reason);
          expect(error.code).not.to.equal(status.OK);
          expect(calls).to.have.length(attempts);
          expect(waits).to.deep.equal([...Array(attempts - 1).fill(1), undefined]);
        });

    it('a resume point that is lost after every message is waited for longer and longer', async () => {
      const { open } = await serve((call, index) => send(call, [index + 1], status.OUT_OF_RANGE));
      const retries: number[] = [];
      const stream = subscribe(
        open,
        {},
        {
          token,
          onResumeLost: () => ({}),
          backoff(retry) {
            retries.push(retry);
            return 0;
          },
        },
      );
      for (let count = 0; count < 5; count++) await stream.next();
      await stream.return?.();
      expect(retries).to.deep.equal([1, 2, 3, 4]);
    });

    it("a deadline is renewed only when it was ours, and a server's own is a failure like any other", async () => {
      const judge = new Judge(settingsOf({ deadline: Date.now() + 60 * DAY }), async answer => answer);
      const ended = { code: status.DEADLINE_EXCEEDED, details: '', metadata: new grpc.Metadata() };
      const verdicts: Verdict[] = [];
      for (const leftMs of [10 * DAY, 5]) {
        const attempt = new LiveAttempt<unknown, unknown>(1, 0, undefined);
        attempt.expires = performance.now() + leftMs;
        verdicts.push(await judge.judge(attempt, ended));
      }
      expect(verdicts).to.deep.equal([{ reason: 'code' }, { retryMs: 0 }]);
    });
  });

  describe('a wait without end', () => {
    const forever = { backoff: () => Infinity } as const;

    it('is one until the signal, where there is no deadline', async () => {
      const { open } = await serve(call => send(call, [], status.UNAVAILABLE));
      const controller = new AbortController();
      const waits: unknown[] = [];
      const onAttemptEnd = (_: unknown, retryMs: unknown) => {
        waits.push(retryMs);
        setImmediate(() => controller.abort('enough'));
      };
      const { error } = await failure(
        subscribe(open, {}, { ...forever, onAttemptEnd, signal: controller.signal }),
      );
      expect({ error, waits }).to.deep.equal({ error: 'enough', waits: [Infinity] });
    });

    it('is beyond every deadline', async () => {
      const { open } = await serve(call => send(call, [], status.UNAVAILABLE));
      const { error } = await failure(subscribe(open, {}, { ...forever, deadline: Date.now() + DAY }));
      expect(error).to.include({ code: status.DEADLINE_EXCEEDED, reason: 'deadline' });
    });
  });

  describe('when the wall clock is set', () => {
    const real = Date.now;
    let shift = 0;
    beforeEach(() => {
      shift = 0;
      Date.now = () => real() + shift;
    });
    afterEach(() => {
      Date.now = real;
    });

    it('forward, nothing is given up', async () => {
      const { open } = await serve((call, index) => {
        shift += 3_600_000;
        send(call, index < 3 ? [] : [1], index < 3 ? status.UNAVAILABLE : status.OK);
      });
      const stream = subscribe(open, {}, { ...quick, maxElapsedMs: 60_000 });
      expect(await all(stream)).to.have.length(1);
    });

    it('back, it still gives up', async () => {
      const { open } = await serve(call => {
        shift -= 3_600_000;
        send(call, [], status.UNAVAILABLE);
      });
      const { error } = await failure(subscribe(open, {}, { backoff: () => 10, maxElapsedMs: 50 }));
      expect(error.reason).to.equal('elapsed');
    });

    it('either way, a stream is as healthy as it was', async () => {
      for (const [step, reason] of [
        [-60_000, 'no-progress'],
        [60_000, 'attempts'],
      ] as const) {
        // With one more than it is let fail in a row; what is healthy does not count.
        const healthyMs = step < 0 ? 5 : 60_000;
        const { open } = await serve((call, index) => {
          call.sendMetadata(new grpc.Metadata());
          shift += step;
          setTimeout(() => {
            shift += step;
            send(call, index < 4 ? [] : [1], index < 4 ? status.UNAVAILABLE : status.OK);
          }, 15);
        });
        const stream = subscribe(open, {}, { ...quick, healthyMs, maxAttempts: 2 });
        if (reason === 'attempts') expect((await failure(stream)).error.reason).to.equal(reason);
        else expect(await all(stream)).to.have.length(1);
      }
    });
  });

  describe('a stream that is quiet is healthy', () => {
    it('also when the server sends no headers before it has something to say', async () => {
      const { open } = await serve((call, index) => {
        setTimeout(() => send(call, [], index < 4 ? status.UNAVAILABLE : status.OK), 15);
      });
      const stream = subscribe(open, {}, { ...quick, healthyMs: 10, maxAttempts: 1, maxElapsedMs: 10 });
      await all(stream);
      expect(stream.attempts.map(({ retry }) => retry)).to.deep.equal([0, 1, 1, 1, 1]);
    });

    it('unless it never had a connection, or was over too soon', async () => {
      const client = new grpc.Client('127.0.0.1:1', grpc.credentials.createInsecure());
      const away = subscribe(opener(client), {}, { ...quick, healthyMs: 0, maxAttempts: 3 });
      expect((await failure(away)).error).to.include({ code: status.UNAVAILABLE, reason: 'attempts' });
      client.close();
      const { open } = await serve(call => send(call, [], status.UNAVAILABLE));
      const short = subscribe(open, {}, { ...quick, healthyMs: 60_000, maxAttempts: 3 });
      expect((await failure(short)).error.reason).to.equal('attempts');
    });
  });

  describe('a stall', () => {
    it('may be set to longer than a timer holds', async () => {
      const { open, calls } = await serve(call => {
        send(call, [1]);
        setTimeout(() => send(call, [2], status.OK), 10);
      });
      expect(await all(subscribe(open, {}, { ...quick, stallMs: 30 * DAY }))).to.have.length(2);
      expect(calls).to.have.length(1);
    });

    it('is none while this process is too busy to listen', async () => {
      const { open, calls } = await serve(call => {
        let number = 0;
        const timer = setInterval(() => call.write({ number: number++ }), 5);
        call.on('cancelled', () => clearInterval(timer));
      });
      const stream = subscribe(open, {}, { ...quick, stallMs: 100 });
      for (let count = 0; count < 5; count++) {
        const next = stream.next();
        setImmediate(() => busy(150));
        await next;
        await stream.next();
      }
      await stream.return?.();
      expect(calls).to.have.length(1);
    });

    it('is none while this process was busy for nearly that long', async () => {
      const { open, calls } = await serve(call => send(call, [1]));
      const stream = subscribe(open, {}, { ...quick, stallMs: 200 });
      await stream.next();
      const next = stream.next();
      setImmediate(() => {
        busy(190);
        setTimeout(() => send(calls[0] as Call, [2]), 20);
      });
      expect((await next).value).to.deep.equal({ number: 2 });
      await stream.return?.();
      expect(calls).to.have.length(1);
    });

    it('is none when the message has come and only waits to be read', async () => {
      const { open, calls } = await serve(call => send(call, [1]));
      const stream = subscribe(open, {}, { ...quick, stallMs: 100 });
      await stream.next();
      const next = stream.next();
      setImmediate(() => {
        busy(200);
        setTimeout(() => {
          send(calls[0] as Call, [2]);
          // It is written before this, and read after the timers that are due by then.
          setImmediate(() => busy(200));
        }, 3);
      });
      expect((await next).value).to.deep.equal({ number: 2 });
      await stream.return?.();
      expect(calls).to.have.length(1);
    });
  });
});
