import { type FileHandle, stat } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { isBeginning, LogFiles } from './log-files.ts';
import {
  backwards,
  beginOfLines,
  endOfLines,
  LineReader,
  type Mark,
  markAt,
  type Read,
  readerOf,
} from './log-lines.ts';
import { idAt, idFrom, idOf, ifMissing, type Rotated } from './log-rotated.ts';

/**
 * A place in a log file: what was written before it, and what comes after, wherever rotation takes that.
 *
 * The file that is read is held open, so one that was renamed or removed is read to its end, and is left only
 * when the next one has something in it: until then the writer might not have changed over. Between two looks the
 * log might have been rotated many times: the files that came and went are found beside it, by their age. A file
 * that was copied and then emptied is known by the bytes before the place, and goes on in its copy; that
 * might happen between any two steps of a look, so each read begins with the bytes before the place. What is
 * written between copying and emptying is lost to everybody, so prefer to rename. A line of which one half is in
 * the copy comes as each half and as the whole: only what is an entry counts.
 */
export class LogPlace {
  private readonly files: LogFiles;
  private handle: FileHandle | undefined;
  private reader = new LineReader();
  /** The half of a line that is in the copy. */
  private half = '';
  /** The state of the log and of the file that is read, at the last look. */
  private seen: string | undefined;
  /** The files that were older than the place when it was made. */
  private older: Rotated[] = [];
  /** Which of the files beside the log have been read, or are not to be. */
  private passed = new Set<string>();
  /** What the place is known by after the line that was just yielded, when that is not of the reader. */
  private mark: Mark | undefined;

  private constructor(
    private readonly path: string,
    private readonly signal: AbortSignal,
  ) {
    this.files = new LogFiles(path);
  }

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

  /** The place after a line, by its `position`; nothing when no file has it any more. */
  static async after(path: string, position: string, signal: AbortSignal): Promise<LogPlace | undefined> {
    const place = new LogPlace(path, signal);
    let isThere = false;
    try {
      isThere = await place.goTo(position);
    } finally {
      if (!isThere) await place.close();
    }
    return isThere ? place : undefined;
  }

  /**
   * Where the line that was just yielded ends, and a sum of the bytes before: that is the same in each file that the
   * line is in, whatever the file is called by then, and in no other.
   */
  get position(): string {
    return positionOf(this.mark ?? this.reader.lineMark);
  }

  /** The lines before this place, the last one first, through older files too. */
  async *history(): AsyncGenerator<string> {
    if (this.handle) yield* this.marked(this.readBefore(this.handle), this.reader.position);
    for (const file of [...this.older].reverse()) {
      const handle = await this.files.openRotated(file);
      try {
        if (handle) yield* this.marked(readerOf(handle), (await handle.stat()).size);
      } finally {
        await this.files.done(handle);
      }
    }
    this.mark = undefined;
  }

  private async *marked(read: Read, end: number): AsyncGenerator<string> {
    for await (const { text, mark } of backwards(read, end, this.signal)) {
      this.mark = mark;
      yield text;
    }
  }

  /** The lines after this place that are there by now; afterwards the place is behind them. */
  async *more(): AsyncGenerator<string> {
    this.mark = undefined;
    if (await this.isAsItWas()) return;
    const next = await this.files.open();
    try {
      if (!next || (await next.stat()).size === 0) return yield* this.rest();
      const renamed = !this.handle || (await idOf(next)) !== (await idOf(this.handle));
      const started = this.reader.position > 0;
      if (!renamed && started && (await this.reader.isIn(readerOf(next)))) return yield* this.rest();

      if (renamed) {
        await this.passCopies();
        yield* this.rest();
      } else if (started) yield* this.restOfCopy();
      for (;;) {
        const start = await beginOfLines(readerOf(next));
        const between = await this.between(next);
        if (between) yield* this.begin(between, await beginOfLines(readerOf(between)), !renamed);
        else if (await start.isIn(readerOf(next))) return yield* this.begin(next, start, !renamed);
        // Else it was emptied meanwhile, so there is a copy more.
      }
    } finally {
      if (next !== this.handle) await this.files.done(next);
    }
  }

  close(): Promise<void> {
    return this.files.close();
  }

  /** The end of the log, or of the file before it as long as the log has nothing in it; and what is older. */
  private async goToEnd(): Promise<void> {
    for (;;) {
      const log = await this.files.open();
      this.handle = log;
      const size = await this.seekEnd(log);
      const files = await this.files.rotated();
      const copies = await this.files.copiesOf(this.handle, files);
      this.older = files.filter(file => !copies.includes(file));
      // Renamed or emptied meanwhile? Then again.
      const there = (log && (await idOf(log))) === (await idAt(this.path));
      const settled =
        there && (!log || ((await log.stat()).size >= size && (await this.reader.isIn(readerOf(log)))));
      this.passed = new Set(this.older.map(({ id }) => id));
      const previous = settled && size === 0 ? this.older.pop() : undefined;
      if (settled && !previous) return;
      await this.files.done(log);
      this.handle = previous && (await this.files.openRotated(previous));
      if (previous && (await this.seekEnd(this.handle)) > 0) return;
    }
  }

  /** Goes to the file that has a position, the one that is written first: it may have been copied. */
  private async goTo(position: string): Promise<boolean> {
    const end = Number(/^\d{1,15}(?=-)/.exec(position)?.[0]);
    if (!(end > 0)) return false;
    const isIn = async (handle: FileHandle | undefined) => {
      const mark = handle && (await markAt(readerOf(handle), end));
      if (!mark || mark.at + mark.bytes.length !== end || positionOf(mark) !== position) return false;
      this.handle = handle;
      this.reader = new LineReader(end, mark);
      return true;
    };
    const log = await this.files.open();
    const files = await this.files.rotated();
    if (await isIn(log)) {
      const copies = await this.files.copiesOf(this.handle, files);
      this.passed = new Set(files.filter(file => !copies.includes(file)).map(({ id }) => id));
      return true;
    }
    await this.files.done(log);
    for (const file of files.reverse()) {
      const handle = await this.files.openRotated(file);
      if (await isIn(handle)) return true;
      await this.files.done(handle);
    }
    return false;
  }

  /** Goes behind the last complete line; answers the size of the file, or NaN when it was emptied meanwhile. */
  private async seekEnd(handle: FileHandle | undefined): Promise<number> {
    this.reader = new LineReader();
    if (!handle) return 0;
    const { size } = await handle.stat();
    this.reader = await endOfLines(readerOf(handle), size, this.signal);
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
    if (!this.handle || this.reader.mark.bytes.length === 0) return;
    for await (const line of this.reader.lines(readerOf(this.handle), this.signal)) {
      if (this.half) yield this.half + line;
      this.half = '';
      yield line;
    }
  }

  /** What an emptied file had after this place, by its copy. */
  private async *restOfCopy(): AsyncGenerator<string> {
    const copy = await this.files.copyOf(this.reader);
    if (!copy) return;
    await this.files.done(this.handle);
    this.handle = copy;
    yield* this.rest();
  }

  /** Leaves the file that is read; what it has after its last line end is all there will be. */
  private async *begin(handle: FileHandle, reader: LineReader, emptied: boolean): AsyncGenerator<string> {
    const last = this.reader.take();
    const { mark } = this.reader;
    this.half = emptied ? this.half + last : '';
    await this.files.done(this.handle);
    this.handle = handle;
    this.reader = reader;
    if (last) {
      this.mark = mark;
      yield last;
      this.mark = undefined;
    }
    yield* this.rest();
  }

  /** Reads what is before this place, in the copy of the file once that was emptied. */
  private readBefore(handle: FileHandle): Read {
    let file: FileHandle | undefined = handle;
    return async (from, to) => {
      while (file) {
        const read = readerOf(file);
        const bytes = await read(from, to);
        if (await this.reader.isIn(read)) return bytes;
        file = await this.files.copyOf(this.reader);
      }
      return Buffer.alloc(0);
    };
  }

  private async passCopies(): Promise<void> {
    for (const { id } of await this.files.copiesOf(this.handle, await this.files.rotated()))
      this.passed.add(id);
  }

  /**
   * Opens the oldest file between the one that is read and `next`. One that has nothing yet, or what `next` begins
   * with, is a copy that is being made of `next`: its turn comes when `next` is emptied, if ever.
   */
  private async between(next: FileHandle): Promise<FileHandle | undefined> {
    const here = this.handle && (await idOf(this.handle));
    const there = await idOf(next);
    const files = await this.files.rotated();
    const at = files.findIndex(({ id }) => id === here);
    const passed = files.filter(({ id }, i) => i <= at || this.passed.has(id));
    this.passed = new Set(passed.map(({ id }) => id));
    for (const file of files) {
      if (file.id === there) return undefined;
      const handle = this.passed.has(file.id) ? undefined : await this.files.openRotated(file);
      if (handle && (await handle.stat()).size > 0 && !(await isBeginning(handle, next))) return handle;
      await this.files.done(handle);
    }
    return undefined;
  }
}

function positionOf({ at, bytes }: Mark): string {
  return `${at + bytes.length}-${crc32(bytes).toString(16)}`;
}
