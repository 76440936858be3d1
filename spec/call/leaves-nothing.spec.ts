import { type EventEmitter, getEventListeners } from 'node:events';
import type { Server } from '@grpc/grpc-js';
import { expect } from 'chai';
import { type Call, mount, produce } from '../../lib/index.ts';
import {
  type AnySource,
  definition,
  type Handler,
  handWritten,
  type MountName,
  mountNames,
  quiet,
  serve,
  start,
  stopAll,
  until,
} from '../support/harness.ts';
import { serveHandler } from '../support/legacy.ts';
import { aborted, settled } from '../support/observe.ts';
import { Peer } from '../support/peer.ts';

describe('a call that is over', () => {
  afterEach(stopAll);

  for (const on of mountNames) describe(`on ${on}`, () => leavesNothing(on));
});

/** Serves a source, and shows the call of grpc-js to a test before anything else happens to it. */
function serveSpied(on: MountName | 'none', source: AnySource, spy: (stream: EventEmitter) => void) {
  const { handler, tap } = handWritten((request, call) => source(request, call ?? unsignalled));
  const shown =
    (shownTo: Handler): Handler =>
    stream => {
      spy(stream);
      return shownTo(stream);
    };
  const registrar = (server: Server) =>
    ({
      addService: (service: typeof definition, { stream }: { stream: Handler }) =>
        server.addService(service, { stream: shown(stream) }),
    }) as never;
  switch (on) {
    case 'none':
      return serveHandler('none', shown(handler));
    case 'produce':
      return start(server =>
        server.addService(definition, { stream: shown(produce(source, quiet) as Handler) }),
      );
    case 'mount':
      return start(server => mount(registrar(server), definition, { stream: source }, quiet));
    default:
      return serveHandler(on, shown(handler), [tap]);
  }
}

/** For a handler without middleware. */
const unsignalled = { signal: new AbortController().signal } as Call;

/** The listeners on a call of grpc-js, and on the HTTP/2 stream below it. */
function listenersOf(stream: EventEmitter | undefined): string {
  const counts: string[] = [];
  for (const emitter of [stream, baseOf(stream)?.stream]) {
    if (emitter === undefined) throw new Error('no call to look at');
    for (const name of emitter.eventNames()) counts.push(`${String(name)} ${emitter.listenerCount(name)}`);
  }
  return counts.join(', ');
}

/** The call of grpc-js below all interceptors. */
function baseOf(stream: EventEmitter | undefined): Link | undefined {
  let below = (stream as unknown as { call?: Link } | undefined)?.call;
  while (below?.nextCall) below = below.nextCall;
  return below;
}

interface Link {
  readonly nextCall?: Link;
  readonly stream?: EventEmitter;
}

function leavesNothing(on: MountName): void {
  it('S28 has as many listeners after many messages as after one, and none when it is over', async () => {
    const count = process.env.LEAT_FULL ? 1_000_000 : 200_000;
    const samples = new Set<string>();
    let stream: EventEmitter | undefined;
    const source: AnySource = function* ({ max }, { signal }) {
      for (let i = 0; i < max; i++) {
        if (i % 1000 === 999)
          samples.add(`${listenersOf(stream)}, ${getEventListeners(signal, 'abort').length}`);
        yield 0;
      }
    };
    const left: string[][] = [];
    for (const mounted of ['none', on] as const) {
      const server = await serveSpied(mounted, source, given => {
        stream = given;
      });
      const max = mounted === 'none' ? 2000 : count;
      const exchange = new Peer(server.port).open({ max }, { read: false });
      exchange.stream.resume();
      await exchange.closed;
      expect(exchange.trailer).to.include({ 'grpc-status': '0' });
      expect([...samples]).to.have.length(1);
      samples.clear();
      await settled();
      left.push(listenersOf(stream).split(', ').filter(Boolean));
    }
    const [bare = [], ours = []] = left;
    expect(bare).to.include.members(ours);
    // Node holds a closed stream for long: with listeners it would hold the call as well.
    expect(baseOf(stream)?.stream?.eventNames()).to.deep.equal([]);
    if (on !== 'produce' && on !== 'mount') return;
    // V8 holds a Writable as long, and what a handler of ours was given nobody else has.
    expect(baseOf(stream)).to.include({ listener: null, callEventTracker: null });
    expect(stream?.eventNames()).to.deep.equal([]);
  }).timeout(120_000);

  it('S29 keeps an idle stream small', async () => {
    const streams = 500;
    let arrived = 0;
    const server = await serve(on, async function* (_request, call) {
      arrived += 1;
      await aborted(call.signal);
      yield 1;
    });
    const peers = Array.from({ length: 5 }, () => new Peer(server.port));
    const hold = async () => {
      const before = arrived;
      for (const peer of peers)
        for (let i = 0; i < streams / peers.length; i++) peer.open({}, { read: false });
      await until('all have arrived', () => arrived === before + streams);
      await settled();
      global.gc?.();
      return process.memoryUsage().heapUsed;
    };
    await hold();
    const first = await hold();
    const second = await hold();
    const perStream = (second - first) / streams;
    expect(perStream, 'bytes of heap, client included').to.be.below(48 * 1024);
    for (const peer of peers) peer.session.destroy();
    await settled();
  });
}
