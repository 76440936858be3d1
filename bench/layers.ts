import { type Call, compose, type Layer, type Sink } from 'leat';
import { expose } from './child.ts';
import { passing } from './servers/passing.ts';

const messages = 5_000_000;

const api = {
  /** What it takes to send one message through so many layers that pass it on. */
  nsPerMessage(layers: number): number {
    let count = 0;
    const counting: Sink<object> = {
      message() {
        count += 1;
      },
    };
    const layer = compose(...passing(layers))({ path: '/bench' } as Call, counting) as
      | Layer<object>
      | undefined;
    const sink = { message: layer?.message?.bind(layer) ?? counting.message };

    const message = { num: 1 };
    const start = process.hrtime.bigint();
    for (let sent = 0; sent < messages; sent++) sink.message(message);
    const ns = Number(process.hrtime.bigint() - start);
    if (count !== messages) throw new Error(`${count} of ${messages} messages came through ${layers} layers`);
    return ns / messages;
  },
};

export type LayersApi = typeof api;

expose(api);
