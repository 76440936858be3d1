import type { Scenario } from '../lab.ts';
import { allMiddleware } from './all-middleware.ts';
import { batches } from './batches.ts';
import { bidi } from './bidi.ts';
import { cancelled } from './cancelled.ts';
import { clientStreaming } from './client-streaming.ts';
import { fanOut } from './fan-out.ts';
import { firstMessage } from './first-message.ts';
import { idleHeap } from './idle-heap.ts';
import { kib } from './kib.ts';
import { layers } from './layers.ts';
import { oneStream } from './one-stream.ts';
import { stalled } from './stalled.ts';
import { streams16 } from './streams-16.ts';
import { unary } from './unary.ts';
import { web } from './web.ts';

const scenarios: Readonly<Record<string, Scenario>> = {
  'one-stream': oneStream,
  'streams-16': streams16,
  kib,
  layers,
  'all-middleware': allMiddleware,
  batches,
  stalled,
  'fan-out': fanOut,
  'first-message': firstMessage,
  'idle-heap': idleHeap,
  cancelled,
  web,
  unary,
  'client-streaming': clientStreaming,
  bidi,
};

/** The scenarios of these names, in our order; all of them for no names. */
export function choose(names: readonly string[]): [name: string, scenario: Scenario][] {
  const unknown = names.filter(name => !Object.hasOwn(scenarios, name));
  if (unknown.length > 0) {
    console.error(`No such scenario: ${unknown.join(', ')}. There are: ${Object.keys(scenarios).join(', ')}`);
    process.exit(2);
  }
  return Object.entries(scenarios).filter(([name]) => names.length === 0 || names.includes(name));
}
