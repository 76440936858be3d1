import * as grpc from '@grpc/grpc-js';
import { subscribe } from '../../lib/client/index.ts';
import { mount } from '../../lib/index.ts';
import { chunk, topic } from '../../lib/sources/index.ts';
import { type AnySource, definition, quiet, start } from '../support/harness.ts';
import { FaultProxy, type Faults } from './fault-proxy.ts';
import { opener } from './service.ts';

interface Message {
  readonly number: number;
}

export interface Plan {
  readonly source: 'topic' | 'cursor';
  readonly messages: number;
  /** How often the connection is cut; without `offset`, at a random byte. */
  readonly kills: number;
  /** After how many bytes of its connection each cut comes. */
  readonly offset?: (kill: number) => number;
  /** Messages are arrays of up to so many items. */
  readonly batch?: number;
  /** The consumer rests for a turn of the event loop after so many items. */
  readonly restEvery?: number;
  readonly faults?: Partial<Faults>;
}

export interface Report {
  readonly kills: number;
  readonly attempts: number;
  readonly lost: number;
  readonly repeated: number;
  readonly disordered: number;
  readonly seconds: number;
  /** Time between two items as the consumer takes them, in milliseconds: between any two … */
  readonly gaps: Gaps;
  /** … and between the last before a cut and the first after it. */
  readonly cutGaps: Gaps;
  /** How the attempts ended. */
  readonly codes: Record<string, number>;
}

/** Streams numbers through a proxy that cuts connections, and checks what arrives. */
export async function streamThroughKills(plan: Plan): Promise<Report> {
  let last = 0;
  const { source, stop } = plan.source === 'topic' ? topicOf(plan, () => last) : cursorOf(plan);
  const batched: AnySource = (request, call) => {
    const numbers = source(request, call) as AsyncIterable<Message>;
    return plan.batch ? inBatches(numbers, plan.batch, call.signal) : numbers;
  };
  const { port } = await start(server => mount(server, definition, { stream: batched }, quiet));
  const proxy = new FaultProxy(port);
  const meanBytes = (plan.messages / plan.kills) * 12;
  proxy.faults.cutAfter = () => {
    if (proxy.cuts >= plan.kills) return Infinity;
    return plan.offset?.(proxy.connections) ?? 1 + Math.floor(Math.random() * 2 * meanBytes);
  };
  Object.assign(proxy.faults, plan.faults);
  await proxy.up();
  const client = new grpc.Client(`127.0.0.1:${proxy.port}`, grpc.credentials.createInsecure(), {
    'grpc.initial_reconnect_backoff_ms': 1,
    'grpc.max_reconnect_backoff_ms': 1,
  });

  const codes: Record<string, number> = {};
  let attempts = 0;
  const stream = subscribe(
    opener(client),
    {},
    {
      after: 0,
      token: (item: Message) => item.number,
      ...(plan.batch && { items: (message: { items: Message[] }) => message.items }),
      backoff: { baseMs: 1, maxMs: 4 },
      healthyMs: 1,
      maxFruitless: Infinity,
      onAttemptEnd({ status }) {
        attempts += 1;
        const name = status ? grpc.status[status.code] : 'left';
        codes[name] = (codes[name] ?? 0) + 1;
      },
    },
  );

  const lost = new Set<number>();
  const [repeated, disordered, cutGaps] = [[] as number[], [] as number[], [] as number[]];
  const gaps = new Float64Array(plan.messages);
  let [received, attemptBefore, before] = [0, 0, performance.now()];
  const started = performance.now();
  for await (const { number } of stream as AsyncIterable<Message>) {
    const now = performance.now();
    gaps[received++ % gaps.length] = now - before;
    if (attempts !== attemptBefore) cutGaps.push(now - before);
    [attemptBefore, before] = [attempts, now];
    if (number > last) {
      for (let missing = last + 1; missing < number; missing++) lost.add(missing);
      last = number;
    } else if (lost.delete(number)) disordered.push(number);
    else repeated.push(number);
    if (plan.restEvery && number % plan.restEvery === 0) await new Promise(resolve => setImmediate(resolve));
    if (number === plan.messages) break;
  }
  const seconds = (performance.now() - started) / 1000;
  stop();
  client.close();
  await proxy.down();
  return {
    kills: proxy.cuts,
    attempts,
    lost: lost.size,
    repeated: repeated.length,
    disordered: disordered.length,
    seconds,
    gaps: gapsOf(gaps),
    cutGaps: gapsOf(Float64Array.from(cutGaps)),
    codes,
  };
}

const afterOf = (call: { metadata: grpc.Metadata }) => Number(call.metadata.get('last-event-id')[0] ?? 0);

/** Numbers from a topic: published by somebody who does not wait for connections, only for the consumer. */
function topicOf(plan: Plan, taken: () => number): { source: AnySource; stop(): void } {
  const numbers = topic<Message>({ history: 20_000, capacity: 5000 });
  let stopped = false;
  const publish = () => {
    for (let burst = 0; burst < 200; burst++)
      if (numbers.last < plan.messages && numbers.last - taken() < 10_000)
        numbers.publish({ number: numbers.last + 1 });
    if (!stopped && numbers.last < plan.messages) setImmediate(publish);
  };
  publish();
  return {
    source: (_request, call) => numbers.subscribe({ signal: call.signal, after: afterOf(call) }),
    stop() {
      stopped = true;
    },
  };
}

/** Numbers from something that can be asked for what comes after any point. */
function cursorOf(plan: Plan): { source: AnySource; stop(): void } {
  return {
    async *source(_request, call) {
      for (let number = afterOf(call) + 1; number <= plan.messages; number++) {
        if (number % 500 === 0) await new Promise(resolve => setImmediate(resolve));
        yield { number };
      }
    },
    stop() {},
  };
}

async function* inBatches(numbers: AsyncIterable<Message>, maxItems: number, signal: AbortSignal) {
  for await (const items of chunk(numbers, { maxItems, maxDelayMs: 1, signal })) yield { items };
}

export interface Gaps {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

function gapsOf(times: Float64Array): Gaps {
  times.sort();
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
