import { filling, parked, type Row, type Source, sleep } from '../row.ts';

const waits: Source = async function* (tools) {
  tools.sendHeader();
  yield await parked(tools);
};

const ticks: Source = async function* () {
  for (let number = 1; ; number++) {
    yield { number };
    await sleep(5);
  }
};

const floods: Source = async function* () {
  for (;;) yield { filling };
};

/** A client that … */
export const leaves: Row[] = [
  {
    name: 'leaves as soon as it has asked',
    source: waits,
    async client(client) {
      const call = client.open();
      call.reset();
      await sleep(50);
    },
  },
  {
    name: 'leaves before the first message',
    source: waits,
    async client(client) {
      const call = client.open();
      await client.arrived(1);
      call.reset();
    },
  },
  {
    name: 'leaves in the middle',
    source: ticks,
    async client(client) {
      const call = client.open();
      await client.until('no messages are pulled', ({ pulled }) => pulled > 5);
      call.reset();
    },
  },
  {
    name: 'leaves while its server waits for it to read',
    source: floods,
    async client(client) {
      const call = client.open({ read: false });
      await client.arrived(1);
      await sleep(300);
      call.reset();
    },
  },
  {
    name: 'leaves with the last message',
    async *source(tools) {
      yield { number: 1 };
      await sleep(20);
      yield { number: 2 };
      tools.trailer('x-last', '1');
    },
    async client(client) {
      const call = client.open();
      call.stream.on('data', () => call.messages.length && call.reset());
      await client.arrived(1);
    },
  },
  {
    name: 'leaves, and the `finally` of the source throws',
    async *source(tools) {
      try {
        yield { number: 1 };
        yield await parked(tools);
      } finally {
        // biome-ignore lint/correctness/noUnsafeFinally: that is the fault.
        throw new Error('the cursor is gone');
      }
    },
    async client(client) {
      const call = client.open();
      await client.arrived(1);
      call.reset();
    },
  },
  {
    name: 'leaves, and the `return()` of the source never settles',
    source: () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => sleep(5).then(() => ({ value: { number: 1 }, done: false })),
        return: () => new Promise(() => {}),
      }),
    }),
    async client(client) {
      const call = client.open();
      await sleep(100);
      call.reset();
    },
  },
  {
    name: 'loses its connection (TCP reset) while the source is parked',
    source: waits,
    async client(client) {
      const peer = client.peer();
      client.open({}, peer);
      await client.arrived(1);
      peer.resetTcp();
    },
  },
  {
    name: 'loses its connection while it does not read',
    source: floods,
    async client(client) {
      const peer = client.peer();
      client.open({ read: false }, peer);
      await client.arrived(1);
      await sleep(300);
      peer.resetTcp();
    },
  },
  {
    name: 'goes away without a word (half-open), with keepalive',
    source: waits,
    keepalive: true,
    without: { 'connect-node': 'Node has no such setting' },
    async client(client) {
      const { peer, proxy } = await client.far();
      client.open({}, peer);
      await client.arrived(1);
      proxy.faults.blackHole = true;
      await client.until('`finally` does not run', ({ finished }) => finished === 1, 4000);
    },
  },
  {
    name: 'opens 1,000 calls and leaves all of them',
    source: waits,
    async client(client) {
      const calls = [];
      for (let connection = 0; connection < 10; connection++) {
        const peer = client.peer();
        for (let n = 0; n < 100; n++) calls.push(client.open({}, peer));
      }
      await client.until('not all of them start', ({ started }) => started === 1000, 8000);
      for (const call of calls) call.reset();
      await client.until('some `finally` do not run', ({ started, finished }) => started === finished, 3000);
    },
  },
  {
    name: 'resets 500 calls as fast as it opens them',
    source: waits,
    async client(client) {
      const peer = client.peer();
      for (let n = 0; n < 500; n++) {
        client.open({}, peer).reset();
        if (n % 50 === 0) await sleep(1);
      }
      await sleep(200);
      await client.until('some `finally` do not run', ({ started, finished }) => started === finished);
    },
  },
];
