import type { Stats } from '../../lib/stats.ts';
import type { EventAttributes } from './events.ts';

/** What a stream has sent and waited for until now, an open wait included. */
export function summary(stats: Stats, bytes: number | undefined = stats.bytes): EventAttributes {
  const attributes: EventAttributes = { 'leat.stream.message.count': stats.messages };
  if (bytes !== undefined) attributes['leat.stream.size'] = bytes;
  const { firstMessageAt, startedAt } = stats;
  if (firstMessageAt !== undefined)
    duration(attributes, 'leat.stream.time_to_first_message', firstMessageAt - startedAt);
  const { source, flowControl } = waits(stats);
  duration(attributes, 'leat.stream.wait.source', source);
  duration(attributes, 'leat.stream.wait.flow_control', flowControl);
  duration(attributes, 'leat.stream.max_message_gap', stats.maxGapMs);
  return attributes;
}

/** The waits of a stream in milliseconds, the one that is still open included. */
export function waits(stats: Stats): { source: number; flowControl: number } {
  const open = stats.waiting === undefined ? 0 : performance.now() - stats.since;
  return {
    source: stats.sourceMs + (stats.waiting === 'source' ? open : 0),
    flowControl: stats.flowControlMs + (stats.waiting === 'flow_control' ? open : 0),
  };
}

/** In seconds. A zero is left out: exporters would make it an integer, and the type of the attribute flap. */
function duration(attributes: EventAttributes, name: string, ms: number): void {
  if (ms > 0) attributes[name] = ms / 1000;
}
