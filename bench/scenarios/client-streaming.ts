import type { Scenario } from '../lab.ts';
import { number } from '../services.ts';
import { atMost, cpuOf, cpuRows } from './cpu.ts';

/** One call with many small requests, and one answer. */
export const clientStreaming: Scenario = async options => {
  const request = number('Upload', 7);
  const cpu = await cpuOf(
    { count: 100_000, processes: 12, run: (sink, port, count) => sink.upload({ port, request, count }) },
    options,
  );
  return {
    tables: [{ title: 'One stream of small requests', rows: cpuRows(cpu, 'request') }],
    promises: atMost(cpu, 'client streaming', { mount: 1.1 }),
  };
};
