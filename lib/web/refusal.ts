import { status } from '@grpc/grpc-js';
import type { WebMethod } from './method.ts';

/** A status that is said without a call. */
export class Refusal {
  constructor(
    readonly code: status,
    readonly details: string,
  ) {}
}

/** The method that is to be called, or why none is, whichever way it was asked for. */
export function callable(path: string, method: WebMethod | undefined, closing: boolean): WebMethod | Refusal {
  if (method === undefined)
    return new Refusal(status.UNIMPLEMENTED, `The server does not implement the method ${path}`);
  if (method.streamed)
    return new Refusal(
      status.UNIMPLEMENTED,
      `Browsers cannot stream requests, which ${path} reads: call it by gRPC`,
    );
  return closing ? new Refusal(status.UNAVAILABLE, 'the server is shutting down') : method;
}

/** For a response that has none. */
export function noMessages(): Uint8Array {
  return new Uint8Array();
}
