import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { status } from '@grpc/grpc-js';
import type { TestClient } from '../client.ts';
import { must, type Row, type Source, sleep } from '../row.ts';

const three: Source = async function* () {
  for (let number = 1; number <= 3; number++) yield { number };
};

const frame = (length: number, body: Buffer, flags = 0): Buffer => {
  const prefix = Buffer.from([flags, 0, 0, 0, 0]);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, body]);
};

/** Sends a body, and answers that a legal status came that is no OK. */
function refused(...parts: Buffer[]): (client: TestClient) => Promise<void> {
  return async client => {
    const { stream } = client.raw();
    let code: number | undefined;
    let http = 200;
    const look = (headers: Record<string, unknown>) => {
      http = Number(headers[':status'] ?? http);
      if (headers['grpc-status'] !== undefined) code = Number(headers['grpc-status']);
    };
    stream.on('response', look).on('trailers', look).resume();
    for (const part of parts) stream.write(part);
    stream.end();
    await Promise.race([once(stream, 'close'), sleep(3000)]);
    must(code !== status.OK, 'status OK');
    must(code !== undefined || http !== 200, stream.closed ? 'no status' : 'the client hangs');
    must(code === undefined || code <= 16, `status ${code}`);
  };
}

/** A client that … */
export const frames: Row[] = [
  { name: 'sends no request', source: three, client: refused() },
  {
    name: 'sends bytes that are no message',
    source: three,
    client: refused(frame(8, Buffer.from('ffffffffffffffff', 'hex'))),
  },
  { name: 'ends within a message', source: three, client: refused(frame(100, Buffer.alloc(2))) },
  { name: 'ends within the prefix of a message', source: three, client: refused(Buffer.alloc(3)) },
  {
    name: 'announces a message of 4 GiB',
    source: three,
    client: refused(frame(0xffffffff, Buffer.alloc(9))),
  },
  {
    name: 'sends a message with a compression flag and no compression',
    source: three,
    client: refused(frame(2, Buffer.alloc(2), 1)),
  },
  {
    name: 'sends two requests where one is asked for',
    source: three,
    client: refused(frame(0, Buffer.alloc(0)), frame(0, Buffer.alloc(0))),
  },
  {
    name: 'asks for a method that there is not',
    source: three,
    client: client => client.read({ path: '/trust.Trust/Nothing' }),
    status: [status.UNIMPLEMENTED],
    without: { 'connect-node': 'HTTP 404 is right, too' },
  },
  {
    name: 'speaks no HTTP/2',
    source: three,
    async client(client) {
      for (let n = 0; n < 20; n++) {
        const socket = connect(client.server.port, '127.0.0.1');
        socket.on('error', () => {}).resume();
        socket.end(randomBytes(4096));
        await Promise.race([once(socket, 'close'), sleep(100)]);
        socket.destroy();
      }
    },
  },
  {
    name: 'sends half a preface and waits, on 50 connections',
    source: three,
    async client(client) {
      const sockets = Array.from({ length: 50 }, () => connect(client.server.port, '127.0.0.1'));
      for (const socket of sockets) socket.on('error', () => {}).write('PRI * HTTP/2.0\r\n');
      await sleep(200);
      const reply = await client.read();
      for (const socket of sockets) socket.destroy();
      return reply;
    },
    status: [status.OK],
    messages: 3,
  },
];
