import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { type ResumeLost, subscribe } from '../../lib/client/index.ts';
import { mount } from '../../lib/index.ts';
import { topic } from '../../lib/sources/index.ts';
import { all, failure, settled, taken } from '../sources/tools.ts';
import { type AnySource, definition, serve as mounted, start, stopAll, until } from '../support/harness.ts';
import { opener, range, send, serve } from './service.ts';

const quick = { backoff: () => 1 } as const;
const token = ({ number }: { number: number }) => number;
const numbersOf = (messages: readonly { number: number }[]) => messages.map(({ number }) => number);

describe('subscribe() that resumes', () => {
  afterEach(stopAll);

  it('C9 moves the token only when the consumer takes a message', async () => {
    const { open, calls } = await serve((call, index) => {
      if (index === 0) send(call, range(1, 10), status.UNAVAILABLE);
      else send(call, range(Number(call.metadata.get('last-event-id')[0]) + 1, 12), status.OK);
    });
    const stream = subscribe(open, {}, { ...quick, token });
    expect(stream.token).to.equal(undefined);
    await taken(stream, 3);
    await new Promise(resolve => setTimeout(resolve, 10));
    expect(stream.token).to.equal(3);
    expect(numbersOf(await all(stream))).to.deep.equal(range(4, 12));
    expect(stream.token).to.equal(12);
    expect(calls[1]?.metadata.get('last-event-id')).to.deep.equal(['10']);
  });

  it('C9 does not move it for a message that nobody waits for any more', async () => {
    const { open } = await serve(call => send(call, [1, 2]));
    const stream = subscribe(open, {}, { token });
    await stream.next();
    const pending = stream.next();
    await stream.return?.();
    expect((await pending).done).to.equal(true);
    expect(stream.token).to.equal(1);
  });

  it('begins after the token it is given', async () => {
    const { open, calls } = await serve(call => send(call, [8], status.OK));
    const stream = subscribe(open, {}, { token, after: 7 });
    expect(stream.token).to.equal(7);
    await all(stream);
    expect(calls[0]?.metadata.get('last-event-id')).to.deep.equal(['7']);
  });

  it('C12 yields nothing twice, and remembers no more than its window', async () => {
    const sent = [range(1, 6), range(3, 8), [2, 8, 9]];
    const { open } = await serve((call, index) =>
      send(call, sent[index] as number[], index < 2 ? status.UNAVAILABLE : status.OK),
    );
    const stream = subscribe(open, {}, { ...quick, token, dedupe: 5 });
    expect(numbersOf(await all(stream))).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8, 2, 9]);
  });

  it('C13 resumes inside a batch: its items are taken one by one', async () => {
    const { open, calls } = await serve((call, index) => {
      const batch = (numbers: number[]) => call.write({ items: numbers.map(number => ({ number })) });
      if (index === 0) {
        batch([1, 2, 3]);
        batch([4, 5, 6]);
      } else batch([5, 6, 7, 8]);
      call.emit('error', { code: index < 2 ? status.UNAVAILABLE : status.NOT_FOUND, details: 'end' });
    });
    const stream = subscribe(
      open as never,
      {},
      {
        ...quick,
        items: (message: { items: { number: number }[] }) => message.items,
        token,
        dedupe: 10,
      },
    );
    const items = stream as AsyncIterableIterator<{ number: number }, undefined>;
    expect(numbersOf(await taken(items, 5))).to.deep.equal([1, 2, 3, 4, 5]);
    expect(stream.token).to.equal(5);
    const { items: rest } = await failure(items);
    expect(numbersOf(rest)).to.deep.equal([6, 7, 8]);
    expect(calls.map(call => call.metadata.get('last-event-id')[0])).to.deep.equal([undefined, '6', '8']);
  });

  it('C14 rebuilds the request from the current one', async () => {
    const { open, calls } = await serve(call => {
      const { after = 0, max = 0 } = call.request;
      send(call, [after + 1, after + 2], max > 2 ? status.UNAVAILABLE : status.OK);
    });
    const stream = subscribe(
      open,
      { max: 6 },
      {
        ...quick,
        token,
        resume: (request, after) => ({ max: (request.max ?? 0) - 2, after }),
      },
    );
    expect(numbersOf(await all(stream))).to.deep.equal(range(1, 6));
    expect(calls.map(call => call.request)).to.deep.equal([
      { max: 6 },
      { max: 4, after: 2 },
      { max: 2, after: 4 },
    ]);
    expect(stream.request).to.deep.equal({ max: 2, after: 4 });
    expect(calls[1]?.metadata.get('last-event-id')).to.deep.equal([]);
  });

  it('C17 moves the token by bookmarks, and does not yield them', async () => {
    const { open, calls } = await serve((call, index) => {
      if (index === 0) {
        call.write({ number: 1 });
        call.write({ number: 50, bookmark: true });
        send(call, [], status.UNAVAILABLE);
      } else send(call, [51], status.OK);
    });
    const stream = subscribe(
      open,
      {},
      {
        ...quick,
        token,
        bookmark: message => 'bookmark' in message,
      },
    );
    expect(numbersOf(await all(stream))).to.deep.equal([1, 51]);
    expect(calls[1]?.metadata.get('last-event-id')).to.deep.equal(['50']);
  });

  describe('when the resume point is gone', () => {
    const forgetful = () =>
      serve((call, index) => {
        if (call.metadata.get('last-event-id').length > 0) send(call, [], status.OUT_OF_RANGE);
        else send(call, [index + 1], index < 4 ? status.UNAVAILABLE : status.OK);
      });

    it('C15 R9 reports it once, and ends with the error', async () => {
      const { open, calls } = await forgetful();
      const lost: ResumeLost<object, number>[] = [];
      const stream = subscribe(open, {}, { ...quick, token, onResumeLost: loss => void lost.push(loss) });
      const { items, error } = await failure(stream);
      expect(numbersOf(items)).to.deep.equal([1]);
      expect(error).to.include({ code: status.OUT_OF_RANGE, reason: 'resume-lost' });
      expect(lost.map(({ token, status }) => [token, status.code])).to.deep.equal([[1, status.OUT_OF_RANGE]]);
      expect(calls).to.have.length(2);
    });

    it('C15 goes on with the request it is given instead, without a token', async () => {
      const { open, calls } = await forgetful();
      const stream = subscribe(
        open,
        { max: 1 },
        {
          ...quick,
          token,
          dedupe: 9,
          onResumeLost: async ({ request }) => ({ ...request, max: 2 }),
        },
      );
      expect(numbersOf(await all(stream))).to.deep.equal([1, 3, 5]);
      expect(calls.map(call => call.request.max)).to.deep.equal([1, 1, 2, 2, 2]);
    });

    it('C15 takes OUT_OF_RANGE for any other failure when there was nothing to resume', async () => {
      const { open } = await serve(call => send(call, [], status.OUT_OF_RANGE));
      let lost = 0;
      const stream = subscribe(open, {}, { token, onResumeLost: () => void lost++ });
      expect((await failure(stream)).error).to.include({ code: status.OUT_OF_RANGE, reason: 'code' });
      expect(lost).to.equal(0);
    });

    it('R9 reports 100 of 100 losses to a client of `topic` and `mount`, with one attempt each', async () => {
      const numbers = topic<{ number: number }>({ history: 5 });
      const { client } = await start(server =>
        mount(server, definition, {
          stream: (_request: unknown, call) =>
            numbers.subscribe({
              signal: call.signal,
              after: call.metadata.get('last-event-id')[0]?.toString(),
            }),
        }),
      );
      let losses = 0;
      for (let round = 0; round < 100; round++) {
        const after = numbers.last;
        for (let more = 0; more < 7; more++) numbers.publish({ number: numbers.last + 1 });
        const stream = subscribe(
          opener(client),
          {},
          {
            ...quick,
            token,
            after,
            onResumeLost() {
              losses += 1;
              return undefined;
            },
          },
        );
        const { error } = await failure(stream);
        expect(error).to.include({ code: status.OUT_OF_RANGE, reason: 'resume-lost' });
        expect(stream.attempts).to.have.length(1);
      }
      expect(losses).to.equal(100);
    });
  });

  it('goes on where it was through a topic that disconnects a slow consumer', async () => {
    const numbers = topic<{ number: number; text: string }>({ history: 20_000, capacity: 10 });
    const { client } = await start(server =>
      mount(server, definition, {
        stream: (_request: unknown, call) => {
          const after = call.metadata.get('last-event-id')[0]?.toString();
          return numbers.subscribe({ signal: call.signal, after });
        },
      }),
    );
    const text = 'x'.repeat(1000);
    const stream = subscribe(opener(client), {}, { ...quick, token, after: 0 });
    const got = taken(stream, 10_000);
    await until('a subscriber', () => numbers.subscribers === 1);
    for (let count = 0; count < 10_000; count++) {
      numbers.publish({ number: numbers.last + 1, text });
      if (count % 1000 === 999) await settled();
    }
    expect(numbersOf(await got)).to.deep.equal(range(1, 10_000));
    await stream.return?.();
    expect(stream.attempts.map(attempt => attempt.status?.code)).to.include(status.RESOURCE_EXHAUSTED);
  });

  it('throws an error of its own in a source, so that no upstream status leaks to a client', async () => {
    const upstream = await serve(call => send(call, [], status.NOT_FOUND));
    const passingOn: AnySource = (_request, { signal }) => subscribe(upstream.open, {}, { signal });
    const { code, details } = await (await mounted('mount', passingOn)).call();
    expect([code, details]).to.deep.equal([status.UNKNOWN, 'internal error']);
  });
});
