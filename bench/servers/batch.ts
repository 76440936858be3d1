import { Server } from '@grpc/grpc-js';
import { mount } from 'leat';
import { batch } from 'leat/batch';
import { Items } from '../services.ts';
import { type Batch, batches, trickle } from '../sources.ts';
import { type Contender, listen } from './contender.ts';

/** How long an item may wait for others. */
export const maxDelayMs = 20;

const merge = (list: Batch[]): Batch => ({ items: list.flatMap(({ items }) => items) });

/** Of so many items; of none, what batches are compared with. */
export async function serve(maxItems: number): Promise<Contender> {
  const middleware = maxItems > 0 ? [batch({ maxItems, maxDelayMs, merge })] : [];
  const server = new Server();
  mount(server, Items, { batches, trickle }, ...middleware);
  return { port: await listen(server) };
}
