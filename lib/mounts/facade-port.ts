import { type Metadata, status } from '@grpc/grpc-js';
import { GrpcPort } from '../grpc-js/port.ts';
import {
  type AnyStream,
  type Callback,
  CallbackPort,
  givenPort,
  HandlerPort,
  isWayOfStream,
} from '../grpc-js/ports.ts';
import type { ConnectionInfo } from '../types.ts';
import type { Identity, Port, WireStatus } from '../wire/port.ts';
import { type Facade, facadeOf } from './facade.ts';

/** The port of a stream that has a facade already: down to the layers of that first one. */
class FacadePort extends GrpcPort {
  constructor(private readonly outer: Facade) {
    super(undefined);
  }

  override get identity(): Identity | undefined {
    return this.outer.call.wire.identity;
  }

  override get connectionInfo(): ConnectionInfo {
    return this.outer.call.wire.connectionInfo;
  }

  override belongsTo(server: object): boolean {
    return this.outer.call.wire.belongsTo(server);
  }

  header(metadata: Metadata): void {
    this.outer.relay.header(metadata);
  }

  message(message: unknown, ack: () => void): void {
    this.outer.relay.message(message, ack);
  }

  status(last: WireStatus): void {
    const { call, relay } = this.outer;
    const reason = last.code === status.OK ? 'completed' : 'error';
    void relay.status(call.rpc.conclusion(last) ?? { ...last, reason });
  }
}

/** How a call goes down from here: to grpc-js, or to what it was wrapped with before. */
export function portOf(stream: AnyStream, callback: Callback | undefined): Port {
  const outer = facadeOf(stream);
  if (outer && (callback === undefined || outer.callback === callback)) return new FacadePort(outer);
  if (outer === undefined) {
    const given = givenPort(stream);
    if (given) return given;
    if (isWayOfStream(stream, callback)) return new HandlerPort(stream);
  }
  return new CallbackPort(stream, callback as Callback);
}
