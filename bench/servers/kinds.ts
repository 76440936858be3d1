import { Server } from '@grpc/grpc-js';
import { type Middleware, mount, type Requests } from 'leat';
import { Kinds } from '../services.ts';
import type { Num } from '../sources.ts';
import { type Contender, listen } from './contender.ts';

export const methods = {
  get: ({ num }: Num) => ({ num }),

  async upload(numbers: Requests<Num>) {
    let sum = 0;
    for await (const { num } of numbers) sum += num;
    return { num: sum % 1000 };
  },

  async *echo(numbers: Requests<Num>) {
    for await (const { num } of numbers) yield { num };
  },

  async *count(numbers: Requests<Num>) {
    for await (const { num: max } of numbers) for (let num = 1; num <= max; num++) yield { num };
  },
};

/** With three layers, or none: who wants none has not loaded them either. */
export async function serve(layers: number): Promise<Contender> {
  const server = new Server();
  mount(server, Kinds, methods, ...(layers > 0 ? await threeLayers() : []));
  return { port: await listen(server) };
}

async function threeLayers(): Promise<Middleware[]> {
  const { tracing } = await import('leat/tracing');
  const { metrics } = await import('leat/metrics');
  const { errors } = await import('leat/errors');
  return [tracing(), metrics(), errors()];
}
