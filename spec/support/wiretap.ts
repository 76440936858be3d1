import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { definition, path, type Reply, type Running } from './harness.ts';

/** A connection to a server that keeps every byte the server sends on it. */
export interface Wiretap {
  call(request?: unknown): Promise<Reply>;
  /** What came since it was last asked for, and the end of what came before. */
  bytes(): Buffer;
  close(): Promise<void>;
}

/** Puts a proxy between a server and a client of its own. */
export async function wiretap(server: Running): Promise<Wiretap> {
  let chunks: Buffer[] = [];
  const sockets = new Set<Socket>();
  const proxy = createServer(near => {
    const far = connect(server.port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    far.on('data', chunk => chunks.push(chunk));
    near.pipe(far);
    far.pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as AddressInfo;
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  return {
    call(request = {}) {
      const { requestSerialize, responseDeserialize } = definition.stream;
      const stream = client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        new Metadata(),
      );
      const messages: unknown[] = [];
      let header: Metadata | undefined;
      stream.on('metadata', metadata => {
        header = metadata;
      });
      stream.on('error', () => {});
      stream.on('data', message => messages.push(message));
      return new Promise(resolve => {
        stream.on('status', ({ code, details, metadata }) =>
          resolve({ messages, header, trailer: metadata, code, details }),
        );
      });
    },
    bytes() {
      const bytes = Buffer.concat(chunks);
      chunks = [bytes.subarray(-canary.length)];
      return bytes;
    },
    async close() {
      client.close();
      for (const socket of sockets) socket.destroy();
      await new Promise(resolve => proxy.close(resolve));
    },
  };
}

/**
 * A secret that can be found among the bytes of HTTP/2: its characters are longer in the Huffman code of HPACK
 * than as they are, so that no encoder packs it; percent-encoding leaves them alone, and so does JSON.
 */
export const canary: string = '~$@#'.repeat(24);

/** Whether a piece of the canary is in it. */
export function sings(where: Buffer | Reply): boolean {
  const piece = canary.slice(0, 12);
  if (Buffer.isBuffer(where)) return where.includes(piece);
  const { messages, header, trailer, details } = where;
  const text = JSON.stringify([messages, header?.toJSON(), trailer.toJSON(), details], (_key, value) =>
    value?.type === 'Buffer' ? Buffer.from(value.data).toString('latin1') : value,
  );
  return text.includes(piece);
}
