/** Milliseconds on the clock that all processes of a machine share. */
const now = () => Number(process.hrtime.bigint()) / 1e6;

/** So many bytes that tell when they were made. */
export function stamped(bytes: number): Buffer {
  const item = Buffer.alloc(bytes);
  item.writeDoubleBE(now());
  return item;
}

/** How many milliseconds ago that was. */
export function age(item: Buffer): number {
  return now() - item.readDoubleBE();
}
