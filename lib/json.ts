/**
 * How the messages of one method are written as JSON: that of proto3, or whatever its clients read. Nothing waits for a
 * promise: one is answered `INTERNAL`, and reported, as is a request or a message that is `undefined`.
 */
export interface JsonCodec {
  /** A request out of its JSON, already parsed; what it throws says which field does not fit, and clients read that. */
  fromJson(json: unknown): unknown;
  /**
   * The same of a query: all values are texts, lists of texts, or objects of these. Without it, `fromJson` gets these,
   * `true` and `false` as booleans.
   */
  fromQuery?(query: object): unknown;
  /** What `JSON.stringify` makes the text of. */
  toJson(message: any): unknown;
}

/** Where the definition of a method carries its own codec. */
const codec: unique symbol = Symbol.for('leat.json') as never;

/** @internal A definition of a method that brings its codec. */
export interface WithJson {
  readonly [codec]?: JsonCodec;
}

/** Gives the definition of a method its codec. */
export function withJson<M extends object>(method: M, json: JsonCodec): M {
  return Object.assign(method, { [codec]: json });
}

export function jsonOf(method: object): JsonCodec | undefined {
  return (method as WithJson)[codec];
}
