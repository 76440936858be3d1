import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** What is done to what the server sends; can be changed at any time. */
export interface Faults {
  /** Each piece arrives so much later, plus up to `jitterMs`, in order. */
  latencyMs: number;
  jitterMs: number;
  /** Bytes per second and connection. */
  bandwidth: number;
  /** Longest piece in bytes. */
  sliceBytes: number;
  /** Nothing arrives any more, in neither direction, and nothing is closed. */
  blackHole: boolean;
  /** Asked for each connection: after how many bytes from the server it is reset; `Infinity` for never. */
  cutAfter: () => number;
}

/** A TCP proxy on 127.0.0.1 that does what networks do. */
export class FaultProxy {
  readonly faults: Faults = {
    latencyMs: 0,
    jitterMs: 0,
    bandwidth: Infinity,
    sliceBytes: Infinity,
    blackHole: false,
    cutAfter: () => Infinity,
  };
  /** Connections taken, and how many of them were cut at their offset. */
  connections = 0;
  cuts = 0;
  port = 0;
  private server: Server | undefined;
  private readonly sockets = new Set<Socket>();

  constructor(private readonly target: number) {}

  /** Listens, on the port it had before if there was one. */
  async up(): Promise<this> {
    this.server = createServer({ noDelay: true }, socket => this.join(socket));
    await new Promise<void>(resolve => this.server?.listen(this.port, '127.0.0.1', resolve));
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  /** Stops listening and resets every connection. */
  async down(): Promise<void> {
    const closed = new Promise(resolve => this.server?.close(resolve));
    this.reset();
    await closed;
  }

  reset(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  private join(near: Socket): void {
    this.connections += 1;
    const far = connect({ port: this.target, host: '127.0.0.1', noDelay: true });
    const pair = [near, far];
    for (const socket of pair) {
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.sockets.delete(socket);
        for (const other of pair) other.resetAndDestroy();
      });
    }
    near.on('data', bytes => {
      if (!this.faults.blackHole) far.write(bytes);
    });
    void this.forward(far, near);
  }

  /** From the server to the client, piece by piece, each awaited, so that TCP holds the server back. */
  private async forward(far: Socket, near: Socket): Promise<void> {
    let left = this.faults.cutAfter();
    try {
      for await (const bytes of far as AsyncIterable<Buffer>) {
        const { latencyMs, jitterMs, bandwidth, sliceBytes } = this.faults;
        const delay = latencyMs + Math.random() * jitterMs;
        if (delay > 0) await pause(delay);
        const piece = sliceBytes === Infinity ? bytes.length : sliceBytes;
        for (let at = 0; at < bytes.length; at += piece) {
          if (this.faults.blackHole) await new Promise<void>(resolve => near.once('close', resolve));
          const part = bytes.subarray(at, Math.min(at + piece, at + left));
          left -= part.length;
          if (bandwidth !== Infinity) await pause((part.length / bandwidth) * 1000);
          const sent = new Promise<unknown>(resolve => near.write(part, resolve));
          if (left <= 0) {
            await sent;
            this.cuts += 1;
            near.resetAndDestroy();
            return;
          }
          if (near.writableNeedDrain) await sent;
        }
      }
      near.end();
    } catch {
      near.resetAndDestroy();
    }
  }
}

const pause = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms));
