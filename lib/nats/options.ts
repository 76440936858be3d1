import type { StreamConfig } from '@nats-io/jetstream';
import { survive } from '../hooks.ts';
import {
  checkDuration,
  checkFunction,
  checkInteger,
  checkOneOf,
  checkOptions,
  expected,
  isPlain,
} from '../sources/check.ts';
import type { SlowConsumer } from '../sources/subscription.ts';
import { checkPolicy, type TopicOptions } from '../sources/topic.ts';
import type { Decode } from './stored.ts';
import { checkSubject, checkSubjects, cut, isExact } from './subjects.ts';
import type { JetStreamEvent, PublishOptions } from './types.ts';

/** Where a topic lives in NATS, and how its items are written and read. */
export interface JetStreamTopicOptions<T> {
  /** The stream's name. */
  readonly stream: string;
  /** What is published to: one of the stream's subjects. */
  readonly subject: string;
  /**
   * What is read: one or more of the stream's subjects, wildcards too.
   * @default `subject`
   */
  readonly subjects?: string | readonly string[];
  /**
   * Where JetStream is asked: `$JS.hub.API` for the one of a domain `hub`, or as an account imports that of another.
   * @default `$JS.API`, the JetStream of the connection
   */
  readonly apiPrefix?: string;
  /**
   * Makes the stream when it is missing, on NATS 2.11.2 and later: with these settings, and by default with
   * `subject`, and numbers that begin at the clock, so that none comes again when it is deleted and made anew.
   */
  readonly create?: Partial<StreamConfig>;
  /**
   * Turns an item into bytes.
   * @default JSON
   */
  readonly encode?: (item: T) => Uint8Array | string;
  /**
   * Turns the bytes of a message into an item. What it throws makes the message poison.
   * @default JSON
   */
  readonly decode?: Decode<T>;
  /**
   * How many items may wait for one subscriber. Minimum 1.
   * @default 256
   */
  readonly capacity?: number;
  /**
   * What happens when more would wait for a subscriber.
   * @default 'conflate' when there is a `key`, otherwise 'error'
   */
  readonly overflow?: SlowConsumer;
  /** What an item is about: asked once for each item that this process reads, for `conflate`. */
  readonly key?: (item: T) => unknown;
  /**
   * How many of the last items this process keeps, at least 256 of them, so that who comes back soon is
   * served from memory; who was away for longer reads the stream. Minimum 0.
   * @default 1000
   */
  readonly history?: number;
  /**
   * What a message does that `decode` throws at. `fail`: it ends its subscribers with DATA_LOSS. `skip`: it
   * is left out, and counted.
   * @default 'fail'
   */
  readonly poison?: 'fail' | 'skip';
  /**
   * For how long subscribers wait in silence when NATS is away, before they end with UNAVAILABLE and a hint
   * when to come back, in milliseconds. `Infinity` is for ever. Minimum 0.
   * @default 30000
   */
  readonly awayMs?: number;
  /**
   * How many of those who come back may read the stream at the same time; the others wait. Minimum 1.
   * @default 16
   */
  readonly maxCatchUps?: number;
  /**
   * What it means when the stream begins beyond a reader: that it lost messages, OUT_OF_RANGE, or nothing.
   * @default 'expected' for a stream with `max_msgs_per_subject`, otherwise 'lost'
   */
  readonly gaps?: 'lost' | 'expected';
  /**
   * Hears what happens to the topic.
   * @default prints what was lost or could not be decoded
   */
  readonly onEvent?: (event: JetStreamEvent) => void;
}

/** The options, checked and complete. */
export interface Settings<T> {
  readonly stream: string;
  readonly subject: string;
  readonly subjects: readonly string[];
  readonly apiPrefix: string;
  readonly create: Partial<StreamConfig> | undefined;
  readonly encode: (item: T) => Uint8Array | string;
  readonly decode: Decode<T>;
  readonly topic: TopicOptions<T> & Required<Pick<TopicOptions<T>, 'capacity' | 'overflow' | 'history'>>;
  readonly poison: 'fail' | 'skip';
  readonly awayMs: number;
  readonly maxCatchUps: number;
  readonly gaps: 'lost' | 'expected' | undefined;
  readonly onEvent: (event: JetStreamEvent) => void;
}

/** Room for those who join while messages come: what they have just read must not leave memory at once. */
const LEAST_HISTORY = 256;
const NAMES = [
  ...([
    'stream',
    'subject',
    'subjects',
    'apiPrefix',
    'create',
    'encode',
    'decode',
    'capacity',
    'overflow',
    'history',
  ] as const),
  ...(['key', 'poison', 'awayMs', 'maxCatchUps', 'gaps', 'onEvent'] as const),
];

/** @throws TypeError when an option is out of its range. */
export function settingsOf<T>(options: JetStreamTopicOptions<T>): Settings<T> {
  checkOptions(options, NAMES);
  const { stream, subject, apiPrefix = '$JS.API', create, key, gaps } = options;
  const { encode = JSON.stringify, decode = fromJson, capacity = 256, history = 1000 } = options;
  const { overflow = key ? 'conflate' : 'error' } = options;
  const { poison = 'fail', awayMs = 30_000, maxCatchUps = 16, onEvent = printer(stream) } = options;
  if (typeof stream !== 'string' || !/^[^\s.*>/\\]{1,255}$/.test(stream) || !isExact(stream))
    throw expected('stream', 'the name of a stream', cut(stream));
  checkSubject('subject', subject);
  const subjects = [options.subjects === undefined ? subject : options.subjects].flat();
  checkSubjects('subjects', subjects);
  checkSubject('apiPrefix', apiPrefix);
  if (create !== undefined && !isPlain(create)) throw expected('create', 'the settings of a stream', create);
  for (const [name, hook] of Object.entries({ encode, decode, key, onEvent })) checkFunction(name, hook);
  checkPolicy(capacity, overflow, key);
  checkInteger('history', history, 0);
  checkOneOf('poison', poison, ['fail', 'skip']);
  checkDuration('awayMs', awayMs);
  checkInteger('maxCatchUps', maxCatchUps, 1);
  if (gaps !== undefined) checkOneOf('gaps', gaps, ['lost', 'expected']);
  const topic = {
    capacity,
    overflow,
    history: Math.max(history, LEAST_HISTORY),
    ...(key !== undefined && { key }),
  };
  const told = (event: JetStreamEvent) => survive(() => onEvent(event));
  const encoded = decode === fromJson ? (item: T) => checkJson(encode(item), item) : encode;
  return {
    ...{ stream, subject, subjects, apiPrefix, create, encode: encoded, decode, topic },
    ...{ poison, awayMs, maxCatchUps, gaps, onEvent: told },
  };
}

/** @throws TypeError when an option is out of its range. */
export function publishSettingsOf(options: PublishOptions): PublishOptions & { readonly timeoutMs: number } {
  checkOptions(options, ['id', 'subject', 'timeoutMs']);
  const { id, subject, timeoutMs = 5000 } = options;
  if (id !== undefined) checkId(id);
  if (subject !== undefined) checkSubject('subject', subject);
  if (typeof timeoutMs !== 'number' || !(timeoutMs >= 1))
    throw expected('timeoutMs', 'a number of milliseconds from 1 and up', timeoutMs);
  return { ...options, timeoutMs };
}

/** NATS leaves out blanks before a header, and takes no more than 64 KB of headers. */
const MAX_ID_CHARS = 8192;

/** Refuses what NATS might read as the id of another item: that one would not be stored. */
function checkId(id: unknown): void {
  const sound = typeof id === 'string' && id !== '' && id === id.trim() && isExact(id);
  if (!sound)
    throw expected(
      'id',
      'a string without blanks around it, control characters and halves of characters',
      cut(id),
    );
  if (id.length > MAX_ID_CHARS) throw expected('id', `at most ${MAX_ID_CHARS} characters`, cut(id));
}

const text = new TextDecoder('utf-8', { fatal: true });

/** What has no text in JSON but `null`, or none at all, would be poison for all who read it. */
function checkJson<P>(payload: P, item: unknown): P {
  const short = payload instanceof Uint8Array && payload.length <= 4;
  const written: unknown = short ? Buffer.from(payload).toString() : payload;
  if (written === '' || written === 'null') throw expected('item', 'more than `null` in JSON', item);
  return payload;
}

function fromJson<T>(bytes: Uint8Array): T {
  return JSON.parse(text.decode(bytes));
}

/** Prints what nobody else hears and must still be seen. */
function printer(stream: string): (event: JetStreamEvent) => void {
  return ({ type, error }) => {
    if (type === 'lost' || type === 'poison') console.error(`leat: stream ${stream}:`, error);
  };
}
