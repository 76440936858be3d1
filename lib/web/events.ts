import { status } from '@grpc/grpc-js';
import { answerOf, isString } from '../hooks.ts';
import type { JsonCodec } from '../json.ts';
import { after, type Timer } from '../timers.ts';
import { headerOf } from '../token.ts';
import type { Serialize, WireStatus } from '../wire/port.ts';
import { type Carried, headersOf, WebPort } from './port.ts';
import { noMessages } from './refusal.ts';

/** The id of a last event: an EventSource comes back with it, and is told that there is no more. */
export const END = 'leat:end';

/** What ends by itself later; anything else would end in the same way again. As `leat/client` has it. */
const PASSING: readonly status[] = [
  status.UNAVAILABLE,
  status.RESOURCE_EXHAUSTED,
  status.ABORTED,
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
];

/** How a stream of events is kept up. */
export interface EventSettings {
  /** After how long a silence a comment is sent, in milliseconds. */
  readonly heartbeatMs: number;
  /** When a page comes back, in milliseconds, give or take a half. */
  readonly retryMs: number;
}

/** How messages become events. */
export interface EventEncoding {
  readonly text: (message: unknown) => string;
  /** The same in bytes, for a message that goes to many calls. */
  readonly serialize: Serialize;
}

/** Encodes messages as events. An id that a page cannot send back as it is would lose its place. */
export function eventsOf(
  toText: (message: unknown) => string,
  token: ((message: any) => unknown) | undefined,
): EventEncoding {
  const text = (message: unknown) => {
    const json = toText(message);
    const id = token?.(message);
    if (id === undefined) return `data: ${json}\n\n`;
    return `id: ${headerOf(answerOf('token', TOKEN, id, isToken))}\ndata: ${json}\n\n`;
  };
  return { text, serialize: message => Buffer.from(text(message)) };
}

/** For an answer without messages. */
export const NO_EVENTS: EventEncoding = { text: () => '', serialize: noMessages };

const TOKEN =
  'what a header carries as it is: a string of 1 to 8192 characters of ASCII without blanks around it that is not ' +
  `\`${END}\`, a finite number, or a bigint; \`undefined\` says nothing`;

function isToken(token: unknown): token is unknown {
  const header = headerOf(token);
  return header !== undefined && header !== END;
}

/** One line: within texts JSON has no line ends of its own. */
export function textByCodec(codec: Pick<JsonCodec, 'toJson'>, message: unknown): string {
  const json = answerOf('toJson', JSON_HOLDS, codec.toJson(message), isThere);
  return answerOf('toJson', JSON_HOLDS, JSON.stringify(json), isString);
}

const JSON_HOLDS = 'what JSON can hold';

function isThere(answer: unknown): answer is unknown {
  return answer !== undefined;
}

/** A response as Server-Sent Events. */
export class EventPort extends WebPort {
  protected readonly base64 = false;
  private timer: Timer | undefined;
  private beating = false;

  constructor(
    carried: Carried,
    protected readonly encoding: EventEncoding,
    private readonly settings: EventSettings,
  ) {
    super(carried);
  }

  protected headers(): Record<string, string> {
    return {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
    };
  }

  protected begin(): string {
    this.beat();
    return `retry: ${this.spread(0)}\n\n`;
  }

  protected last({ code, details, metadata }: WireStatus): string {
    const trailers = Object.entries(headersOf(metadata)).map(([key, values]) => [key, values.join(', ')]);
    const said = {
      code,
      status: status[code],
      message: code === status.OK ? '' : details,
      ...(trailers.length > 0 && { trailers: Object.fromEntries(trailers) }),
    };
    const [hint] = metadata?.get('grpc-retry-pushback-ms') ?? [];
    const passing = PASSING.includes(code) && !String(hint).startsWith('-');
    const first = passing ? `retry: ${this.spread(Number(hint) || 0)}` : `id: ${END}`;
    return `${first}\nevent: status\ndata: ${JSON.stringify(said)}\n\n`;
  }

  /** A page waits for its stream to be open, however long the first message takes. */
  override started(): void {
    setImmediate(() => this.head());
  }

  protected override closed(): void {
    this.timer?.stop();
  }

  /** Pages that were told to come back at once do not come back together. */
  private spread(hintMs: number): number {
    return Math.round(hintMs + this.settings.retryMs * (0.5 + Math.random()));
  }

  /** A comment goes where nothing is on its way: never into the middle of an event. */
  private beat(): void {
    this.timer = after(this.settings.heartbeatMs, () => {
      const { response } = this.carried;
      const silent = !this.busy && !this.beating && (this.delivery?.idle ?? true);
      this.busy = false;
      if (this.over || response.writableEnded) return;
      if (silent) {
        this.beating = true;
        // As one of two types, its overloads are told apart by nobody.
        (response as { write(chunk: string, done: () => void): unknown }).write(':\n\n', () => {
          this.beating = false;
        });
      }
      this.beat();
    }).unref();
  }
}
