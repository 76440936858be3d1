/** How many times fall into each 100 ms, from the first 100 ms on. */
export function histogram(times: readonly number[], stepMs = 100): number[] {
  const counts: number[] = [];
  for (const time of times) {
    const step = Math.floor(time / stepMs);
    while (counts.length <= step) counts.push(0);
    counts[step] = (counts[step] as number) + 1;
  }
  return counts;
}
