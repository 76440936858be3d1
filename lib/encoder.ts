import { encode } from './broadcast.ts';
import type { Measure } from './wire.ts';

/** Encodes ahead of grpc-js, which asks for the same message next, unless interceptors may change it. */
export class Encoder {
  readonly measure: Measure;
  readonly serialize: (message: unknown) => Buffer;

  constructor(real: (message: unknown) => Buffer) {
    let ahead: unknown;
    let bytes: Buffer | undefined;
    this.measure = (message, direct) => {
      const encoded = encode(message, real);
      bytes = direct ? encoded : undefined;
      ahead = message;
      return encoded.length;
    };
    this.serialize = message => {
      if (bytes === undefined || message !== ahead) return encode(message, real);
      const encoded = bytes;
      bytes = undefined;
      ahead = undefined;
      return encoded;
    };
  }
}
