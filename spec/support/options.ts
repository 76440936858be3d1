import { Metadata, Server, status } from '@grpc/grpc-js';
import { createNoopMeter } from '@opentelemetry/api';
import * as client from '../../lib/client/index.ts';
import { configure, drain, drainOn, StatusError, serverOptions } from '../../lib/index.ts';
import { publishSettingsOf, settingsOf } from '../../lib/nats/options.ts';
import * as sources from '../../lib/sources/index.ts';
import * as testing from '../../lib/testing/index.ts';
import { web } from '../../lib/web/index.ts';
import { batch } from '../../middleware/batch.ts';
import { checksum } from '../../middleware/checksum.ts';
import { errors } from '../../middleware/errors.ts';
import { heartbeat } from '../../middleware/heartbeat.ts';
import { limits } from '../../middleware/limits.ts';
import { logging } from '../../middleware/logging.ts';
import { metadata } from '../../middleware/metadata.ts';
import { metrics, topicMetrics } from '../../middleware/metrics.ts';
import { tracing } from '../../middleware/tracing.ts';

/** Something that takes options: every name it knows, with a value that it takes. */
export interface Options {
  /** The entry of the package, and the type of the options there; none for what has no type of its own. */
  readonly type: string | undefined;
  readonly use: (options: any) => unknown;
  readonly names: Record<string, unknown>;
  /** What is needed beside the one that is tried. */
  readonly needed?: Record<string, unknown>;
  /** What else than the like of that value it takes, by name: kinds of values as `kindOf` says them. */
  readonly also?: Readonly<Record<string, readonly string[]>>;
  /** How errors name what these options are of. */
  readonly within?: string;
}

const any = () => {};
const { signal } = new AbortController();
const server = () => new Server();
const listening = { capacity: 1, overflow: 'error', signal };
const iterable = () => sources.channel<number>();
const rule = (answer: unknown) => errors({ rules: [[1, answer as never]] });

/** Everything that the package exports with options. */
export const settings: Readonly<Record<string, Options>> = {
  'configure()': {
    type: './ConfigureOptions',
    use: configure,
    names: {
      maxUnackedMessages: 1,
      maxUnackedBytes: 1,
      cleanupGraceMs: 1,
      onError: any,
      onOrphan: any,
    },
  },
  'drain()': {
    type: './DrainOptions',
    use: given => void drain(server(), given),
    names: { graceMs: 0, retryMs: 0, details: '' },
  },
  'drainOn()': {
    type: './DrainOnOptions',
    use: given => drainOn(server(), given)(),
    names: { graceMs: 0, retryMs: 0, details: '', signals: ['SIGUSR2'], after: any },
  },
  'new StatusError()': {
    type: './StatusErrorOptions',
    use: given => new StatusError(status.NOT_FOUND, '', given),
    names: { metadata: new Metadata(), cause: 1, details: [] },
  },
  'serverOptions()': {
    type: undefined,
    use: serverOptions,
    names: { interceptors: [], 'grpc.keepalive_time_ms': 1, 'grpc.max_connection_idle_ms': 1 },
  },
  'channel()': {
    type: './sources/ChannelOptions',
    use: sources.channel,
    names: { ...listening, onDrop: any },
  },
  'chunk()': {
    type: './sources/ChunkOptions',
    use: given => sources.chunk([1], given),
    names: { maxItems: 1, maxDelayMs: 1, signal },
    needed: { maxItems: 1 },
  },
  'from() an event': {
    type: './sources/FromEventOptions',
    use: given => sources.from(new EventTarget(), 'event', given),
    names: { ...listening, end: 'end', error: 'error' },
    also: { end: ['list'] },
  },
  'from() a stream': {
    type: './sources/FromOptions',
    use: given => sources.from([1], given),
    names: listening,
  },
  'merge()': {
    type: './sources/MergeOptions',
    use: given => sources.merge(iterable(), given),
    names: { concurrency: 1, signal },
  },
  'poll()': {
    type: './sources/PollOptions',
    use: given => sources.poll(any, given),
    names: { everyMs: 1, until: () => true, signal },
    needed: { everyMs: 1 },
  },
  'replay()': {
    type: './sources/ReplayOptions',
    use: given => sources.replay([], iterable(), given),
    names: { id: any, window: 1, signal },
    needed: { id: any },
  },
  'topic()': {
    type: './sources/TopicOptions',
    use: sources.topic,
    names: { capacity: 1, overflow: 'latest', history: 1, key: any, startAfter: 0 },
  },
  'topic().subscribe()': {
    type: './sources/TopicSubscribeOptions',
    use: given => sources.topic().subscribe(given),
    names: { signal, after: 0, filter: () => true, capacity: 1, overflow: 'latest' },
  },
  'subscribe()': {
    type: './client/SubscribeOptions',
    use: given => client.subscribe(any as never, {}, given),
    names: {
      ...{ signal, deadline: 1, metadata: any, items: any, token: any, bookmark: any, after: 1, resume: any },
      ...{ onResumeLost: any, dedupe: 1, onOk: 'end', retry: [], firstFailure: 'retry', backoff: {} },
      ...{ maxHintMs: 1, healthyMs: 1, maxAttempts: 1, maxElapsedMs: 1, maxFruitless: 1, stallMs: 1 },
      ...{ onAttempt: any, onHeader: any, onAttemptEnd: any },
    },
    needed: { token: any },
    also: { deadline: ['date'], metadata: ['Metadata'], retry: ['function'], backoff: ['function'] },
  },
  'backoff()': {
    type: './client/BackoffOptions',
    use: client.backoff,
    names: { baseMs: 1, maxMs: 1, factor: 1, random: Math.random },
  },
  'subscribe({ backoff })': {
    type: undefined,
    use: backoff => client.subscribe(any as never, {}, { backoff }),
    names: { baseMs: 1, maxMs: 1, factor: 1, random: Math.random },
  },
  'collect()': {
    type: './testing/TestOptions',
    use: given => testing.open(() => [], {}, given).cancel(),
    names: {
      ...{ metadata: new Metadata(), deadline: Infinity, cancelAfter: 1, stallAfter: 1, slowByMs: 1 },
      ...{ middleware: [], serialize: any, graceMs: 1, path: '/a/B', peer: 'unknown' },
      ...{ kind: 'serverStream', authContext: {} },
    },
    also: { deadline: ['date'] },
  },
  'batch()': {
    type: './batch/BatchOptions',
    use: batch,
    names: { maxItems: 1, maxBytes: 1, size: () => 1, maxDelayMs: 1, merge: any, onDrop: any },
    needed: { size: () => 1 },
  },
  'errors()': {
    type: './errors/ErrorsOptions',
    use: errors,
    names: { rules: [], default: 1, forward: true, makeId: any },
  },
  'the answer of a rule of errors()': {
    type: undefined,
    use: rule,
    names: { code: 1, details: '', metadata: new Metadata() },
    needed: { code: 1 },
    within: 'rules[0][1]',
  },
  'heartbeat()': {
    type: './heartbeat/HeartbeatOptions',
    use: heartbeat,
    names: { everyMs: 1, make: any },
    needed: { make: any },
  },
  'limits()': {
    type: './limits/LimitsOptions',
    use: limits,
    names: {
      ...{ maxStreams: 1, maxStreamsPerPeer: 1, maxStreamsPerMethod: 1, peerOf: any, retryMs: 1 },
      ...{ maxStreamAgeMs: 1, jitter: 1, idleTimeoutMs: 1, maxStallMs: 1 },
      ...{ maxMessagesPerSecond: 1, maxBytesPerSecond: 1 },
    },
    needed: { maxStreams: 1 },
  },
  'logging()': {
    type: './logging/LoggingOptions',
    use: logging,
    names: {
      logger: console,
      objectFirst: true,
      start: true,
      slowMs: 1,
      metadata: [],
      level: any,
      fields: any,
    },
  },
  'metadata()': {
    type: './metadata/MetadataOptions',
    use: metadata,
    names: { header: {}, trailer: {}, flush: true },
  },
  'checksum()': {
    type: './checksum/ChecksumOptions',
    use: checksum,
    names: { bytes: any, algorithm: 'md5', trailer: 'x-sum' },
    needed: { bytes: any },
  },
  'metrics()': {
    type: './metrics/MetricsOptions',
    use: metrics,
    names: {
      ...{ meterProvider: { getMeter: any }, semconv: 'stable', metricAttributes: any },
      ...{ isError: any, a66: true },
    },
  },
  'topicMetrics()': {
    type: './metrics/TopicMetricsOptions',
    use: given => topicMetrics({ subscribers: 0 }, given),
    names: { name: 'a', meterProvider: { getMeter: () => createNoopMeter() } },
    needed: { name: 'a' },
  },
  'jetstreamTopic()': {
    type: './nats/JetStreamTopicOptions',
    use: settingsOf,
    names: {
      ...{ stream: 'a', subject: 'a', subjects: 'a', create: {}, encode: any, decode: any, capacity: 1 },
      ...{
        overflow: 'latest',
        key: any,
        history: 1,
        poison: 'skip',
        awayMs: 1,
        maxCatchUps: 1,
        apiPrefix: 'a',
      },
      ...{ gaps: 'lost', onEvent: any },
    },
    needed: { stream: 'a', subject: 'a' },
  },
  'jetstreamTopic().publish()': {
    type: './nats/PublishOptions',
    use: publishSettingsOf,
    names: { id: 'a', subject: 'a', timeoutMs: 1 },
  },
  'web()': {
    type: './web/WebOptions',
    use: web,
    names: {
      ...{ cors: { origins: [] }, token: any, json: any, maxRequestBytes: 1, requestTimeoutMs: 1 },
      ...{ heartbeatMs: 1, retryMs: 1 },
    },
  },
  'web({ cors })': {
    type: './web/CorsOptions',
    use: cors => web({ cors }),
    names: { origins: [], credentials: true, maxAgeMs: 1 },
    needed: { origins: [] },
    also: { origins: ['function'] },
  },
  'tracing()': {
    type: './tracing/TracingOptions',
    use: tracing,
    names: {
      ...{ tracerProvider: { getTracer: any }, semconv: 'stable', existingSpan: 'ignore', links: any },
      ...{ renameExisting: true, publicEndpoint: true, requestHeaders: [], isError: any },
      ...{ responseHeaders: [], responseTrailers: [], spanAttributes: any, exceptions: 'off' },
      ...{ loggerProvider: { getLogger: any }, redactMessages: true, progress: { intervalMs: 1000 } },
      ...{ segmentMs: 1000 },
    },
    also: { publicEndpoint: ['function'] },
  },
  'tracing({ progress })': {
    type: undefined,
    use: progress => tracing({ progress }),
    names: { intervalMs: 1000, max: 1 },
    needed: { intervalMs: 1000 },
  },
};
