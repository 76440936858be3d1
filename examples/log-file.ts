import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep } from 'leat/sources';
import { type Logger, pino } from 'pino';

/** The server's own log: JSON lines in a temporary directory, rotated when the file has grown. */
export class LogFile {
  readonly logger: Logger;
  readonly path: string;
  private readonly directory = mkdtempSync(join(tmpdir(), 'stream-service-'));
  private readonly destination: ReturnType<typeof pino.destination>;
  private readonly closed = new AbortController();

  /** @param kept how many files are kept beside the one that is written. */
  constructor(private readonly kept = 5) {
    this.path = join(this.directory, 'service.log');
    this.destination = pino.destination({ dest: this.path, sync: true });
    this.logger = pino(
      { base: null, level: 'debug', formatters: { level: level => ({ level }) } },
      this.destination,
    );
    process.once('exit', this.remove);
  }

  /** Makes `service.log` `service.log.1`, that `service.log.2`, and so on, and begins a new file. */
  rotate(): void {
    for (let n = this.kept - 1; n >= 0; n--) {
      const name = n === 0 ? this.path : `${this.path}.${n}`;
      if (existsSync(name)) renameSync(name, `${this.path}.${n + 1}`);
    }
    this.destination.reopen();
  }

  /** Logs what services log: some history at once, then several lines a second until `close`. */
  async demo(speed = 1): Promise<void> {
    try {
      for (let n = 0; ; n++) {
        this.logEvent(n);
        if (n < 300) continue;
        if (n % 5000 === 0) this.rotate();
        await sleep(150 / speed, this.closed.signal);
      }
    } catch {
      // Closed.
    }
  }

  close(): void {
    if (this.closed.signal.aborted) return;
    this.closed.abort();
    this.destination.end();
    process.off('exit', this.remove);
    this.remove();
  }

  private readonly remove = () => rmSync(this.directory, { recursive: true, force: true });

  private logEvent(n: number): void {
    const service = (['api', 'worker', 'billing'] as const)[n % 3];
    const duration = (n * 37) % 400;
    if (n % 20 === 13) this.logger.error({ service, request: n, code: 'ETIMEDOUT' }, 'request failed');
    else if (n % 7 === 3)
      this.logger.warn({ service, request: n, duration: duration + 1000 }, 'slow request');
    else if (n % 2 === 0) this.logger.info({ service, request: n, duration }, 'request handled');
    else this.logger.debug({ service, request: n }, 'request received');
  }
}
