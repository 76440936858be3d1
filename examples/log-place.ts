import type { BigIntStats } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

/** A file beside the log that was the log once, or is a copy of it. */
interface Rotated {
  readonly id: string;
  readonly path: string;
  readonly born: bigint;
}

const CHUNK = 64 * 1024;
const NEWLINE = 10;

/**
 * A place in a log file: what was written before it, and what comes after, wherever rotation takes that.
 *
 * The file that is read is held open, so one that was renamed or removed is read to its end, and is left only
 * when the next one has something in it: until then the writer may not have changed over. Between two looks the
 * log may have been rotated many times: the files that came and went are found beside it, by their age. A file
 * that was copied and then emptied is known by the bytes before the place, and goes on in its copy. What is
 * written between copying and emptying is lost to everybody, so prefer to rename.
 */
export class LogPlace {
  private readonly handles = new Set<FileHandle>();
  private handle: FileHandle | undefined;
  /** Where the next line begins, and the end of the line before. */
  private position = 0;
  private before: Buffer = Buffer.alloc(0);
  /** The files that are older than the one that is read. */
  private older: Rotated[] = [];

  private constructor(private readonly path: string) {}

  /** The place after the last complete line. */
  static async end(path: string): Promise<LogPlace> {
    const place = new LogPlace(path);
    try {
      await place.goToEnd();
      return place;
    } catch (error) {
      await place.close();
      throw error;
    }
  }

  /** The lines before this place, the last one first, through older files too. */
  async *history(): AsyncGenerator<string> {
    if (this.handle) yield* backwards(this.handle, this.position);
    for (const file of [...this.older].reverse()) {
      const handle = await this.openRotated(file);
      try {
        if (handle) yield* backwards(handle, (await handle.stat()).size);
      } finally {
        await this.done(handle);
      }
    }
  }

  /** The lines after this place that are there by now; afterwards the place is behind them. */
  async *more(): AsyncGenerator<string> {
    if (await this.isLast()) return;
    const next = await this.open(this.path);
    try {
      const empty = !next || (await next.stat()).size === 0;
      if (!this.handle) {
        if (!empty) yield* this.begin(next);
        return;
      }
      const renamed = next && (await idOf(next)) !== (await idOf(this.handle));
      if (empty || (!renamed && (await this.isIn(next)))) return yield* this.rest();

      let fresh = await this.rotatedBefore(next);
      if (renamed) yield* this.rest();
      else yield* this.restOfCopy(fresh);
      for (; fresh.length > 0; fresh = await this.rotatedBefore(next)) {
        for (const file of fresh) {
          const handle = await this.openRotated(file);
          if (handle) yield* this.begin(handle);
        }
      }
      yield* this.begin(next);
    } finally {
      if (next !== this.handle) await this.done(next);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.handles].map(handle => this.done(handle)));
  }

  /** The end of the log, or of the file before it as long as the log has nothing in it; and what is older. */
  private async goToEnd(): Promise<void> {
    for (;;) {
      const log = await this.open(this.path);
      const size = await this.seekEnd(log);
      this.older = await rotated(this.path);
      // Renamed or emptied meanwhile? Then again.
      const there = (log && (await idOf(log))) === (await idAt(this.path));
      const settled = there && (!log || ((await log.stat()).size >= size && (await this.isIn(log))));
      const previous = settled && size === 0 ? this.older.pop() : undefined;
      this.handle = previous ? await this.openRotated(previous) : log;
      if (settled && !previous) return;
      await this.done(log);
      if (previous && (await this.seekEnd(this.handle)) > 0) return;
    }
  }

  /** Goes behind the last complete line; answers the size of the file, or NaN when it was emptied meanwhile. */
  private async seekEnd(handle: FileHandle | undefined): Promise<number> {
    this.position = 0;
    this.before = Buffer.alloc(0);
    if (!handle) return 0;
    const { size } = await handle.stat();
    for (let end = size; end > 0 && this.position === 0; end -= CHUNK) {
      const from = Math.max(0, end - CHUNK);
      const bytes = await bytesOf(handle, from, end);
      if (bytes.length < end - from) return NaN;
      const newline = bytes.lastIndexOf(NEWLINE);
      if (newline >= 0) this.position = from + newline + 1;
    }
    this.before = await bytesOf(handle, Math.max(0, this.position - 256), this.position);
    return size;
  }

  /** Whether nothing was written: what a look costs most of the time. */
  private async isLast(): Promise<boolean> {
    const now = await stat(this.path, { bigint: true }).catch(ifMissing);
    if (!now || !this.handle || Number(now.size) !== this.position) return false;
    return idFrom(now) === (await idOf(this.handle));
  }

  /** What the file that is read has after this place. */
  private async *rest(): AsyncGenerator<string> {
    if (!this.handle) return;
    for await (const line of forwards(this.handle, this.position)) {
      this.position += line.length;
      this.before = line.subarray(-256);
      yield line.toString('utf8', 0, line.length - 1);
    }
  }

  /** What an emptied file had after this place, by its copy; takes that and what is older from the list. */
  private async *restOfCopy(fresh: Rotated[]): AsyncGenerator<string> {
    for (let file = fresh.shift(); file; file = fresh.shift()) {
      const copy = await this.openRotated(file);
      if (!copy || !(await this.isIn(copy))) {
        await this.done(copy);
        continue;
      }
      await this.done(this.handle);
      this.handle = copy;
      return yield* this.rest();
    }
  }

  private async *begin(handle: FileHandle): AsyncGenerator<string> {
    await this.done(this.handle);
    this.handle = handle;
    this.position = 0;
    this.before = Buffer.alloc(0);
    yield* this.rest();
  }

  /** Whether a file is, up to this place, the one that was read. */
  private async isIn(handle: FileHandle): Promise<boolean> {
    const { position, before } = this;
    return before.equals(await bytesOf(handle, position - before.length, position));
  }

  /** The files between the one that is read and `next`, the oldest first. From now on they count as older. */
  private async rotatedBefore(next: FileHandle): Promise<Rotated[]> {
    const here = this.handle && (await idOf(this.handle));
    const there = await idOf(next);
    const files = await rotated(this.path);
    const until = files.findIndex(({ id }) => id === there);
    const known = new Set(this.older.map(({ id }) => id));
    this.older = until === -1 ? files : files.slice(0, until);
    const fresh = this.older.filter(({ id }) => !known.has(id));
    return fresh.slice(fresh.findIndex(({ id }) => id === here) + 1);
  }

  private async open(path: string): Promise<FileHandle | undefined> {
    const handle = await open(path).catch(ifMissing);
    if (handle) this.handles.add(handle);
    return handle;
  }

  /** Opens a file that may have another name by now. */
  private async openRotated({ id, path }: Rotated): Promise<FileHandle | undefined> {
    for (let at: string | undefined = path; at; ) {
      const handle = await this.open(at);
      if (handle && (await idOf(handle)) === id) return handle;
      await this.done(handle);
      at = (await rotated(this.path)).find(file => file.id === id)?.path;
    }
  }

  private async done(handle: FileHandle | undefined): Promise<void> {
    if (handle && this.handles.delete(handle)) await handle.close();
  }
}

/** The files beside a log that bear its name and more, the oldest first. */
async function rotated(path: string): Promise<Rotated[]> {
  let files = await filesBeside(path);
  for (;;) {
    // Names change hands while a log is rotated: only what is there twice in a row was there at one time.
    const again = await filesBeside(path);
    if (isDeepStrictEqual(files, again)) return files;
    files = again;
  }
}

async function filesBeside(path: string): Promise<Rotated[]> {
  const log = basename(path);
  const names = (await readdir(dirname(path)).catch(ifMissing)) ?? [];
  const files: Rotated[] = [];
  for (const name of names) {
    if (!name.startsWith(log) || name === log || /\.(gz|bz2|xz|zst)$/.test(name)) continue;
    const file = join(dirname(path), name);
    const stats = await stat(file, { bigint: true }).catch(ifMissing);
    if (stats) files.push({ id: idFrom(stats), path: file, born: stats.birthtimeNs });
  }
  // Of two that are as old, as far as the clock of a file system can tell, `.2` is older than `.1`.
  const byName = new Intl.Collator('en', { numeric: true });
  return files.sort((a, b) => Number(a.born - b.born) || byName.compare(b.path, a.path));
}

/** What stays the same when a file is renamed; a number of a file that was removed is used again. */
function idFrom({ dev, ino, birthtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${birthtimeNs}`;
}

async function idOf(handle: FileHandle): Promise<string> {
  return idFrom(await handle.stat({ bigint: true }));
}

async function idAt(path: string): Promise<string | undefined> {
  const stats = await stat(path, { bigint: true }).catch(ifMissing);
  return stats && idFrom(stats);
}

function ifMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

async function bytesOf(handle: FileHandle, from: number, to: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(to - from), 0, to - from, from);
  return buffer.subarray(0, bytesRead);
}

/** The complete lines from a place on, each with its newline. */
async function* forwards(handle: FileHandle, from: number): AsyncGenerator<Buffer> {
  let at = from;
  let partial: Buffer = Buffer.alloc(0);
  for (;;) {
    const bytes = await bytesOf(handle, at, at + CHUNK);
    if (bytes.length === 0) return;
    at += bytes.length;
    partial = Buffer.concat([partial, bytes]);
    let start = 0;
    for (let end = partial.indexOf(NEWLINE); end >= 0; end = partial.indexOf(NEWLINE, start)) {
      yield partial.subarray(start, end + 1);
      start = end + 1;
    }
    partial = partial.subarray(start);
  }
}

/** The lines before a place, the last one first. */
async function* backwards(handle: FileHandle, end: number): AsyncGenerator<string> {
  let partial: Buffer = Buffer.alloc(0);
  for (let to = end; to > 0; to -= CHUNK) {
    const from = Math.max(0, to - CHUNK);
    const bytes = Buffer.concat([await bytesOf(handle, from, to), partial]);
    const start = from === 0 ? 0 : bytes.indexOf(NEWLINE) + 1 || bytes.length;
    partial = bytes.subarray(0, start);
    const lines = bytes.toString('utf8', start).split('\n').reverse();
    yield* lines.filter(line => line !== '');
  }
}
