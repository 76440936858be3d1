import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { Program, tsx } from './program.ts';

const LEVELS = ['debug', 'info', 'info', 'warn', 'error'];

/** A log of numbered lines in a folder of its own, every fifth of them an error. */
export class NumberedLog {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'viewer-spec-'));
  readonly path: string = join(this.directory, 'service.log');
  written = 0;

  /** @param bytes how long each message is, at least. */
  write(count: number, bytes = 0): void {
    let text = '';
    for (let i = 0; i < count; i++) {
      const level = LEVELS[this.written % LEVELS.length];
      const time = 1_700_000_000_000 + this.written;
      const msg = `line ${this.written++} `.padEnd(bytes, '.');
      text += `${JSON.stringify({ level, time, service: 'api', msg, request: i })}\n`;
    }
    appendFileSync(this.path, text);
  }

  line(entry: object): void {
    appendFileSync(this.path, `${JSON.stringify({ level: 'info', time: 1_700_000_000_000, ...entry })}\n`);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export interface Viewer {
  readonly program: Program;
  readonly url: string;
  readonly port: string;
}

/** `npm run log-viewer`. */
export async function startViewer(...args: string[]): Promise<Viewer> {
  const program = new Program(tsx('examples/log-viewer.ts', ...args));
  const [, url = '', port = ''] = await program.line(/^the logs: (https?:\/\/127\.0\.0\.1:(\d+)\/)\n/m);
  return { program, url, port };
}

/** The numbers of the lines that a page shows. */
export async function numbersIn(page: Page): Promise<number[]> {
  return page.evaluate(
    "[...document.querySelectorAll('#lines .said')].map(({ textContent }) => Number(/line (\\d+)/.exec(textContent)[1]))",
  );
}
