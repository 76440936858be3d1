import * as grpc from '@grpc/grpc-js';
import type { Open } from '../../lib/client/index.ts';
import { definition, path, start } from '../support/harness.ts';

/** What most tests stream. */
export interface Message {
  readonly number: number;
}

export interface Request {
  readonly after?: number;
  readonly max?: number;
}

export type Call = grpc.ServerWritableStream<Request, any>;

export interface Service {
  readonly server: grpc.Server;
  readonly port: number;
  readonly client: grpc.Client;
  readonly open: Open<Request, Message>;
  /** Every call the server got, in order. */
  readonly calls: Call[];
}

/** How to open the method on a client of any address. */
export function opener(client: grpc.Client): Open<any, any> {
  const { requestSerialize, responseDeserialize } = definition.stream;
  return (request, metadata, options) =>
    client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, metadata, options);
}

/** A server on bare grpc-js with one hand-written handler, and a client of it; `stopAll` stops both. */
export async function serve(handler: (call: Call, index: number) => unknown): Promise<Service> {
  const calls: Call[] = [];
  const { server, port, client } = await start(server =>
    server.addService(definition, {
      stream: (call: Call) => {
        call.on('error', () => {});
        handler(call, calls.push(call) - 1);
      },
    }),
  );
  return { server, port, client, open: opener(client), calls };
}

/** Sends numbers, and then ends the call or fails it. */
export function send(
  call: Call,
  numbers: readonly number[],
  code?: grpc.status,
  trailer?: grpc.Metadata,
): void {
  for (const number of numbers) call.write({ number });
  if (code === undefined) return;
  if (code === grpc.status.OK) call.end(trailer);
  else call.emit('error', { code, details: `code ${code}`, ...(trailer && { metadata: trailer }) });
}

/** Numbers from one to another, both included. */
export const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);

export const metadataOf = (entries: Record<string, string | Buffer>): grpc.Metadata => {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(entries)) metadata.set(key, value);
  return metadata;
};
