import { status } from '@grpc/grpc-js';
import type { JsMsg } from '@nats-io/jetstream';
import { StatusError } from '../status/status.ts';
import type { Settings } from './options.ts';
import type { Entry } from './pages.ts';
import { isMarker, itemOf, type StoredMessage } from './stored.ts';

/** Makes items of messages, and says what becomes of those of which none can be made. */
export class Decoder<T> {
  /** Messages that were left out. */
  skipped = 0;

  constructor(private readonly settings: Pick<Settings<T>, 'decode' | 'poison' | 'onEvent'>) {}

  /**
   * Gives the item of a message to who takes it. Answers the error of its subscribers when there is none, or it was
   * not taken, unless such messages are skipped. NATS's own messages are no items.
   */
  decode(message: JsMsg, stored: StoredMessage, take: (item: T) => void): StatusError | undefined {
    if (isMarker(message, stored)) return undefined;
    try {
      take(itemOf(this.settings.decode, stored));
      return undefined;
    } catch (error) {
      return this.poisonous(stored.sequence, error);
    }
  }

  entryOf(message: JsMsg, stored: StoredMessage): Entry<T> {
    const { sequence } = stored;
    let entry: Entry<T> = { sequence };
    const error = this.decode(message, stored, item => {
      entry = { sequence, item };
    });
    return error ? { sequence, error } : entry;
  }

  private poisonous(sequence: number, cause: unknown): StatusError | undefined {
    const error = new StatusError(status.DATA_LOSS, `message ${sequence} cannot be decoded`, { cause });
    this.settings.onEvent({ type: 'poison', sequence, error });
    if (this.settings.poison === 'fail') return error;
    this.skipped += 1;
    return undefined;
  }
}
