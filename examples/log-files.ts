import { type FileHandle, open } from 'node:fs/promises';
import { type LineReader, readerOf } from './log-lines.ts';
import { idOf, ifMissing, ifUnreadable, type Rotated, rotated } from './log-rotated.ts';

/** The files of a log, which is at `path`: those that are open, and which of them are copies of others. */
export class LogFiles {
  private readonly handles = new Set<FileHandle>();

  constructor(private readonly path: string) {}

  /** Those beside the log, the oldest one first. */
  rotated(): Promise<Rotated[]> {
    return rotated(this.path);
  }

  async open(
    path: string = this.path,
    otherwise: typeof ifMissing = ifMissing,
  ): Promise<FileHandle | undefined> {
    const handle = await open(path).catch(otherwise);
    if (handle) this.handles.add(handle);
    return handle;
  }

  /** Opens a file that might have another name by now. */
  async openRotated({ id, path }: Rotated): Promise<FileHandle | undefined> {
    for (let at: string | undefined = path; at; ) {
      const handle = await this.open(at, ifUnreadable);
      if (handle && (await idOf(handle)) === id) return handle;
      await this.done(handle);
      at = (await this.rotated()).find(file => file.id === id)?.path;
    }
    return undefined;
  }

  async done(handle: FileHandle | undefined): Promise<void> {
    if (handle && this.handles.delete(handle)) await handle.close();
  }

  async close(): Promise<void> {
    await Promise.all([...this.handles].map(handle => this.done(handle)));
  }

  /** Opens the copy of a file that was emptied while it was read: of several, the one that was made last has most of it. */
  async copyOf(reader: LineReader): Promise<FileHandle | undefined> {
    let best: FileHandle | undefined;
    let most = 0;
    for (const file of await this.rotated()) {
      const copy = await this.openRotated(file);
      const size = (await copy?.stat())?.size ?? 0;
      const better = copy && size > most && (await reader.isIn(readerOf(copy)));
      await this.done(better ? best : copy);
      if (!better) continue;
      best = copy;
      most = size;
    }
    return best;
  }

  /** Those of some files that have what the one that is read has: it was copied, and not emptied. */
  async copiesOf(read: FileHandle | undefined, files: Rotated[]): Promise<Rotated[]> {
    if (!read) return [];
    const { birthtimeNs } = await read.stat({ bigint: true });
    const copies: Rotated[] = [];
    for (const file of files) {
      const handle = file.born < birthtimeNs ? undefined : await this.openRotated(file);
      if (handle && (await isBeginning(handle, read))) copies.push(file);
      await this.done(handle);
    }
    return copies;
  }
}

/** Whether `whole` begins with everything in `part`, as the first and last bytes of `part` say. */
export async function isBeginning(part: FileHandle, whole: FileHandle): Promise<boolean> {
  const { size } = await part.stat();
  const [readPart, readWhole] = [readerOf(part), readerOf(whole)];
  for (const from of [0, Math.max(0, size - 256)]) {
    const to = Math.min(from + 256, size);
    if (!(await readPart(from, to)).equals(await readWhole(from, to))) return false;
  }
  return size > 0;
}
