import { status } from '@grpc/grpc-js';
import { PREFIX_BYTES } from '../wire/frame.ts';
import { TAKEN } from './body.ts';
import { bytesOfText, type GrpcWeb, GrpcWebPort, messageOf, textBytes, tooLarge } from './grpc-web.ts';
import { callable, type WebMethod } from './method.ts';
import { noMessages, Refusal } from './refusal.ts';
import { headerOf } from './transport.ts';
import type { Visit } from './visit.ts';

/** Answers a call that came by gRPC-Web, in gRPC-Web, whatever becomes of it. */
export function callByGrpcWeb(visit: Visit, web: GrpcWeb, path: string, method: WebMethod | undefined): void {
  const { maxRequestBytes } = visit.settings;
  const bodyBytes = maxRequestBytes + PREFIX_BYTES;
  visit.read(
    path,
    web.text ? textBytes(bodyBytes) : bodyBytes,
    body => {
      const port = new GrpcWebPort(visit, web, method?.definition.responseSerialize ?? noMessages);
      const encoding = headerOf(visit.request, 'grpc-encoding') ?? 'identity';
      const called = timeoutRefusal(visit) ?? callable(path, method, visit.closing);
      if (called instanceof Refusal) return port.refuse(called);
      if (encoding !== 'identity') return port.refuseEncoding(encoding);
      const request = requestOf(body, web, called, maxRequestBytes);
      if (request instanceof Refusal) port.refuse(request);
      else called.call(visit.origin, request.decoded, port);
    },
    why => {
      const port = new GrpcWebPort(visit, web, noMessages);
      const late = new Refusal(status.DEADLINE_EXCEEDED, 'The request did not arrive in time');
      if (why === 'taken') port.refuse(taken());
      else port.refuse(why === 'too late' ? late : tooLarge(undefined, maxRequestBytes));
    },
  );
}

function taken(): Refusal {
  return new Refusal(status.INTERNAL, TAKEN);
}

function timeoutRefusal({ request, timeoutMs }: Visit): Refusal | undefined {
  if (!Number.isNaN(timeoutMs)) return undefined;
  const given = JSON.stringify(headerOf(request, 'grpc-timeout'));
  return new Refusal(status.INTERNAL, `Invalid grpc-timeout value ${given}`);
}

/** The request in a body, decoded. */
function requestOf(
  body: unknown,
  web: GrpcWeb,
  { definition }: WebMethod,
  maxBytes: number,
): Refusal | { readonly decoded: unknown } {
  if (!Buffer.isBuffer(body)) return taken();
  const bytes = web.text ? bytesOfText(body, maxBytes) : body;
  const message = bytes instanceof Refusal ? bytes : messageOf(bytes, maxBytes);
  if (message instanceof Refusal) return message;
  try {
    return { decoded: definition.requestDeserialize(message) };
  } catch (error) {
    return new Refusal(status.INTERNAL, `Error deserializing request: ${(error as Error)?.message}`);
  }
}
