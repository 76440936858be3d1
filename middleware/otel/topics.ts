import { type MeterProvider, type ObservableResult, metrics as otel } from '@opentelemetry/api';
import { checkOptions, expected } from '../../lib/check.ts';
import { checkProvider, scope } from './scope.ts';

/** A topic as far as it is measured: that of `leat/sources`, or of `leat/nats`. */
export interface Measurable {
  /** How many are subscribed. */
  readonly subscribers: number;
  /** How many of them read what is stored. */
  readonly catchingUp?: number;
  /** How many messages wait to be read. */
  readonly behind?: number;
  /** How many messages were left out. */
  readonly skipped?: number;
  /** Whether its broker is there. */
  readonly state?: 'live' | 'away' | 'closed';
}

/** Which topic is measured, and where. */
export interface TopicMetricsOptions {
  /** The attribute `leat.topic`. */
  readonly name: string;
  /**
   * Where instruments are made.
   * @default the global provider, as it is now
   */
  readonly meterProvider?: MeterProvider;
}

/**
 * OpenTelemetry metrics of a topic, looked at when they are collected: who is subscribed, and of one that is in
 * NATS how many catch up, how many messages this process is behind, how many were skipped, and whether NATS is
 * there. Answers a function that ends it.
 *
 * @example
 * const stop = topicMetrics(updates, { name: 'updates' });
 * @throws TypeError when an option is out of its range.
 */
export function topicMetrics(topic: Measurable, options: TopicMetricsOptions): () => void {
  if (typeof (topic as Measurable | null | undefined)?.subscribers !== 'number')
    throw expected('topic', 'a topic', topic);
  checkOptions(options, ['name', 'meterProvider']);
  const { name, meterProvider = otel.getMeterProvider() } = options;
  if (typeof name !== 'string' || name === '') throw expected('name', 'the name of a topic', name);
  checkProvider('meterProvider', meterProvider, 'getMeter');
  const meter = meterProvider.getMeter(scope.name, scope.version, { schemaUrl: scope.schemaUrl });
  const attributes = { 'leat.topic': name };
  const made = [
    {
      of: meter.createObservableUpDownCounter('leat.topic.subscribers', {
        description: 'Subscribers of a topic in this process.',
        unit: '{subscriber}',
      }),
      look: () => topic.subscribers,
    },
    {
      of: meter.createObservableUpDownCounter('leat.topic.catching_up', {
        description: 'Subscribers that read what was stored while they were away.',
        unit: '{subscriber}',
      }),
      look: () => topic.catchingUp,
    },
    {
      of: meter.createObservableGauge('leat.topic.behind', {
        description: 'Messages that are stored and not read yet by this process.',
        unit: '{message}',
      }),
      look: () => topic.behind,
    },
    {
      of: meter.createObservableCounter('leat.topic.skipped', {
        description: 'Messages that were left out because they cannot be decoded.',
        unit: '{message}',
      }),
      look: () => topic.skipped,
    },
    {
      of: meter.createObservableGauge('leat.topic.live', {
        description: 'Whether the stream behind a topic is there: 1, or 0.',
        unit: '1',
      }),
      look: () => topic.state && Number(topic.state === 'live'),
    },
  ];
  const ends = made.map(({ of, look }) => {
    const observe = (result: ObservableResult) => {
      const value = look();
      if (value !== undefined) result.observe(value, attributes);
    };
    of.addCallback(observe);
    return () => of.removeCallback(observe);
  });
  return () => {
    for (const end of ends) end();
  };
}
