import { Server } from '@grpc/grpc-js';
import { type Middleware, mount, type Requests } from 'leat';
import { errors } from 'leat/errors';
import { metrics } from 'leat/metrics';
import { tracing } from 'leat/tracing';
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

/** With so many of tracing, metrics and errors. */
export async function serve(layers: number): Promise<Contender> {
  const middleware: Middleware[] = [tracing(), metrics(), errors()].slice(0, layers);
  const server = new Server();
  mount(server, Kinds, methods, ...middleware);
  return { port: await listen(server) };
}
