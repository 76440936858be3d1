import type { status } from '@grpc/grpc-js';

/** A status that is said without a call. */
export class Refusal {
  constructor(
    readonly code: status,
    readonly details: string,
  ) {}
}

/** For a response that has none. */
export function noMessages(): Uint8Array {
  return new Uint8Array();
}
