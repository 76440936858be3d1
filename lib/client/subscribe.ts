import type { ClientReadableStream } from '@grpc/grpc-js';
import { PullFeed } from '../sources/pull.ts';
import type { Items } from '../types.ts';
import type { Attempt } from './attempt.ts';
import { checkOpen, methodOf, type Open } from './open.ts';
import { type SubscribeOptions, settingsOf } from './options.ts';
import { Run } from './run.ts';

/** The items of one logical stream, over as many RPCs as it takes. */
export interface Subscription<Req, Item, Token = unknown> extends Items<Item> {
  /** Where the last item that was taken stands: give it as `after` to go on in another process. */
  readonly token: Token | undefined;
  /** The request of the latest attempt. */
  readonly request: Req;
  /** The last 100 attempts, oldest first; the last of them might still be running. */
  readonly attempts: readonly Attempt<Token>[];
}

/** The names of the server-streaming methods of a client. */
type MethodName<C> = {
  [Name in keyof C]: C[Name] extends (request: never, ...rest: never[]) => ClientReadableStream<unknown>
    ? Name
    : never;
}[keyof C] &
  string;

/** The request and the response of a method by the last of its overloads, which takes metadata and options. */
type RequestOf<C, Name extends keyof C> = C[Name] extends (request: infer Req, ...rest: never[]) => unknown
  ? Req
  : never;
type ResponseOf<C, Name extends keyof C> = C[Name] extends (
  ...args: never[]
) => ClientReadableStream<infer Res>
  ? Res
  : never;

/**
 * Makes one endless stream of a server-streaming method: it reconnects, waits politely, and goes on after the
 * last item that was taken. Nothing is opened before the first `next()`; leaving the loop, in whatever way,
 * cancels the RPC; reading slowly slows the server. The channel stays as it is, and open.
 *
 * The client may be of another copy of grpc-js than the metadata it is given.
 *
 * A channel that cannot connect waits by itself before it tries again, up to two minutes: set
 * `grpc.max_reconnect_backoff_ms` on a client whose server might be away for longer.
 *
 * @example
 * const numbers = subscribe(client, 'listNumbers', { max: 10 }, { signal: AbortSignal.timeout(60_000) });
 * for await (const { num } of numbers) console.log(num);
 *
 * @example
 * // Any function that starts the call will do.
 * subscribe((request, metadata, options) => client.listNumbers(request, metadata, options), { max: 10 });
 * @throws TypeError when an option is out of its range; from `next()`, when `open` or a hook answers with
 * what it should not.
 * @throws SubscribeError, from `next()`: any status that is not retried, or no longer.
 */
export function subscribe<
  C extends object,
  Name extends MethodName<C>,
  Item = ResponseOf<C, Name>,
  Token = unknown,
>(
  client: C,
  method: Name,
  request: RequestOf<C, Name>,
  options?: SubscribeOptions<RequestOf<C, Name>, ResponseOf<C, Name>, Item, Token>,
): Subscription<RequestOf<C, Name>, Item, Token>;
export function subscribe<Req, Res, Item = Res, Token = unknown>(
  open: Open<Req, Res>,
  request: Req,
  options?: SubscribeOptions<Req, Res, Item, Token>,
): Subscription<Req, Item, Token>;
export function subscribe(first: unknown, ...rest: unknown[]): Subscription<unknown, unknown, unknown> {
  const [open, request, options = {}] =
    typeof first === 'object' && first !== null
      ? [methodOf(first, rest[0]), ...rest.slice(1)]
      : [first, ...rest];
  checkOpen(open);
  const settings = settingsOf(options as SubscribeOptions<unknown, unknown, unknown, unknown>);
  const run = new Run(open as Open<unknown, unknown>, request, settings);
  return new SubscriptionFeed(run, (options as SubscribeOptions<unknown, unknown>).signal);
}

class SubscriptionFeed<Req, Res, Item, Token>
  extends PullFeed<Item>
  implements Subscription<Req, Item, Token>
{
  constructor(
    private readonly run: Run<Req, Res, Item, Token>,
    signal: AbortSignal | undefined,
  ) {
    super(run.items(), { signal, stop: () => run.stop() });
  }

  get token(): Token | undefined {
    return this.run.token;
  }

  get request(): Req {
    return this.run.request;
  }

  get attempts(): readonly Attempt<Token>[] {
    return this.run.attempts;
  }

  protected override hand(item: Item): boolean {
    const taken = super.hand(item);
    if (taken) this.run.delivered();
    return taken;
  }
}
