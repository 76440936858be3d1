/** `any` would pass for every type. */
type IsAny<T> = 0 extends 1 & T ? true : false;

/** And so it would in what is iterated. */
type Item<T> = T extends AsyncIterable<infer Item> ? Item : undefined;

type Same<A, B> = [IsAny<A>, IsAny<Item<A>>] extends [IsAny<B>, IsAny<Item<B>>]
  ? [A, B] extends [B, A]
    ? true
    : false
  : false;

/** Says that a value has exactly this type. */
export function expectType<Expected>(): <Actual>(
  value: Actual,
  ...same: Same<Expected, Actual> extends true ? [] : ['is of another type']
) => void {
  return () => {};
}
