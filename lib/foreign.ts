import { isThenable } from './check.ts';

/** Something that stands in place of a service definition: what it is, and what to give instead. */
export interface Foreign {
  readonly what: string;
  readonly instead: string;
}

type Shape = Readonly<Record<string, unknown>>;

const LOADED = '`loadPackageDefinition(loadSync(path))`, and of that the class of a service';
const FROM_JSON = '`loadPackageDefinition(fromJSON(root.toJSON()))`, and of that the class of a service';
const PROTOBUF_ES = '`definition(…)` of leat/protobuf-es';
const PROTOBUF_ES_V2 = `${PROTOBUF_ES}, with what protoc-gen-es v2 generates`;
const IN_ORDER = 'a definition: `mount(server, definition, methods)`';

/**
 * What other libraries have for a service, and what people take for one. All are known here and nowhere else, and by
 * their shapes: there might be more than one copy of each library.
 */
export function foreign(value: unknown): Foreign | undefined {
  if (typeof value === 'string')
    return value.endsWith('.proto') ? { what: `the path \`${value}\``, instead: LOADED } : undefined;
  if (isThenable(value)) return { what: 'a promise', instead: 'what it resolves to' };
  if (typeof value === 'function') return ofClass(value);
  if (!isObject(value)) return undefined;
  return ofProtobufEs(value) ?? ofGenerators(value) ?? ofProtobufjs(value) ?? ofGrpc(value) ?? around(value);
}

/** Whether a server could serve it. */
export function isMethod(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { path, requestDeserialize, responseSerialize } = value;
  const codecs = typeof requestDeserialize === 'function' && typeof responseSerialize === 'function';
  return codecs && typeof path === 'string';
}

/** A service of protobuf-es v2. */
export function isDescService(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { kind, typeName, methods, method } = value;
  return kind === 'service' && typeof typeName === 'string' && Array.isArray(methods) && isObject(method);
}

function ofProtobufEs(value: Shape): Foreign | undefined {
  const { kind, typeName, services, parent } = value;
  if (kind === 'file' && Array.isArray(services)) {
    const names = services.map(service => `\`${service?.name}\``).join(', ') || 'none';
    return { what: 'a DescFile of protobuf-es', instead: `${PROTOBUF_ES}, with a service of it: ${names}` };
  }
  if (kind === 'rpc' && isDescService(parent))
    return { what: 'a DescMethod of protobuf-es', instead: `${PROTOBUF_ES}, with its service` };
  if (typeof typeName !== 'string') return undefined;
  const named = `\`${typeName}\` of protobuf-es`;
  if (isDescService(value)) return { what: `the DescService ${named}`, instead: PROTOBUF_ES };
  if (kind === 'service') return { what: `the DescService ${named} v1`, instead: PROTOBUF_ES_V2 };
  if (kind === 'message')
    return { what: `the DescMessage ${named}`, instead: `${PROTOBUF_ES}, with a service` };
  return undefined;
}

function ofGenerators({ typeName, fullName, methods, resolveAll }: Shape): Foreign | undefined {
  if (typeof methods !== 'object' || resolveAll !== undefined) return undefined;
  if (typeof fullName === 'string')
    return {
      what: `the generic definition \`${fullName}\` of ts-proto, as nice-grpc takes it`,
      instead: `\`${lastOf(fullName)}Service\`, which ts-proto generates with \`outputServices=grpc-js\``,
    };
  if (typeof typeName !== 'string') return undefined;
  if (!Array.isArray(methods))
    return { what: `the ServiceType \`${typeName}\` of connect-es v1`, instead: PROTOBUF_ES_V2 };
  const name = lastOf(typeName);
  return {
    what: `the ServiceType \`${typeName}\` of protobuf-ts`,
    instead: `\`${name.charAt(0).toLowerCase()}${name.slice(1)}Definition\`, which protobuf-ts generates with \`server_grpc1\``,
  };
}

function ofProtobufjs({ resolveAll, lookupService, fullName }: Shape): Foreign | undefined {
  if (typeof resolveAll !== 'function' || typeof lookupService !== 'function') return undefined;
  return { what: `\`${fullName || 'the root'}\` of protobufjs`, instead: FROM_JSON };
}

function ofGrpc(value: Shape): Foreign | undefined {
  if (isMethod(value))
    return { what: `the method \`${value.path}\``, instead: 'the service that has this method' };
  if (isClient(value)) return { what: 'a client', instead: 'the class of that client, or its `service`' };
  if (typeof value.addService === 'function') return { what: 'a server', instead: IN_ORDER };
  if (typeof value.format === 'string' && Array.isArray(value.fileDescriptorProtos))
    return { what: 'a type of messages', instead: 'the class of a service' };
  return undefined;
}

function ofClass({
  name,
  prototype,
}: {
  readonly name: string;
  readonly prototype?: unknown;
}): Foreign | undefined {
  if (!isClient(prototype)) return undefined;
  return {
    what: `the client class \`${name}\`, which has no \`service\``,
    instead: 'the definition beside it',
  };
}

/** A package of proto-loader, a module, or anything else that has services in it; or methods without one. */
function around(value: Shape): Foreign | undefined {
  const names = servicesIn(value, '', new Set());
  if (names.length > 0) {
    const others = names.length > 3 ? `, or one of ${names.length - 3} more` : '';
    const instead = `${names.slice(0, 3).join(', ')}${others}`;
    return { what: 'what has services in it', instead };
  }
  const [key, ...more] = Object.keys(value);
  if (key === undefined || ![key, ...more].every(name => typeof value[name] === 'function')) return undefined;
  return { what: `methods (\`${key}\`)`, instead: IN_ORDER };
}

/** What could be mounted, by the names that lead there. */
function servicesIn(value: unknown, path: string, seen: Set<unknown>): string[] {
  if (!isObject(value) || seen.has(value) || seen.size > 1000) return [];
  seen.add(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const at = path === '' ? key : `${path}.${key}`;
    if (isDescService(item)) return [`\`definition(${at})\` of leat/protobuf-es`];
    const service = typeof item === 'function' ? Reflect.get(item, 'service') : item;
    return isService(service) ? [`\`${at}\``] : servicesIn(item, at, seen);
  });
}

function isService(value: unknown): boolean {
  return isObject(value) && Object.values(value).some(isMethod);
}

function isClient(value: unknown): boolean {
  return isObject(value) && ['waitForReady', 'makeUnaryRequest'].every(name => name in value);
}

function isObject(value: unknown): value is Shape {
  return typeof value === 'object' && value !== null;
}

function lastOf(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}
