import { status } from '@grpc/grpc-js';
import { PREFIX_BYTES } from '../wire/frame.ts';
import {
  bytesOfText,
  type GrpcWeb,
  GrpcWebPort,
  Malformed,
  messageOf,
  textBytes,
  tooLarge,
} from './grpc-web.ts';
import type { WebMethod } from './method.ts';
import { headerOf } from './transport.ts';
import type { Visit } from './visit.ts';

const noMessages = (): Uint8Array => new Uint8Array();

/** Answers a call that came by gRPC-Web, in gRPC-Web, whatever becomes of it. */
export function callByGrpcWeb(visit: Visit, web: GrpcWeb, path: string, method: WebMethod | undefined): void {
  const { request, settings, timeoutMs } = visit;
  const { maxRequestBytes } = settings;
  const encoding = headerOf(request, 'grpc-encoding') ?? 'identity';
  const bodyBytes = maxRequestBytes + PREFIX_BYTES;
  visit.read(
    path,
    web.text ? textBytes(bodyBytes) : bodyBytes,
    body => {
      const port = new GrpcWebPort(visit, web, method?.definition.responseSerialize ?? noMessages);
      if (method === undefined)
        return port.refuse(status.UNIMPLEMENTED, `The server does not implement the method ${path}`);
      if (method.streamed)
        return port.refuse(
          status.UNIMPLEMENTED,
          `Browsers cannot stream requests, which ${path} reads: call it by gRPC`,
        );
      if (Number.isNaN(timeoutMs))
        return port.refuse(
          status.INTERNAL,
          `Invalid grpc-timeout value ${JSON.stringify(headerOf(request, 'grpc-timeout'))}`,
        );
      if (visit.closing) return port.refuse(status.UNAVAILABLE, 'the server is shutting down');
      if (encoding !== 'identity') return port.refuseEncoding(encoding);
      if (!Buffer.isBuffer(body))
        return port.refuse(status.INTERNAL, 'The request was read by somebody else before');
      const bytes = web.text ? bytesOfText(body) : body;
      const message = bytes instanceof Malformed ? bytes : messageOf(bytes, maxRequestBytes);
      if (message instanceof Malformed) return port.refuse(message.code, message.details);
      let decoded: unknown;
      try {
        decoded = method.definition.requestDeserialize(message);
      } catch (error) {
        return port.refuse(status.INTERNAL, `Error deserializing request: ${(error as Error)?.message}`);
      }
      method.call(visit.origin, decoded, port);
    },
    why => {
      const port = new GrpcWebPort(visit, web, noMessages);
      if (why === 'too late')
        return port.refuse(status.DEADLINE_EXCEEDED, 'The request did not arrive in time');
      const { code, details } = tooLarge(undefined, maxRequestBytes);
      port.refuse(code, details);
    },
  );
}
