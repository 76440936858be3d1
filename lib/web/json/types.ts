/** What a field holds, by the names of protobuf. */
export type Scalar =
  | ('double' | 'float' | 'int64' | 'uint64' | 'int32' | 'fixed64' | 'fixed32' | 'bool' | 'string' | 'bytes')
  | ('uint32' | 'sfixed32' | 'sfixed64' | 'sint32' | 'sint64');

/** One field of a message. */
export interface Field {
  readonly number: number;
  /** As objects of proto-loader have it. */
  readonly name: string;
  /** As JSON has it. */
  readonly json: string;
  readonly kind: Scalar | 'message' | 'enum' | 'group';
  /** Of a message or an enum; found when all are known. */
  readonly message?: MessageType | undefined;
  readonly enumeration?: EnumType | undefined;
  readonly repeated: boolean;
  /** Whether its absence is told from its default. */
  readonly presence: boolean;
  /** Several fields, this one among them, of which a message has no more than one. */
  readonly oneof?: readonly Field[] | undefined;
}

export interface MessageType {
  readonly name: string;
  readonly fields: ReadonlyMap<number, Field>;
  /** Its fields by all names that JSON may have for them. */
  readonly byName: ReadonlyMap<string, Field>;
  /** An entry of a map, which has a key and a value. */
  readonly entry: boolean;
  /** Makes the JSON that it has of that which any other message would have. */
  readonly show?: Show | undefined;
}

export interface EnumType {
  readonly name: string;
  readonly names: ReadonlyMap<number, string>;
  readonly numbers: ReadonlyMap<string, number>;
}

/** Makes one JSON of another; `inner` reads the message in an `Any`. */
export type Show = (json: Record<string, any>, inner: (type: string, base64: string) => unknown) => unknown;

/** By their full names. */
export type Messages = ReadonlyMap<string, MessageType>;

/** The name of a field in JSON. What a .proto says with `json_name`, proto-loader forgets. */
export function jsonName(name: string): string {
  return name.replace(/_+(.?)/g, (_, letter: string) => letter.toUpperCase());
}

export function messageType(
  name: string,
  list: readonly Field[],
  entry = false,
  show?: Show | undefined,
): MessageType {
  const byName = new Map(list.map(field => [field.name, field]));
  for (const field of list) byName.set(field.json, field);
  return { name, fields: new Map(list.map(field => [field.number, field])), byName, entry, show };
}
