/** The one of `names` that `name` was most likely meant to be; nothing when none is close. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  // A third of what was written may be wrong, and one letter of a short name.
  let least = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of names) {
    if (candidate.toLowerCase() === name.toLowerCase()) return candidate;
    const edits = distance(name.toLowerCase(), candidate.toLowerCase());
    if (edits < least) [best, least] = [candidate, edits];
  }
  // `grace` is meant to be `graceMs`, and `max` might be anything.
  return best ?? only(names.filter(candidate => name.length > 3 && isPart(name, candidate)));
}

function isPart(name: string, candidate: string): boolean {
  const [left, right] = [name.toLowerCase(), candidate.toLowerCase()];
  return right.startsWith(left) || left.startsWith(right);
}

function only(names: readonly string[]): string | undefined {
  return names.length === 1 ? names[0] : undefined;
}

/** How many letters have to be put in, taken out or replaced (Levenshtein). */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] as number) + Number(from[i - 1] !== to[j - 1]);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[to.length] as number;
}
