import { connect, type Socket } from 'node:net';

export const PATH = '/raw.Service/Stream';

/** The headers of a good request. */
export const request = {
  ':method': 'POST',
  ':scheme': 'http',
  ':path': PATH,
  ':authority': 'localhost',
  'content-type': 'application/grpc',
  te: 'trailers',
};

const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE] = [0, 1, 3, 4, 6, 7, 8];
const END_STREAM = 1;
const END_HEADERS = 4;
const ACK = 1;
const MAX_WINDOW = 0x7fffffff;

/** A frame by RFC 9113; of a stream, or of the connection, which is 0. All in hex. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: string,
  length = payload.length / 2,
) {
  return hex(length, 3) + hex(type, 1) + hex(flags, 1) + hex(stream, 4) + payload;
}

/** Headers that no table is needed for: each literal, never indexed, by RFC 7541. */
export function block(headers: Readonly<Record<string, string>>): string {
  return Object.entries(headers)
    .map(([name, value]) => `10${text(name)}${text(value)}`)
    .join('');
}

function text(value: string): string {
  let rest = value.length - 127;
  let length = hex(Math.min(value.length, 127), 1);
  if (rest >= 0) {
    for (; rest >= 128; rest = Math.floor(rest / 128)) length += hex((rest % 128) + 128, 1);
    length += hex(rest, 1);
  }
  return length + Buffer.from(value, 'latin1').toString('hex');
}

function hex(value: number, bytes: number): string {
  return value.toString(16).padStart(2 * bytes, '0');
}

/**
 * A client that writes frames and looks at few: that of Node would refuse most of what is sent here, and does not
 * survive the rest. It reads everything, answers pings and takes as many bytes as `window` says.
 */
export class RawClient {
  private readonly socket: Socket;
  private stream = -1;
  private pending = '';
  private unread = Buffer.alloc(0);
  private readonly served: ((stream: number) => void)[] = [];

  constructor(port: number, window: number = MAX_WINDOW) {
    this.socket = connect(port, '127.0.0.1').on('error', () => {});
    this.socket.on('data', chunk => this.read(chunk));
    this.raw(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').toString('hex'));
    this.raw(frame(SETTINGS, 0, 0, `0004${hex(window, 4)}`));
    this.raw(frame(WINDOW_UPDATE, 0, 0, hex(MAX_WINDOW - 65_535, 4)));
  }

  open(headers: Readonly<Record<string, string>>, last = false): void {
    this.stream += 2;
    this.frame(HEADERS, END_HEADERS + (last ? END_STREAM : 0), block({ ...request, ...headers }));
  }

  send(payload: string, last = false): void {
    this.frame(DATA, last ? END_STREAM : 0, payload);
  }

  trailers(): void {
    this.frame(HEADERS, END_HEADERS + END_STREAM, block({ 'x-trailer': 't' }));
  }

  reset(code: number): void {
    this.frame(RST_STREAM, 0, hex(code, 4));
  }

  goaway(code: number): void {
    this.raw(frame(GOAWAY, 0, 0, hex(0, 4) + hex(code, 4)));
  }

  /** Whatever it is, as it is. */
  raw(bytes: string): void {
    this.pending += bytes;
  }

  /** What is sent between two of these arrives together. */
  flush(): void {
    if (this.pending) this.socket.write(Buffer.from(this.pending, 'hex'));
    this.pending = '';
  }

  halfClose(): void {
    this.flush();
    this.socket.end();
  }

  /** The connection is gone without a word. */
  cut(): void {
    this.flush();
    this.socket.resetAndDestroy();
  }

  leave(): void {
    this.flush();
    this.socket.destroy();
  }

  /** Makes a good call; settles when its first message is there, or never. */
  probe(headers: Readonly<Record<string, string>>): Promise<void> {
    this.open(headers);
    this.send('0000000000', true);
    this.flush();
    const { stream } = this;
    return new Promise(resolve => {
      this.served.push(answered => answered === stream && resolve());
    });
  }

  private frame(type: number, flags: number, payload: string): void {
    this.raw(frame(type, flags, this.stream, payload));
  }

  private read(chunk: Buffer): void {
    this.unread = Buffer.concat([this.unread, chunk]);
    while (this.unread.length >= 9 && this.unread.length >= 9 + this.unread.readUIntBE(0, 3)) {
      const end = 9 + this.unread.readUIntBE(0, 3);
      const [type, flags] = [this.unread[3], this.unread[4]];
      if (type === SETTINGS && flags !== ACK) this.raw(frame(SETTINGS, ACK, 0, ''));
      if (type === PING && flags !== ACK) this.raw(frame(PING, ACK, 0, this.unread.toString('hex', 9, end)));
      if (type === DATA) for (const hear of this.served) hear(this.unread.readUInt32BE(5));
      this.unread = this.unread.subarray(end);
    }
    this.flush();
  }
}
