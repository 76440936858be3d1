import type { BigIntStats } from 'node:fs';
import { type FileHandle, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

/** A file beside the log that was the log once, or is a copy of it. */
export interface Rotated {
  readonly id: string;
  readonly path: string;
  readonly born: bigint;
}

/**
 * What rotation puts behind the name of a log: a number, a date, `.old`. Another name that begins alike, such as
 * `app.log-audit`, `app.log.bak` or `app.log.1.gz`, is another file.
 */
const ROTATED = /^(?:[._-]\d[\d._:TZ+-]*|\.old)$/;

/** The files beside a log that bear its name and more, the oldest first. */
export async function rotated(path: string): Promise<Rotated[]> {
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
export function idFrom({ dev, ino, birthtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${birthtimeNs}`;
}

export async function idOf(handle: FileHandle): Promise<string> {
  return idFrom(await handle.stat({ bigint: true }));
}

export async function idAt(path: string): Promise<string | undefined> {
  const stats = await stat(path, { bigint: true }).catch(ifMissing);
  return stats && idFrom(stats);
}

export function ifMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

export function ifUnreadable(error: NodeJS.ErrnoException): undefined {
  if (!['ENOENT', 'EACCES', 'EPERM', 'ELOOP'].includes(error.code ?? '')) throw error;
}
