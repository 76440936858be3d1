import type { FileHandle } from 'node:fs/promises';

const CHUNK = 64 * 1024;
const NEWLINE = 10;
const NUL = 0;
const MAX_LINE = 8 * 1024 * 1024;

/** What ends a text that was longer. */
export const CUT = '… (cut)';

/**
 * Reads the lines of a file as it grows, each byte once. Of a line it keeps 8 MiB, and not the NULs before it: a
 * writer that goes on at its old place after the file was emptied leaves a hole there.
 */
export class LineReader {
  private parts: Buffer[] = [];
  private length = 0;
  private isCut = false;

  /** @param before the bytes before the position, by which a file is known: 256, or all. */
  constructor(
    public position = 0,
    public before: Buffer = Buffer.alloc(0),
  ) {}

  /** The lines that are complete by now, or as far as `until`. */
  async *lines(handle: FileHandle, signal?: AbortSignal, until = Infinity): AsyncGenerator<string> {
    for (;;) {
      signal?.throwIfAborted();
      const bytes = await bytesOf(handle, this.position, Math.min(this.position + CHUNK, until));
      if (bytes.length === 0) return;
      this.position += bytes.length;
      this.before = Buffer.concat([this.before, bytes.subarray(-256)]).subarray(-256);
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
        this.keep(bytes.subarray(start, end));
        yield this.take();
        start = end + 1;
      }
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

  private keep(bytes: Buffer): void {
    let from = 0;
    if (this.length === 0) while (bytes[from] === NUL) from += 1;
    const part = bytes.subarray(from, from + MAX_LINE - this.length);
    this.isCut ||= part.length < bytes.length - from;
    this.length += part.length;
    if (part.length > 0) this.parts.push(part);
  }
}

/** The lines before a place, the last one first. */
export async function* backwards(
  handle: FileHandle,
  end: number,
  signal: AbortSignal,
): AsyncGenerator<string> {
  let to = end;
  for (let at = end; at > 0; at = Math.max(0, at - CHUNK)) {
    signal.throwIfAborted();
    const from = Math.max(0, at - CHUNK);
    const bytes = await bytesOf(handle, from, at);
    for (let newline = lastNewline(bytes, at - from); newline >= 0; newline = lastNewline(bytes, newline)) {
      const start = from + newline + 1;
      if (start < to) yield await lineOf(handle, start, to, signal);
      to = from + newline;
    }
  }
  if (to > 0) yield await lineOf(handle, 0, to, signal);
}

/** Where the last line begins that may have no end yet. */
export async function endOfLines(handle: FileHandle, size: number, signal: AbortSignal): Promise<number> {
  for (let at = size; at > 0; at -= CHUNK) {
    signal.throwIfAborted();
    const from = Math.max(0, at - CHUNK);
    const newline = lastNewline(await bytesOf(handle, from, at), at - from);
    if (newline >= 0) return from + newline + 1;
  }
  return 0;
}

export async function bytesOf(handle: FileHandle, from: number, to: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(to - from), 0, to - from, from);
  return buffer.subarray(0, bytesRead);
}

async function lineOf(handle: FileHandle, from: number, to: number, signal: AbortSignal): Promise<string> {
  const reader = new LineReader(from);
  for await (const _ of reader.lines(handle, signal, to));
  return reader.take();
}

/** The last one before a place, or -1. */
function lastNewline(bytes: Buffer, before: number): number {
  return before === 0 ? -1 : bytes.lastIndexOf(NEWLINE, before - 1);
}
