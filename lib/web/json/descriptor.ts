import { toJson } from './to-json.ts';
import { type Field, type MessageType, messageType, type Scalar } from './types.ts';

/** A file, as `google/protobuf/descriptor.proto` has it; what is read of it here. */
export interface File {
  readonly package?: string;
  readonly messageType?: readonly Described[];
  readonly enumType?: readonly DescribedEnum[];
  readonly service?: readonly {
    name: string;
    method?: readonly { name: string; inputType: string; outputType: string }[];
  }[];
  readonly syntax?: string;
}

export interface Described {
  readonly name: string;
  readonly field?: readonly DescribedField[];
  readonly nestedType?: readonly Described[];
  readonly enumType?: readonly DescribedEnum[];
  readonly options?: { readonly mapEntry?: boolean };
}

export interface DescribedField {
  readonly name: string;
  readonly number: number;
  readonly label?: number;
  readonly type: number;
  readonly typeName?: string;
  readonly oneofIndex?: number;
}

export interface DescribedEnum {
  readonly name: string;
  readonly value?: readonly { readonly name: string; readonly number?: number }[];
}

/** Of what is described here, lists are of messages. */
type Shape = readonly (readonly [number: number, name: string, kind: Scalar | MessageType])[];

function shape(list: Shape, inner = false): MessageType {
  const fields = list.map(([number, name, kind]): Field => {
    const common = { number, name, json: name, presence: true };
    if (typeof kind === 'string') return { ...common, kind, repeated: false };
    return { ...common, kind: 'message', message: kind, repeated: name !== 'options' };
  });
  const type = messageType('', fields);
  if (inner) {
    // A message may have messages within.
    const nested: Field = {
      number: 3,
      name: 'nestedType',
      json: 'nestedType',
      presence: true,
      kind: 'message',
      message: type,
      repeated: true,
    };
    (type.fields as Map<number, Field>).set(3, nested);
  }
  return type;
}

const ENUM: MessageType = shape([
  [1, 'name', 'string'],
  [
    2,
    'value',
    shape([
      [1, 'name', 'string'],
      [2, 'number', 'int32'],
    ]),
  ],
]);

const FIELD: MessageType = shape([
  [1, 'name', 'string'],
  [3, 'number', 'int32'],
  [4, 'label', 'int32'],
  [5, 'type', 'int32'],
  [6, 'typeName', 'string'],
  [9, 'oneofIndex', 'int32'],
]);

const MESSAGE: MessageType = shape(
  [
    [1, 'name', 'string'],
    [2, 'field', FIELD],
    [4, 'enumType', ENUM],
    [7, 'options', shape([[7, 'mapEntry', 'bool']])],
  ],
  true,
);

const METHOD: MessageType = shape([
  [1, 'name', 'string'],
  [2, 'inputType', 'string'],
  [3, 'outputType', 'string'],
]);

const FILE: MessageType = shape([
  [2, 'package', 'string'],
  [4, 'messageType', MESSAGE],
  [5, 'enumType', ENUM],
  [
    6,
    'service',
    shape([
      [1, 'name', 'string'],
      [2, 'method', METHOD],
    ]),
  ],
  [12, 'syntax', 'string'],
]);

/** Reads the descriptor of a file. */
export function fileOf(bytes: Uint8Array): File {
  return toJson(bytes, FILE, new Map()) as File;
}
