import { InterceptingCall, type Interceptor, Metadata } from '@grpc/grpc-js';

/**
 * Metadata that tells when a client of another copy of grpc-js gets it. Such a client does not know it for
 * metadata, takes it for the call options, and would leave out both, without a word; but then it asks it for
 * interceptors, of which it has one. That keeps the call from starting, and hears what the copy's own metadata is.
 */
export function watched(metadata: Metadata, mistaken: (own: Metadata) => void): Metadata {
  const interceptors: Interceptor[] = [() => new UnstartedCall(mistaken)];
  return Object.defineProperty(metadata, 'interceptors', { configurable: true, value: interceptors });
}

/** The same entries and options, in metadata of another copy of grpc-js. */
export function recast(metadata: Metadata, own: Metadata): Metadata {
  const result: Metadata = new (own.constructor as typeof Metadata)(metadata.getOptions());
  for (const [key, values] of Object.entries(metadata.toJSON()))
    for (const value of values as (string | Buffer)[]) result.add(key, value);
  return result;
}

type Next = ConstructorParameters<typeof InterceptingCall>[0];
type Listener = Parameters<InterceptingCall['start']>[1];

/** A call that never gets to the channel, and ends when it is cancelled. */
class UnstartedCall extends InterceptingCall {
  private listener: Listener;

  constructor(private readonly mistaken: (own: Metadata) => void) {
    super(undefined as unknown as Next);
  }

  override start(metadata: Metadata, listener?: Listener): void {
    this.listener = listener;
    this.mistaken(metadata);
  }

  override cancelWithStatus(code: number, details: string): void {
    this.listener?.onReceiveStatus?.({ code, details, metadata: new Metadata() });
  }

  override getPeer(): string {
    return 'unknown';
  }

  override getAuthContext(): null {
    return null;
  }

  override sendMessage(): void {}
  override sendMessageWithContext(): void {}
  override startRead(): void {}
  override halfClose(): void {}
}
