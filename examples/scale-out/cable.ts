import { createServer, connect as dial, type Server, type Socket } from 'node:net';

/** A TCP connection that can be cut: passes on what comes to `from`. */
export class Cable {
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;

  constructor(from: number, to: number) {
    this.server = createServer({ noDelay: true }, near => {
      const far = dial({ port: to, host: '127.0.0.1', noDelay: true });
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.sockets.add(one);
        one.pipe(other);
        one.on('error', () => {});
        one.on('close', () => {
          this.sockets.delete(one);
          other.destroy();
        });
      }
    }).listen(from, '127.0.0.1');
  }

  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  close(): void {
    this.server.close();
    this.cut();
  }
}
