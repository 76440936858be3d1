/** What was absorbed instead of crashing, over the life of this process. Only ever grows. */
export interface Counters {
  /** Sources and handlers that had not finished `cleanupGraceMs` after their call was over. */
  readonly orphans: number;
  /** Messages that came after the end of their call, or after its only answer. */
  readonly lateMessages: number;
  /** Statuses and errors that came after the end of their call. */
  readonly lateEnds: number;
  /** Metadata entries that may not be sent: reserved names, text that is not ASCII, too large. */
  readonly droppedMetadata: number;
}

export const counts: { -readonly [Name in keyof Counters]: number } = {
  orphans: 0,
  lateMessages: 0,
  lateEnds: 0,
  droppedMetadata: 0,
};

/** The counts as they are now; compare two to know what happened in between. */
export function counters(): Counters {
  return { ...counts };
}
