import type { StreamConfig, StreamInfo } from '@nats-io/jetstream';
import { expected } from '../check.ts';
import { codeOf, failureOf, isMissing, patiently } from './failure.ts';
import type { Nats } from './nats.ts';
import { covers, overlap } from './subjects.ts';

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
 * @throws StatusError when it is not there and cannot be made; TypeError when it has other subjects.
 */
export async function openStream(nats: Nats, settings: StreamSettings): Promise<StreamInfo> {
  const info = await findOrMake(nats, settings);
  const { subjects = [], mirror, sources, subject_transform: transform } = info.config;
  // Those have messages with subjects that the stream itself does not name.
  if (mirror || sources?.length || transform) return info;
  const list = subjects.join(', ');
  if (!subjects.some(taken => covers(taken, settings.subject)))
    throw expected('subject', `one that stream \`${settings.stream}\` takes (${list})`, settings.subject);
  for (const read of settings.subjects)
    if (!subjects.some(taken => overlap(taken, read)))
      throw expected('subjects', `among those of stream \`${settings.stream}\` (${list})`, read);
  return info;
}

async function findOrMake(nats: Nats, { stream, subject, create }: StreamSettings): Promise<StreamInfo> {
  const { jsm, nc } = nats;
  const what = `stream \`${stream}\` on ${nc.getServer()}`;
  try {
    return await patiently(() => nats.answer(jsm.streams.info(stream)));
  } catch (error) {
    if (!isMissing(error) || create === undefined) throw failureOf(error, `cannot open ${what}`);
  }
  const { version = '' } = nc.info ?? {};
  if (isBefore(version, CREATES_FROM))
    throw failureOf(
      new Error(`streams are made on NATS ${CREATES_FROM.join('.')} and later, this is ${version}`),
      `cannot make ${what}`,
    );
  try {
    // Numbers that do not come again when the stream is deleted and made anew.
    const config = { subjects: [subject], first_seq: Date.now() * 1000, ...create, name: stream };
    return await patiently(() => nats.answer(jsm.streams.add(config)));
  } catch (error) {
    // Another process made it meanwhile, with another configuration.
    if (codeOf(error) === NAME_IN_USE) return jsm.streams.info(stream);
    throw failureOf(error, `cannot make ${what}`);
  }
}

function isBefore(version: string, least: readonly number[]): boolean {
  const parts = version.split(/[.-]/).map(Number);
  for (const [index, part] of least.entries()) {
    const own = parts[index] ?? 0;
    if (own !== part) return own < part;
  }
  return false;
}
