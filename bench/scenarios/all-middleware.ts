import type { Promised, Row, Scenario } from '../lab.ts';
import { numbers } from '../services.ts';
import { throughput } from './throughput.ts';

/** The part of the speed beside OpenTelemetry that all middleware must leave. */
const floor = 0.75;

/**
 * The contenders of each source. Once OpenTelemetry's context is in use, Node 20 tracks every promise, whoever
 * makes it: the one in the middle shows what that costs alone.
 */
const sources = {
  'async generator': ['produce', 'otel', 'otel + 5 middleware'],
  'sync generator': ['produce-sync', 'otel-sync', 'otel-sync + 5 middleware'],
};
const names = ['produce', 'produce beside OpenTelemetry', 'produce + all middleware'];

/** What a service in production has on, against nothing. */
export const allMiddleware: Scenario = async options => {
  const contenders = Object.values(sources).flat();
  const speeds = await throughput({ contenders, request: numbers }, options);
  const rows: Row[] = [];
  const promises: Promised[] = [];
  for (const [source, servers] of Object.entries(sources)) {
    const measured = servers.map(server => speeds.get(server) ?? { rate: Number.NaN, cpu: Number.NaN });
    const [bare, beside, all] = measured.map(({ rate }) => rate) as [number, number, number];
    for (const [index, { rate, cpu }] of measured.entries()) {
      const server = names[index] ?? '';
      rows.push({
        source,
        server,
        'messages/s': Math.round(rate),
        ratio: rate / bare,
        'CPU µs/message': cpu,
      });
    }
    const what = `all middleware: the speed of a ${source} that is left`;
    promises.push({ what, measured: all / beside, atLeast: floor });
  }
  const title = 'One stream of small messages: tracing, metrics, metadata, errors and limits';
  return { tables: [{ title, rows }], promises };
};
