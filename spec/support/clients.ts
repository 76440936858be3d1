import { type Code, ConnectError, createClient as createConnectClient } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import * as grpc from '@grpc/grpc-js';
import { ClientError, createChannel, createClient as createNiceClient, Metadata } from 'nice-grpc';
import { packageDefinition } from '../../examples/protos.ts';
import { Reflection } from './reflect.ts';

type Values = Record<string, string>;

/** All of a call; without `code` when the client left before it came. */
export interface Answer {
  readonly messages: any[];
  header: Values;
  trailer: Values;
  code?: grpc.status;
  details?: string;
}

export interface CallOptions {
  readonly metadata?: Values;
  /** After so many messages the client leaves. */
  readonly take?: number;
}

/** A client that is not ours. */
export interface OtherClient {
  /** @param method such as `tutorial.NumberService/ListNumbers`. */
  call(method: string, request?: object, options?: CallOptions): Promise<Answer>;
  close(): void;
}

const noAnswer = (): Answer => ({ messages: [], header: {}, trailer: {} });

/** `for await`, and away. */
async function read(messages: AsyncIterable<any>, answer: Answer, take = Infinity): Promise<boolean> {
  for await (const message of messages) {
    answer.messages.push(plain(message));
    if (answer.messages.length === take) return false;
  }
  return true;
}

/** Messages of all clients alike: numbers of 64 bits as strings. */
function plain(value: any): any {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([name]) => name !== '$typeName' && name !== '$unknown');
  return Object.fromEntries(entries.map(([name, one]) => [name, plain(one)]));
}

const split = (method: string) => method.split('/') as [string, string];

/** What @grpc/grpc-js makes of the contracts. Leaving its loop is not enough: the call has to be cancelled. */
export async function grpcJs(address: string): Promise<OtherClient> {
  const channel = new grpc.Channel(address, grpc.credentials.createInsecure(), {});
  return {
    async call(method, request = {}, { metadata = {}, take } = {}) {
      const [service, name] = split(method);
      const Client = grpc.makeClientConstructor(
        packageDefinition[service] as grpc.ServiceDefinition,
        service,
      );
      const client: any = new Client(address, grpc.credentials.createInsecure(), {
        channelOverride: channel,
      });
      const sent = new grpc.Metadata();
      for (const [key, value] of Object.entries(metadata)) sent.set(key, value);
      const answer = noAnswer();
      const stream: grpc.ClientReadableStream<any> = client[name](request, sent);
      stream.on('metadata', received => Object.assign(answer.header, received.getMap()));
      const ended = new Promise<void>(resolve => {
        stream.on('status', ({ code, details, metadata }) => {
          Object.assign(answer, { code, details, trailer: metadata.getMap() });
          resolve();
        });
      });
      const toTheEnd = await read(stream, answer, take).catch(() => true);
      stream.cancel();
      await ended;
      if (!toTheEnd) delete answer.code;
      return answer;
    },
    close: () => channel.close(),
  };
}

/** nice-grpc, over the same definitions. */
export async function niceGrpc(address: string): Promise<OtherClient> {
  const channel = createChannel(address);
  const valuesOf = (metadata: Metadata): Values =>
    Object.fromEntries([...metadata].map(([key, values]) => [key, String(values[0])]));
  return {
    async call(method, request = {}, { metadata = {}, take } = {}) {
      const [service, name] = split(method);
      const client: any = createNiceClient(packageDefinition[service] as grpc.ServiceDefinition, channel);
      const answer = noAnswer();
      const stream = client[name](request, {
        metadata: new Metadata(metadata),
        onHeader: (received: Metadata) => Object.assign(answer.header, valuesOf(received)),
        onTrailer: (received: Metadata) => Object.assign(answer.trailer, valuesOf(received)),
      });
      try {
        if (await read(stream, answer, take)) answer.code = grpc.status.OK;
      } catch (error) {
        if (!(error instanceof ClientError)) throw error;
        Object.assign(answer, { code: error.code, details: error.details });
      }
      return answer;
    },
    close: () => channel.close(),
  };
}

/**
 * connect-node with the gRPC protocol; it knows of the contracts what the server's reflection says. Its iterators
 * have no `return`, so a signal says that it leaves.
 */
export async function connectNode(address: string): Promise<OtherClient> {
  const baseUrl = `http://${address}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  const transport = createGrpcTransport({ baseUrl, sessionManager });
  const reflection = new Reflection(address);
  return {
    async call(method, request = {}, { metadata = {}, take } = {}) {
      const [service, name] = split(method);
      const described = (await reflection.registryOf(service)).getService(service);
      if (!described) throw new Error(`${service} is not described`);
      const client: any = createConnectClient(described, transport);
      const answer = noAnswer();
      const leaving = new AbortController();
      const stream = client[name.charAt(0).toLowerCase() + name.slice(1)](request, {
        headers: metadata,
        signal: leaving.signal,
        onHeader: (received: Headers) => Object.assign(answer.header, Object.fromEntries(received)),
        onTrailer: (received: Headers) => Object.assign(answer.trailer, Object.fromEntries(received)),
      });
      try {
        if (await read(stream, answer, take)) answer.code = grpc.status.OK;
      } catch (error) {
        if (!(error instanceof ConnectError)) throw error;
        const code = error.code as Code & grpc.status; // the same numbers
        Object.assign(answer, { code, details: error.rawMessage });
      } finally {
        leaving.abort();
      }
      return answer;
    },
    close() {
      sessionManager.abort();
      reflection.close();
    },
  };
}
