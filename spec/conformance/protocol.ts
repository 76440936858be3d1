import { inspect } from 'node:util';
import { Metadata } from '@grpc/grpc-js';
import { fromJSON, loadSync } from '@grpc/proto-loader';

/** What the runner of ConnectRPC and we say to each other: its messages, which come with its Go module. */
const PACKAGE = 'connectrpc.conformance.v1';

const folder = process.env.CONFORMANCE_PROTO;
if (folder === undefined)
  throw new Error('CONFORMANCE_PROTO is not set: start this by `npm run conformance`');

const loaded: Record<string, any> = loadSync(
  ['service', 'server_compat', 'client_compat'].map(name => `${PACKAGE.replaceAll('.', '/')}/${name}.proto`),
  { includeDirs: [folder], longs: String, enums: Number, arrays: true, oneofs: true },
);

export const definition = loaded[`${PACKAGE}.ConformanceService`];

export function encode(name: string, value: object): Buffer {
  return loaded[`${PACKAGE}.${name}`].serialize(value);
}

export function decode(name: string, bytes: Uint8Array): any {
  return loaded[`${PACKAGE}.${name}`].deserialize(bytes);
}

/** A `google.protobuf.Any` of the runner's. */
export interface Any {
  readonly type_url: string;
  readonly value: Uint8Array;
}

export function pack(name: string, value: object): Any {
  return { type_url: `type.googleapis.com/${PACKAGE}.${name}`, value: encode(name, value) };
}

/** As an answer has it; proto-loader has no codec for it, but for the message that has it as its field 2. */
export function packInfo(requestInfo: object): Any {
  const bytes = encode('ConformancePayload', { requestInfo });
  const length = bytes.subarray(1).findIndex(byte => byte < 0x80) + 2;
  return {
    type_url: `type.googleapis.com/${PACKAGE}.ConformancePayload.RequestInfo`,
    value: bytes.subarray(length),
  };
}

const details: any = fromJSON({
  nested: {
    Any: { fields: { type_url: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
    Status: {
      fields: {
        code: { type: 'int32', id: 1 },
        message: { type: 'string', id: 2 },
        details: { rule: 'repeated', type: 'Any', id: 3 },
      },
    },
  },
});

/** `google.rpc.Status`, the content of `grpc-status-details-bin`. */
export const richStatus: {
  serialize(value: object): Buffer;
  deserialize(bytes: Buffer): { details?: Any[] };
} = details.Status;

/** Metadata as the runner writes it; the values of binary entries are base64. */
export interface Header {
  readonly name: string;
  readonly value: readonly string[];
}

export function fill(metadata: Metadata, headers: readonly Header[] = []): Metadata {
  for (const { name, value } of headers)
    for (const one of value) metadata.add(name, name.endsWith('-bin') ? Buffer.from(one, 'base64') : one);
  return metadata;
}

export function headersOf(metadata: Metadata = new Metadata()): Header[] {
  return Object.entries(metadata.toJSON()).map(([name, values]) => ({
    name,
    value: values.map(one => (typeof one === 'string' ? one : one.toString('base64').replace(/=+$/, ''))),
  }));
}

/** What the runner says on our standard input: messages with their sizes before them. */
export async function* heard(name: string): AsyncGenerator<any> {
  let unread = Buffer.alloc(0);
  for await (const chunk of process.stdin) {
    unread = Buffer.concat([unread, chunk]);
    while (unread.length >= 4 && unread.length >= 4 + unread.readUInt32BE()) {
      const end = 4 + unread.readUInt32BE();
      yield decode(name, unread.subarray(4, end));
      unread = unread.subarray(end);
    }
  }
}

export function say(name: string, value: object): void {
  const bytes = encode(name, value);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(bytes.length);
  process.stdout.write(Buffer.concat([size, bytes]));
}

/** What escapes fails the run, in which the runner would not see it. */
export function guard(): void {
  for (const event of ['uncaughtException', 'unhandledRejection'])
    process.on(event, error => {
      console.error('escaped:', inspect(error).replace(/\s+/g, ' '));
      process.exitCode = 3;
    });
  process.on('SIGTERM', () => process.exit());
}
