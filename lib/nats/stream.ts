import { status } from '@grpc/grpc-js';
import type { StreamConfig, StreamInfo } from '@nats-io/jetstream';
import { expected } from '../check.ts';
import { StatusError } from '../status/status.ts';
import { codeOf, failureOf, isMissing, patiently } from './failure.ts';
import type { Nats } from './nats.ts';
import { covers, madeBy, overlap } from './subjects.ts';
import { isBefore } from './version.ts';

/** What a topic asks of its stream. */
export interface StreamSettings {
  readonly stream: string;
  readonly subject: string;
  readonly subjects: readonly string[];
  readonly create: Partial<StreamConfig> | undefined;
}

/** Before this, a restart of NATS loses messages of a stream with `first_seq`. */
const CREATES_FROM = [2, 11, 2];
const NAME_IN_USE = 10_058;

/**
 * Finds the stream, or makes it; checks that what is to be published and read is in it.
 *
 * @throws StatusError when it is not there and cannot be made, or is of no use; TypeError when it has other subjects, or
 *   what is to be made would be of no use.
 */
export async function openStream(nats: Nats, settings: StreamSettings): Promise<StreamInfo> {
  const info = await findOrMake(nats, settings);
  checkSubjectsOf(info.config, settings);
  const unfit = unfitIn(info.config);
  if (unfit === undefined) return info;
  const what = `stream \`${settings.stream}\`, which has \`${unfit}\``;
  throw new StatusError(status.FAILED_PRECONDITION, `cannot use ${what}: ${UNFIT[unfit]}`);
}

/** What no topic can use, and why. */
const UNFIT = {
  'no_ack: true': 'nobody is told whether an item is stored',
  'retention: workqueue': 'each of its messages is for one reader only',
  'allow_msg_counter: true': 'it stores numbers to add, and no items',
} as const;

function unfitIn(config: Partial<StreamConfig>): keyof typeof UNFIT | undefined {
  if (config.no_ack) return 'no_ack: true';
  if (config.retention === 'workqueue') return 'retention: workqueue';
  // Of NATS 2.12.
  if ((config as { allow_msg_counter?: boolean }).allow_msg_counter) return 'allow_msg_counter: true';
  return undefined;
}

/** @throws TypeError when a stream does not take what is to be published, or has not what is to be read. */
function checkSubjectsOf(config: Partial<StreamConfig>, settings: StreamSettings): void {
  const { subjects = [], mirror, sources, subject_transform: transform } = config;
  // Those have messages with subjects that the stream itself does not name.
  if (mirror || sources?.length) return;
  const list = subjects.join(', ');
  if (!subjects.some(taken => covers(taken, settings.subject)))
    throw expected('subject', `one that stream \`${settings.stream}\` takes (${list})`, settings.subject);
  const stored = transform?.dest ? `${list}, stored as ${transform.dest}` : list;
  for (const read of settings.subjects)
    if (!has(subjects, transform, read))
      throw expected('subjects', `among those of stream \`${settings.stream}\` (${stored})`, read);
}

/** Whether a stream may have messages that a pattern matches. */
function has(
  subjects: readonly string[],
  transform: StreamConfig['subject_transform'],
  read: string,
): boolean {
  if (!transform?.dest) return subjects.some(taken => overlap(taken, read));
  const { src = '>', dest } = transform;
  const from = src || '>';
  if (overlap(madeBy(dest), read)) return true;
  return !covers(from, read) && subjects.some(taken => overlap(taken, read) && !covers(from, taken));
}

async function findOrMake(nats: Nats, settings: StreamSettings): Promise<StreamInfo> {
  const { stream, subject, create } = settings;
  const { jsm, nc } = nats;
  const what = `stream \`${stream}\` on ${nc.getServer()}`;
  try {
    return await patiently(() => nats.answer(jsm.streams.info(stream)));
  } catch (error) {
    if (!isMissing(error) || create === undefined) throw failureOf(error, `cannot open ${what}`);
  }
  // Numbers that do not come again when the stream is deleted and made anew. What would be of no use is not made.
  const config = { subjects: [subject], first_seq: Date.now() * 1000, ...create, name: stream };
  const unfit = unfitIn(config);
  if (unfit !== undefined)
    throw new TypeError(`Expected \`create\` to be without \`${unfit}\`: ${UNFIT[unfit]}`);
  checkSubjectsOf(config, settings);
  if (isBefore(nc, CREATES_FROM))
    throw failureOf(
      new Error(`streams are made on NATS ${CREATES_FROM.join('.')} and later, this is ${nc.info?.version}`),
      `cannot make ${what}`,
    );
  try {
    return await patiently(() => nats.answer(jsm.streams.add(config)));
  } catch (error) {
    // Another process made it meanwhile, with another configuration.
    if (codeOf(error) === NAME_IN_USE) return jsm.streams.info(stream);
    throw failureOf(error, `cannot make ${what}`);
  }
}
