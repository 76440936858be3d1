import { randomUUID } from 'node:crypto';
import { show } from '../check.ts';
import { forget } from '../hooks.ts';
import { pause } from '../timers.ts';
import { failureOf, isPassing } from './failure.ts';
import type { Nats } from './nats.ts';

/** How long NATS may take to acknowledge before the same is sent again, in milliseconds. */
const ATTEMPT_MS = 1000;
const PAUSE_MS = 50;

/**
 * Stores a message once, however often it has to be sent: each attempt has the same id, which NATS knows again
 * within the stream's `duplicate_window`.
 *
 * @throws StatusError that says why it is not stored, or UNAVAILABLE when nobody knows.
 */
export async function publish(
  nats: Nats,
  subject: string,
  payload: Uint8Array | string,
  { id = randomUUID() as string, timeoutMs }: { id?: string | undefined; timeoutMs: number },
): Promise<number> {
  const until = performance.now() + timeoutMs;
  const expect = { streamName: nats.stream };
  for (;;) {
    const left = until - performance.now();
    try {
      const timeout = Math.max(1, Math.min(ATTEMPT_MS, left));
      const sent = nats.js.publish(subject, payload, { msgID: id, expect, timeout });
      return (await nats.answer(sent, subject)).seq;
    } catch (error) {
      if (!isPassing(error) || left <= PAUSE_MS)
        throw failureOf(error, `cannot publish to \`${subject}\` of stream \`${nats.stream}\``);
      await pause(PAUSE_MS);
    }
  }
}

/** @throws TypeError when it is no payload. */
export function checkPayload(payload: unknown): Uint8Array | string {
  if (typeof payload === 'string' || payload instanceof Uint8Array) return payload;
  forget(payload);
  throw new TypeError(`Expected \`encode()\` to return bytes or a string, got ${show(payload)}`);
}
