import { type TLSSocket, TLSSocket as Tls } from 'node:tls';
import type { Metadata } from '@grpc/grpc-js';
import type { Origin } from '../call/call.ts';
import type { AuthContext, ConnectionInfo } from '../types.ts';
import { metadataOf } from './request-metadata.ts';
import { authorityOf, type WebRequest } from './transport.ts';

/** What is known of a call when its request comes. A socket forgets its addresses when it closes. */
export class WebOrigin implements Origin {
  readonly peer: string;
  readonly connectionInfo: ConnectionInfo;
  private known: Metadata | undefined;

  constructor(
    private readonly request: WebRequest,
    private readonly path: string,
    private readonly expiresAt: number,
  ) {
    const { localAddress, localPort, remoteAddress, remotePort } = request.socket;
    this.connectionInfo = { localAddress, localPort, remoteAddress, remotePort };
    this.peer = remoteAddress ? (remotePort ? `${remoteAddress}:${remotePort}` : remoteAddress) : 'unknown';
  }

  get metadata(): Metadata {
    this.known ??= metadataOf(this.request.headers);
    return this.known;
  }

  getPath(): string {
    return this.path;
  }

  getPeer(): string {
    return this.peer;
  }

  getHost(): string {
    return authorityOf(this.request) ?? '';
  }

  getDeadline(): number {
    return this.expiresAt;
  }

  getConnectionInfo(): ConnectionInfo {
    return this.connectionInfo;
  }

  getAuthContext(): AuthContext {
    const { socket } = this.request;
    if (!isTls(socket)) return {};
    const certificate = socket.authorized ? socket.getPeerCertificate() : undefined;
    return certificate?.raw
      ? { transportSecurityType: 'ssl', sslPeerCertificate: certificate }
      : { transportSecurityType: 'ssl' };
  }

  getMetricsRecorder(): object {
    return {};
  }
}

/** The socket of HTTP/2 is one that stands for it. */
export function isTls(socket: unknown): socket is TLSSocket {
  return socket instanceof Tls || (socket as { encrypted?: boolean }).encrypted === true;
}
