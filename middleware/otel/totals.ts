import type { Attributes, Meter, ObservableCounter } from '@opentelemetry/api';
import type { Stats } from '../../lib/stats.ts';
import { waits } from './summary.ts';

/** A stream that is open, and the bytes it was last known to have: a size that becomes unknown takes none back. */
interface Live {
  readonly stats: Stats;
  bytes: number | undefined;
}

/**
 * How many sets of attributes are kept apart; the rest are one, as the SDK has it. It keeps 2,000 by default,
 * and waits take two each.
 */
const MAX_SETS = 900;
const OVERFLOW: Attributes = { 'otel.metric.overflow': true };

/**
 * What all streams with the same attributes have sent and waited for. Streams count for themselves, in plain
 * fields; they are added up when somebody collects, so that one that is stuck is seen while it is stuck.
 */
class Total {
  readonly live: Set<Live> = new Set();
  readonly source: Attributes;
  readonly flowControl: Attributes;
  private messages = 0;
  private bytes: number | undefined;
  private sourceMs = 0;
  private flowControlMs = 0;

  constructor(readonly attributes: Attributes) {
    this.source = { ...attributes, 'leat.wait.reason': 'source' };
    this.flowControl = { ...attributes, 'leat.wait.reason': 'flow_control' };
  }

  /** A stream has ended: it counts for ever. */
  close(live: Live): void {
    const { messages, bytes, sourceMs, flowControlMs } = this.sum([live]);
    this.live.delete(live);
    this.messages = messages;
    this.bytes = bytes;
    this.sourceMs = sourceMs;
    this.flowControlMs = flowControlMs;
  }

  sum(streams: Iterable<Live> = this.live): Sum {
    let { messages, bytes, sourceMs, flowControlMs } = this;
    for (const live of streams) {
      const { stats } = live;
      if (stats.messages > 0) live.bytes = stats.bytes ?? live.bytes;
      if (live.bytes !== undefined) bytes = (bytes ?? 0) + live.bytes;
      messages += stats.messages;
      const { source, flowControl } = waits(stats);
      sourceMs += source;
      flowControlMs += flowControl;
    }
    return { messages, bytes, sourceMs, flowControlMs };
  }
}

interface Sum {
  readonly messages: number;
  readonly bytes: number | undefined;
  readonly sourceMs: number;
  readonly flowControlMs: number;
}

/** The totals of one meter, whoever asked for them: two callbacks for one counter would hide each other. */
export class Totals {
  private readonly totals = new Map<string, Total>();

  constructor(meter: Meter) {
    const messages = meter.createObservableCounter('leat.server.sent.messages', {
      description: 'Messages sent by server streams.',
      unit: '{message}',
    });
    const size = meter.createObservableCounter('leat.server.sent.size', {
      description: 'Encoded size of the messages sent by server streams, without framing.',
      unit: 'By',
    });
    const wait = meter.createObservableCounter('leat.server.stream.wait.time', {
      description: 'Time that server streams waited for their source, or for their client to read.',
      unit: 's',
    });
    const counters: ObservableCounter[] = [messages, size, wait];
    meter.addBatchObservableCallback(result => {
      for (const total of this.totals.values()) {
        const sum = total.sum();
        result.observe(messages, sum.messages, total.attributes);
        if (sum.bytes !== undefined) result.observe(size, sum.bytes, total.attributes);
        result.observe(wait, sum.sourceMs / 1000, total.source);
        result.observe(wait, sum.flowControlMs / 1000, total.flowControl);
      }
    }, counters);
  }

  /** Counts a stream from now on; returns what ends that. */
  open(stats: Stats, attributes: Attributes): () => void {
    const total = this.of(attributes);
    const live: Live = { stats, bytes: undefined };
    total.live.add(live);
    return () => total.close(live);
  }

  private of(attributes: Attributes): Total {
    const key = JSON.stringify(Object.entries(attributes).sort());
    const known = this.totals.get(key);
    if (known) return known;
    if (this.totals.size >= MAX_SETS && attributes !== OVERFLOW) return this.of(OVERFLOW);
    const total = new Total(attributes);
    this.totals.set(key, total);
    return total;
  }
}
