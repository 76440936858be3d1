/** What is promised to who watches a feed, as etcd checks it; each is counted when it is broken. */
export class Broken {
  /** A number that is not above the one before. */
  ordered = 0;
  /** A number that came before. */
  unique = 0;
  /** One that is stored, between two that this one saw. Known when all is over. */
  reliable = 0;
  /** The first one after a resume is not the next one that is stored. Known when all is over. */
  resumable = 0;
  /** What came after a token, and is not beyond it. */
  bookmarkable = 0;
  /** An update that is not as it was published, or that nobody published, or of another topic. */
  atomic = 0;
  /** OUT_OF_RANGE, though everything is still there. */
  outOfRange = 0;

  get total(): number {
    return Object.values(this).reduce((sum: number, count: number) => sum + count, 0);
  }
}

/** What one watcher sees of one topic, held to those promises. */
export class Witness {
  /** The highest number it took. */
  last = 0;
  private isResumed = false;
  private readonly taken: number[] = [];
  /** What came last before each resume, and first after it. */
  private readonly seams: [number, number][] = [];

  constructor(private readonly broken: Broken) {}

  get count(): number {
    return this.taken.length;
  }

  /** What comes next is of another call. */
  resumed(): void {
    this.isResumed = true;
  }

  take(sequence: number, isWhole: boolean): void {
    const { broken, last, isResumed } = this;
    this.isResumed = false;
    this.taken.push(sequence);
    this.last = Math.max(last, sequence);
    if (!isWhole) broken.atomic += 1;
    if (isResumed && last !== 0) this.seams.push([last, sequence]);
    if (sequence === last) broken.unique += 1;
    if (sequence < last) broken.ordered += 1;
    if (sequence <= last && isResumed) broken.bookmarkable += 1;
  }

  /** To be called when all is over, with the numbers by which what was published of the topic is stored, in order. */
  judge(stored: readonly number[]): void {
    const { broken, taken, last, seams } = this;
    const had = new Set(taken);
    const places = new Map(stored.map((sequence, place) => [sequence, place]));
    broken.reliable += stored.slice(places.get(taken[0] ?? 0)).filter(n => n < last && !had.has(n)).length;
    broken.atomic += taken.filter(sequence => !places.has(sequence)).length;
    for (const [before, after] of seams)
      if (places.get(after) !== (places.get(before) ?? Number.NaN) + 1) broken.resumable += 1;
  }
}
