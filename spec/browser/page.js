/** What pages call with: each client answers what its user sees of one call. Bundled, and run in Chromium. */
import { createFileRegistry, fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';
import { GrpcWebClientBase, MethodDescriptor, MethodType } from 'grpc-web';

const registries = new Map();

/** @param files a FileDescriptorSet in base64. */
function methodOf({ files, path }) {
  if (!registries.has(files)) {
    const bytes = Uint8Array.from(atob(files), char => char.charCodeAt(0));
    registries.set(files, createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes)));
  }
  const [, service = '', name] = path.split('/');
  const found = registries.get(files).getService(service);
  return { service: found, method: found.methods.find(method => method.name === name) };
}

const newResult = () => ({ messages: [], header: {}, trailer: {}, code: 0, message: '', details: [] });

/** `@connectrpc/connect-web` with its transport for gRPC-Web. */
export async function connect(call) {
  const { service, method } = methodOf(call);
  const { baseUrl, request, headers, timeoutMs, take } = call;
  const result = newResult();
  const left = new AbortController();
  const fetchAll = (url, init) => fetch(url, { ...init, credentials: call.credentials ?? 'same-origin' });
  const client = createClient(service, createGrpcWebTransport({ baseUrl, fetch: fetchAll }));
  const options = {
    headers,
    timeoutMs,
    signal: left.signal,
    onHeader: header => Object.assign(result.header, Object.fromEntries(header)),
    onTrailer: trailer => Object.assign(result.trailer, Object.fromEntries(trailer)),
  };
  try {
    const messages = client[method.localName](fromJson(method.input, request), options);
    for await (const message of messages) {
      result.messages.push(toJson(method.output, message));
      if (result.messages.length === take) left.abort();
    }
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    Object.assign(result, { code: error.code, message: error.rawMessage });
    Object.assign(result.trailer, Object.fromEntries(error.metadata));
    result.details = error.details.map(({ type, value }) => ({ type, value: [...value] }));
  }
  return result;
}

/** `grpc-web` of Google's, `binary` or `text`. */
export function grpcWeb(format, call) {
  const { method } = methodOf(call);
  const { baseUrl, path, request, headers, timeoutMs, take } = call;
  const descriptor = new MethodDescriptor(
    path,
    MethodType.SERVER_STREAMING,
    Object,
    Object,
    message => toBinary(method.input, message),
    bytes => fromBinary(method.output, bytes),
  );
  const metadata = { ...headers };
  if (timeoutMs !== undefined) metadata.deadline = String(Date.now() + timeoutMs);
  const client = new GrpcWebClientBase({ format, withCredentials: call.credentials === 'include' });
  const result = newResult();
  return new Promise(resolve => {
    const stream = client.serverStreaming(
      baseUrl + path,
      fromJson(method.input, request),
      metadata,
      descriptor,
    );
    stream.on('metadata', header => Object.assign(result.header, header));
    stream.on('status', ({ code, details, metadata }) => {
      Object.assign(result, { code, message: details });
      Object.assign(result.trailer, metadata);
    });
    stream.on('error', ({ code, message, metadata }) => {
      Object.assign(result, { code, message });
      Object.assign(result.trailer, metadata);
      setTimeout(() => resolve(result));
    });
    stream.on('end', () => setTimeout(() => resolve(result)));
    stream.on('data', message => {
      result.messages.push(toJson(method.output, message));
      if (result.messages.length !== take) return;
      stream.cancel();
      resolve(result);
    });
  });
}

/** An EventSource, until it stops by itself or has what is wanted. */
export function eventSource({ baseUrl, path, query = '', take, credentials }) {
  const result = { ...newResult(), ids: [], opened: 0 };
  return new Promise(resolve => {
    const source = new EventSource(`${baseUrl}${path}?${query}`, {
      withCredentials: credentials === 'include',
    });
    const done = () => {
      source.close();
      resolve(result);
    };
    source.onopen = () => {
      result.opened += 1;
    };
    source.onmessage = ({ data, lastEventId }) => {
      result.messages.push(JSON.parse(data));
      result.ids.push(lastEventId);
      if (result.messages.length === take) done();
    };
    source.addEventListener('status', ({ data }) => Object.assign(result, JSON.parse(data)));
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) done();
    };
  });
}

/** Events, read by `fetch`; `take` leaves by aborting. */
export async function streamed({ baseUrl, path, request, headers, take, credentials }) {
  const result = newResult();
  const left = new AbortController();
  const response = await fetch(baseUrl + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(request),
    credentials: credentials ?? 'same-origin',
    signal: left.signal,
  });
  Object.assign(result.header, Object.fromEntries(response.headers));
  let rest = '';
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return result;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const [, data] = /^data: (.*)$/m.exec(block) ?? [];
      if (data === undefined) continue;
      if (/^event: status$/m.test(block)) Object.assign(result, JSON.parse(data));
      else result.messages.push(JSON.parse(data));
      if (result.messages.length !== take) continue;
      left.abort();
      return result;
    }
  }
}

/** Whether a page may call at all. */
export async function mayFetch({ baseUrl, path, headers, credentials }) {
  try {
    const response = await fetch(`${baseUrl}${path}`, { headers, credentials });
    await response.body?.cancel();
    return response.status;
  } catch (error) {
    return String(error);
  }
}
