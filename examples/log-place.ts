import type { BigIntStats } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { backwards, bytesOf, endOfLines, LineReader } from './log-lines.ts';

/** A file beside the log that was the log once, or is a copy of it. */
interface Rotated {
  readonly id: string;
  readonly path: string;
  readonly born: bigint;
}

/**
 * What rotation puts behind the name of a log: a number, a date, `.old`. Another name that begins alike, such as
 * `app.log-audit`, `app.log.bak` or `app.log.1.gz`, is another file.
 */
const ROTATED = /^(?:[._-]\d[\d._:TZ+-]*|\.old)$/;

/**
 * A place in a log file: what was written before it, and what comes after, wherever rotation takes that.
 *
 * The file that is read is held open, so one that was renamed or removed is read to its end, and is left only
 * when the next one has something in it: until then the writer may not have changed over. Between two looks the
 * log may have been rotated many times: the files that came and went are found beside it, by their age. A file
 * that was copied and then emptied is known by the bytes before the place, and goes on in its copy. What is
 * written between copying and emptying is lost to everybody, so prefer to rename. A line of which one half is in
 * the copy comes as each half and as the whole: only what is an entry counts.
 */
export class LogPlace {
  private readonly handles = new Set<FileHandle>();
  private handle: FileHandle | undefined;
  private reader = new LineReader();
  /** The half of a line that is in the copy. */
  private half = '';
  /** The state of the log and of the file that is read, at the last look. */
  private seen: string | undefined;
  /** The files that are older than the one that is read. */
  private older: Rotated[] = [];

  private constructor(
    private readonly path: string,
    private readonly signal: AbortSignal,
  ) {}

  /** The place after the last complete line; the signal ends what takes long. */
  static async end(path: string, signal: AbortSignal): Promise<LogPlace> {
    const place = new LogPlace(path, signal);
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
    if (this.handle) yield* backwards(this.handle, this.reader.position, this.signal);
    for (const file of [...this.older].reverse()) {
      const handle = await this.openRotated(file);
      try {
        if (handle) yield* backwards(handle, (await handle.stat()).size, this.signal);
      } finally {
        await this.done(handle);
      }
    }
  }

  /** The lines after this place that are there by now; afterwards the place is behind them. */
  async *more(): AsyncGenerator<string> {
    if (await this.isAsItWas()) return;
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
      if (renamed) {
        fresh = await this.withoutCopies(fresh);
        yield* this.rest();
      } else yield* this.restOfCopy(fresh);
      for (; fresh.length > 0; fresh = await this.rotatedBefore(next)) {
        for (const file of fresh) {
          const handle = await this.openRotated(file);
          if (handle) yield* this.begin(handle, !renamed);
        }
      }
      yield* this.begin(next, !renamed);
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
      if (settled && !previous) {
        this.older = await this.withoutCopies(this.older);
        return;
      }
      await this.done(log);
      if (previous && (await this.seekEnd(this.handle)) > 0) return;
    }
  }

  /** Goes behind the last complete line; answers the size of the file, or NaN when it was emptied meanwhile. */
  private async seekEnd(handle: FileHandle | undefined): Promise<number> {
    this.reader = new LineReader();
    if (!handle) return 0;
    const { size } = await handle.stat();
    const position = await endOfLines(handle, size, this.signal);
    this.reader = new LineReader(position, await bytesOf(handle, Math.max(0, position - 256), position));
    return (await handle.stat()).size < size ? NaN : size;
  }

  /** Whether nothing was done to the log since the last look: what a look costs most of the time. */
  private async isAsItWas(): Promise<boolean> {
    const log = await stat(this.path, { bigint: true }).catch(ifMissing);
    const read = await this.handle?.stat({ bigint: true });
    const now = [log, read].map(stats => stats && `${idFrom(stats)}:${stats.size}:${stats.mtimeNs}`).join();
    const was = this.seen;
    this.seen = now;
    return now === was;
  }

  /** What the file that is read has after this place. */
  private async *rest(): AsyncGenerator<string> {
    if (!this.handle) return;
    for await (const line of this.reader.lines(this.handle, this.signal)) {
      if (this.half) yield this.half + line;
      this.half = '';
      yield line;
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

  /** Leaves the file that is read; what it has after its last line end is all there will be. */
  private async *begin(handle: FileHandle, emptied = false): AsyncGenerator<string> {
    const last = this.reader.take();
    this.half = emptied ? last : '';
    await this.done(this.handle);
    this.handle = handle;
    this.reader = new LineReader();
    if (last) yield last;
    yield* this.rest();
  }

  /** Whether a file is, up to this place, the one that was read. */
  private async isIn(handle: FileHandle): Promise<boolean> {
    const { position, before } = this.reader;
    return before.equals(await bytesOf(handle, position - before.length, position));
  }

  /** Without the files that have what the one that is read has: it was copied, and not emptied. */
  private async withoutCopies(files: Rotated[]): Promise<Rotated[]> {
    if (!this.handle) return files;
    const { birthtimeNs } = await this.handle.stat({ bigint: true });
    const others: Rotated[] = [];
    for (const file of files) {
      const handle = file.born < birthtimeNs ? undefined : await this.openRotated(file);
      if (!handle || !(await isBeginning(handle, this.handle))) others.push(file);
      await this.done(handle);
    }
    return others;
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

  private async open(path: string, otherwise = ifMissing): Promise<FileHandle | undefined> {
    const handle = await open(path).catch(otherwise);
    if (handle) this.handles.add(handle);
    return handle;
  }

  /** Opens a file that may have another name by now. */
  private async openRotated({ id, path }: Rotated): Promise<FileHandle | undefined> {
    for (let at: string | undefined = path; at; ) {
      const handle = await this.open(at, ifUnreadable);
      if (handle && (await idOf(handle)) === id) return handle;
      await this.done(handle);
      at = (await rotated(this.path)).find(file => file.id === id)?.path;
    }
    return undefined;
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
  const ids = new Set([await idAt(path)]); // a link and what it leads to are one file
  const files: Rotated[] = [];
  for (const name of names) {
    if (!name.startsWith(log) || !ROTATED.test(name.slice(log.length))) continue;
    const file = join(dirname(path), name);
    const stats = await stat(file, { bigint: true }).catch(ifUnreadable);
    if (!stats?.isFile() || ids.has(idFrom(stats))) continue;
    ids.add(idFrom(stats));
    files.push({ id: idFrom(stats), path: file, born: stats.birthtimeNs });
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

function ifUnreadable(error: NodeJS.ErrnoException): undefined {
  if (!['ENOENT', 'EACCES', 'EPERM', 'ELOOP'].includes(error.code ?? '')) throw error;
}

/** Whether all that a file has is what another begins with, as its first and last bytes say. */
async function isBeginning(part: FileHandle, whole: FileHandle): Promise<boolean> {
  const { size } = await part.stat();
  for (const from of [0, Math.max(0, size - 256)]) {
    const to = Math.min(from + 256, size);
    if (!(await bytesOf(part, from, to)).equals(await bytesOf(whole, from, to))) return false;
  }
  return size > 0;
}
