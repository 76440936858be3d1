import type { FileHandle } from 'node:fs/promises';

const CHUNK = 64 * 1024;
const NEWLINE = 10;
const NUL = 0;
const MAX_LINE = 8 * 1024 * 1024;

/** What ends a text that was longer. */
export const CUT = '… (cut)';

/** Reads bytes of a file; fewer where it ends. */
export type Read = (from: number, to: number) => Promise<Buffer>;

/** Bytes of a file and where they are: a file without them was emptied, or is another. */
export interface Mark {
  readonly at: number;
  readonly bytes: Buffer;
}

const MARK = 256;

/** A line, and what the place after it is known by. */
export interface Line {
  readonly text: string;
  readonly mark: Mark;
}

/**
 * Reads the lines of a file as it grows, each byte once. Of a line it keeps 8 MiB, and not the NULs before it: a
 * writer that goes on at its old place after the file was emptied leaves a hole there.
 */
export class LineReader {
  private parts: Buffer[] = [];
  private length = 0;
  private isCut = false;
  /** What was read, and where in the file the line ends that came of it last. */
  private seen: Mark | undefined;
  private lineEnd = 0;

  /** @param mark what the file is known by: some bytes before the position, or the first ones. */
  constructor(
    public position = 0,
    public mark: Mark = { at: position, bytes: Buffer.alloc(0) },
  ) {}

  /** What the place is known by after the line that was just yielded. */
  get lineMark(): Mark {
    return this.seen ? markIn(this.seen, this.lineEnd) : this.mark;
  }

  /** Whether that is the file that is read, as the mark says. */
  async isIn(read: Read): Promise<boolean> {
    const { at, bytes } = this.mark;
    return bytes.equals(await read(at, at + bytes.length));
  }

  /**
   * The lines that are complete by now, or as far as `until`. The mark is read again with what comes after it, so
   * that nothing counts that was written to the same place after the file was emptied.
   */
  async *lines(read: Read, signal?: AbortSignal, until = Infinity): AsyncGenerator<string> {
    for (;;) {
      signal?.throwIfAborted();
      const { at, bytes: known } = this.mark;
      const found = await read(at, Math.min(this.position + CHUNK, until));
      if (!found.subarray(0, known.length).equals(known)) return;
      const bytes = found.subarray(this.position - at);
      if (bytes.length === 0) return;
      this.position += bytes.length;
      const end = found.subarray(-MARK);
      this.mark = { at: this.position - end.length, bytes: Buffer.from(end) };
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
        this.keep(bytes.subarray(start, end));
        start = end + 1;
        this.seen = { at, bytes: found };
        this.lineEnd = this.position - bytes.length + start;
        yield this.take();
      }
      this.seen = undefined;
      this.keep(Buffer.from(bytes.subarray(start))); // a copy: a few bytes must not hold all of a chunk
    }
  }

  /** What was read of a line whose end was not. */
  take(): string {
    const text = Buffer.concat(this.parts)
      .toString()
      .replace(/^\uFEFF/, '');
    const line = this.isCut ? text + CUT : text;
    this.parts = [];
    this.length = 0;
    this.isCut = false;
    return line;
  }

  /** Takes what comes next of a line. */
  keep(bytes: Buffer): void {
    let from = 0;
    if (this.length === 0) while (bytes[from] === NUL) from += 1;
    const part = bytes.subarray(from, from + MAX_LINE - this.length);
    this.isCut ||= part.length < bytes.length - from;
    this.length += part.length;
    if (part.length > 0) this.parts.push(part);
  }
}

/** The lines before a place, the last one first. */
export async function* backwards(read: Read, end: number, signal: AbortSignal): AsyncGenerator<Line> {
  let to = end;
  for (let at = end; at > 0; at = Math.max(0, at - CHUNK)) {
    signal.throwIfAborted();
    const from = Math.max(0, at - CHUNK);
    const bytes = await read(from, at);
    for (let newline = lastNewline(bytes, at - from); newline >= 0; newline = lastNewline(bytes, newline)) {
      const start = from + newline + 1;
      const after = Math.min(to + 1, end);
      if (start < to && to <= from + bytes.length) {
        const text = lineIn(bytes.subarray(start - from, to - from));
        const isHere = after <= from + bytes.length && (from === 0 || after - from >= MARK);
        yield { text, mark: isHere ? markIn({ at: from, bytes }, after) : await markAt(read, after) };
      } else if (start < to)
        yield { text: await lineOf(read, start, to, signal), mark: await markAt(read, after) };
      to = from + newline;
    }
  }
  if (to > 0)
    yield { text: await lineOf(read, 0, to, signal), mark: await markAt(read, Math.min(to + 1, end)) };
}

/** The place behind the last complete line. */
export async function endOfLines(read: Read, size: number, signal: AbortSignal): Promise<LineReader> {
  let end = 0;
  for (let at = size; at > 0 && end === 0; at -= CHUNK) {
    signal.throwIfAborted();
    const from = Math.max(0, at - CHUNK);
    end = from + lastNewline(await read(from, at), at - from) + 1;
    if (end === from) end = 0;
  }
  return new LineReader(end, await markAt(read, end));
}

/** The place before the first line. */
export async function beginOfLines(read: Read): Promise<LineReader> {
  return new LineReader(0, { at: 0, bytes: await read(0, MARK) });
}

/** What a place in a file is known by. */
export async function markAt(read: Read, end: number): Promise<Mark> {
  const at = Math.max(0, end - MARK);
  return { at, bytes: await read(at, end) };
}

/** The same, out of what was read of the file. */
function markIn({ at, bytes }: Mark, end: number): Mark {
  const from = Math.max(at, end - MARK);
  return { at: from, bytes: bytes.subarray(from - at, end - at) };
}

/** Reads a file that is open. */
export function readerOf(handle: FileHandle): Read {
  return async (from, to) => {
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(to - from), 0, to - from, from);
    return buffer.subarray(0, bytesRead);
  };
}

function lineIn(bytes: Buffer): string {
  const reader = new LineReader();
  reader.keep(bytes);
  return reader.take();
}

async function lineOf(read: Read, from: number, to: number, signal: AbortSignal): Promise<string> {
  const reader = new LineReader(from);
  for await (const _ of reader.lines(read, signal, to));
  return reader.take();
}

/** The last one before a place, or -1. */
function lastNewline(bytes: Buffer, before: number): number {
  return before === 0 ? -1 : bytes.lastIndexOf(NEWLINE, before - 1);
}
