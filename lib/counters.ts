/** What was absorbed instead of crashing, over the life of this process. Only ever grows. */
export interface Counters {
  /**
   * Sources that had not finished `cleanupGraceMs` after their call was over, and what streams of `leat/sources`
   * read from, and left, that had not finished after a second.
   */
  orphans: number;
  /** Messages that came after the end of their call. */
  lateMessages: number;
  /** Statuses and errors that came after the end of their call. */
  lateEnds: number;
  /** Metadata entries that may not be sent: reserved names, text that is not ASCII, too large. */
  droppedMetadata: number;
}

export const counters: Counters = { orphans: 0, lateMessages: 0, lateEnds: 0, droppedMetadata: 0 };
