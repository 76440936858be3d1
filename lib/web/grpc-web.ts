import { Metadata, status } from '@grpc/grpc-js';
import { PREFIX_BYTES } from '../wire/frame.ts';
import type { Encoding, Serialize, WireStatus } from '../wire/port.ts';
import { bytesOfParts } from './base64.ts';
import { type Carried, textOf, WebPort } from './port.ts';
import { Refusal } from './refusal.ts';

/** One of the two ways of gRPC-Web, as a client asks for it. */
export interface GrpcWeb {
  readonly contentType: string;
  /** The body is base64, for browsers that read texts only. */
  readonly text: boolean;
}

/** The gRPC-Web that a content type names; `unknown` when it is of a format that is not protobuf. */
export function grpcWebOf(contentType: string | undefined): GrpcWeb | 'unknown' | undefined {
  const [, text, format] = /^\s*application\/grpc-web(-text)?(\+[^\s;]*)?\s*(?:;|$)/i.exec(
    contentType ?? '',
  ) ?? [undefined, undefined, 'none'];
  if (format === 'none') return undefined;
  if (format !== undefined && format.toLowerCase() !== '+proto') return 'unknown';
  return { contentType: `application/grpc-web${text ? '-text' : ''}+proto`, text: text !== undefined };
}

/** A frame that has trailers, and no message. */
const TRAILERS = 0x80;
const COMPRESSED = 0x01;

/** The one message of a request. */
export function messageOf(body: Buffer, maxBytes: number): Buffer | Refusal {
  if (body.length === 0)
    return new Refusal(status.UNIMPLEMENTED, 'Expected a request with one message, got none');
  if (body.length < PREFIX_BYTES) return cutOff(body.length);
  const flags = body.readUInt8(0);
  const end = PREFIX_BYTES + body.readUInt32BE(1);
  if (flags & COMPRESSED)
    return new Refusal(status.INTERNAL, 'Received compressed message but no compression was negotiated');
  if (flags !== 0) return new Refusal(status.INTERNAL, `Received a frame with unknown flags: ${flags}`);
  if (end - PREFIX_BYTES > maxBytes) return tooLarge(end - PREFIX_BYTES, maxBytes);
  if (body.length < end) return cutOff(body.length);
  if (body.length > end)
    return new Refusal(status.UNIMPLEMENTED, 'Expected a request with one message, got more');
  return body.subarray(PREFIX_BYTES, end);
}

export function tooLarge(bytes: number | undefined, maxBytes: number): Refusal {
  const size =
    bytes === undefined ? `a message of more than ${maxBytes} bytes` : `a message of ${bytes} bytes`;
  return new Refusal(status.RESOURCE_EXHAUSTED, `Received ${size}, and ${maxBytes} may be received`);
}

function cutOff(bytes: number): Refusal {
  return new Refusal(
    status.INVALID_ARGUMENT,
    `Expected a request with one message, got a part of it, ${bytes} bytes`,
  );
}

/** The bytes of a body that is text. */
export function bytesOfText(body: Buffer, maxBytes: number): Buffer | Refusal {
  const bytes = bytesOfParts(body, maxBytes + PREFIX_BYTES);
  if (bytes === 'too large') return tooLarge(undefined, maxBytes);
  if (bytes !== 'no base64') return bytes;
  return new Refusal(status.INVALID_ARGUMENT, 'Expected a request in base64, got something else');
}

/** How much text a body of so many bytes might be: there may be padding after each of them. */
export function textBytes(bytes: number): number {
  return bytes * 4;
}

/** A response in gRPC-Web. */
export class GrpcWebPort extends WebPort {
  protected readonly base64: boolean;
  protected readonly encoding: Encoding;

  constructor(
    carried: Carried,
    private readonly web: GrpcWeb,
    serialize: Serialize,
  ) {
    super(carried);
    this.base64 = web.text;
    this.encoding = { serialize };
  }

  protected headers(): Record<string, string> {
    return {
      'content-type': this.web.contentType,
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
    };
  }

  protected begin(): undefined {}

  protected last(last: WireStatus): string | Buffer {
    const frame = trailers(last);
    return this.base64 ? frame.toString('base64') : frame;
  }

  /** Says that messages may not be compressed. */
  refuseEncoding(encoding: string): void {
    const metadata = new Metadata();
    metadata.set('grpc-accept-encoding', 'identity');
    this.head(metadata);
    const given = JSON.stringify(encoding);
    this.refuse(
      new Refusal(
        status.UNIMPLEMENTED,
        `Unsupported message encoding ${given}: messages are sent as they are`,
      ),
    );
  }
}

/** A status as the last frame of a body; what it says is ASCII, as all metadata is. */
function trailers({ code, details, metadata }: WireStatus): Buffer {
  let text = `grpc-status: ${code}\r\n`;
  if (details !== '' && code !== status.OK) text += `grpc-message: ${percentEncoded(details)}\r\n`;
  for (const [key, values] of Object.entries(metadata?.toJSON() ?? {}))
    for (const value of values) text += `${key}: ${textOf(value)}\r\n`;
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + text.length);
  frame.writeUInt8(TRAILERS, 0);
  frame.writeUInt32BE(text.length, 1);
  frame.write(text, PREFIX_BYTES, 'latin1');
  return frame;
}

function percentEncoded(details: string): string {
  return encodeURI(details.toWellFormed());
}
