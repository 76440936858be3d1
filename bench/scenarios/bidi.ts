import type { Scenario } from '../lab.ts';
import { number } from '../services.ts';
import { atMost, cpuOf, cpuRows, ratioOf } from './cpu.ts';

/** An echo of each request, and a stream out of one request. */
export const bidi: Scenario = async options => {
  const request = number('Echo', 7);
  const echoed = await cpuOf(
    { count: 50_000, run: (sink, port, count) => sink.upload({ port, request, count }) },
    options,
  );
  const counted = await cpuOf(
    {
      count: 200_000,
      run: (sink, port, count) => sink.readAll({ port, request: number('Count', count), streams: 1 }),
    },
    options,
  );
  return {
    tables: [
      { title: 'Bidirectional: an echo of each message', rows: cpuRows(echoed, 'message') },
      { title: 'Bidirectional: many small messages for one request', rows: cpuRows(counted, 'message') },
    ],
    promises: [
      ...atMost(echoed, 'bidi echo', { mount: 1 }),
      {
        what: 'bidi out: the CPU of grpc-js, of mount',
        measured: 1 / ratioOf(counted, 'mount'),
        atLeast: 6,
      },
    ],
  };
};
