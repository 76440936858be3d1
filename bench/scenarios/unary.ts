import type { Scenario } from '../lab.ts';
import { number } from '../services.ts';
import { atMost, cpuOf, cpuRows } from './cpu.ts';

/** Calls of one message each way, 32 at a time on one connection. */
export const unary: Scenario = async options => {
  const request = number('Get', 7);
  const cpu = await cpuOf(
    {
      // Seconds at a time: shorter bursts tell how soon a server is warm again that had nothing to do in between.
      count: 24_000,
      processes: 6,
      run: (sink, port, calls) => sink.calls({ port, request, calls, atOnce: 32 }),
    },
    options,
  );
  return {
    tables: [{ title: 'Unary calls', rows: cpuRows(cpu, 'call') }],
    promises: atMost(cpu, 'unary', { mount: 1.05, 'mount + tracing, metrics, errors': 1.25 }),
  };
};
