import type { Row } from '../row.ts';
import { answers } from './answers.ts';
import { frames } from './frames.ts';
import { leaves } from './leaves.ts';
import { processes } from './process.ts';
import { deadlines, reads } from './reads.ts';
import { thrown } from './thrown.ts';

/** The rows, by what each of their names goes on from. */
export const groups: Record<string, Row[]> = {
  'A server whose method': [...thrown, ...answers],
  'A client that': [...leaves, ...reads, ...frames],
  'A client whose deadline': deadlines,
  'A server that': processes,
};

export const rows: Row[] = Object.values(groups).flat();
