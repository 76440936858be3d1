// npx tsx spec/support/otel-overhead.full.ts [messages] [rounds]
// What is added to each message, as the median of the differences within a round. CPU time; wants a quiet machine.
import { Metadata } from '@grpc/grpc-js';
import { ServerCall } from '../../lib/call/call.ts';
import { compose } from '../../lib/call/compose.ts';
import { GrpcPort } from '../../lib/grpc-js/port.ts';
import type { Middleware } from '../../lib/index.ts';
import { pump } from '../../lib/run/pump.ts';
import { metrics } from '../../middleware/metrics.ts';
import { tracing } from '../../middleware/tracing.ts';
import { startOtel } from './otel.ts';

const messages = Number(process.argv[2] ?? 1_000_000);
const rounds = Number(process.argv[3] ?? 21);

/** Pumps one long stream into nothing, and tells the nanoseconds of CPU per message. */
async function stream(list: Middleware[], items: () => any, framed: boolean): Promise<number> {
  const origin = {
    getPath: () => '/spec.Service/Stream',
    metadata: new Metadata(),
    getPeer: () => '127.0.0.1:50000',
    getHost: () => 'localhost:50051',
    getDeadline: () => Number.POSITIVE_INFINITY,
  };
  let over: () => void;
  const ended = new Promise<void>(resolve => {
    over = resolve;
  });
  const encoded = Buffer.alloc(100);
  // What grpc-js and HTTP/2 show of themselves, as far as it is looked at.
  const stream = {
    headersSent: framed,
    session: {},
    writableEnded: false,
    writableLength: 0,
    write: (_frames: Buffer, taken: () => void) => void setImmediate(taken),
  };
  const wire = { stream, handler: { serialize: () => encoded }, maxSendMessageSize: -1 };
  const call = new ServerCall(origin, {}, new OverheadPort(wire, () => over()));
  const from = process.cpuUsage();
  call.begin(compose(...list), () => void pump(call, items));
  await ended;
  const { user, system } = process.cpuUsage(from);
  return ((user + system) * 1e3) / messages;
}

class OverheadPort extends GrpcPort {
  constructor(
    link: unknown,
    private readonly ended: () => void,
  ) {
    super(link);
  }

  header(): void {}

  message(_message: unknown, ack: () => void): void {
    ack();
  }

  status(): void {
    this.ended();
  }
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] as number;

const shapes: Record<string, () => any> = {
  'async generator': async function* () {
    for (let num = 0; num < messages; num++) yield num;
  },
  'sync generator': function* () {
    for (let num = 0; num < messages; num++) yield num;
  },
};

const otel = startOtel();
const lists: Record<string, Middleware[]> = {
  bare: [],
  tracing: [tracing()],
  metrics: [metrics()],
  both: [tracing(), metrics()],
};
console.log(`node ${process.version}, ${messages} messages, median of ${rounds} rounds, ns per message`);
for (const [shape, items] of Object.entries(shapes)) {
  for (const framed of [true, false]) {
    const times: Record<string, number[]> = { bare: [], tracing: [], metrics: [], both: [] };
    for (let round = 0; round < rounds; round++)
      for (const [name, list] of Object.entries(lists)) times[name]?.push(await stream(list, items, framed));
    const bare = times.bare as number[];
    const added = Object.entries(times).map(([name, values]) => {
      if (name === 'bare') return `bare ${median([...bare]).toFixed(0)}`;
      return `${name} +${median(values.map((value, round) => value - (bare[round] as number))).toFixed(0)}`;
    });
    console.log(`${shape}, ${framed ? 'in frames' : 'through grpc-js'}: ${added.join(', ')}`);
  }
}
await otel.stop();
