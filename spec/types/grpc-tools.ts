/** Static definitions of grpc-tools, with classes for messages. Checked, never run. */
import type * as grpc from '@grpc/grpc-js';
import { mount, plain, produce, type Requests, wrap } from 'leat';
import { expectType } from './expect-type.ts';

declare class NumberRequest {
  getMax(): number;
  setMax(value: number): NumberRequest;
}

declare class NumberResponse {
  getNum(): number;
  setNum(value: number): NumberResponse;
}

/** The kinds of the methods are not in these types. */
interface NumberService extends grpc.ServiceDefinition<grpc.UntypedServiceImplementation> {
  listNumbers: grpc.MethodDefinition<NumberRequest, NumberResponse>;
  getNumber: grpc.MethodDefinition<NumberRequest, NumberResponse>;
}

/** And here they are, as grpc_tools_node_protoc_ts writes them. */
interface ListNumbers extends grpc.MethodDefinition<NumberRequest, NumberResponse> {
  path: '/tutorial.NumberService/ListNumbers';
  requestStream: false;
  responseStream: true;
}

interface NumberServiceWithKinds extends grpc.ServiceDefinition<grpc.UntypedServiceImplementation> {
  listNumbers: ListNumbers;
}

export function inMount(
  server: grpc.Server,
  service: NumberService,
  withKinds: NumberServiceWithKinds,
  response: NumberResponse,
): void {
  mount(server, service, {
    async *listNumbers(request) {
      expectType<NumberRequest & Requests<NumberRequest>>()(request);
      yield response.setNum(request.getMax());
    },
  });
  mount(server, withKinds, {
    *listNumbers(request, call) {
      expectType<NumberRequest>()(request);
      expectType<NumberRequest>()(call.request);
      yield response.setNum(request.getMax());
    },
  });
  mount(server, withKinds, {
    listNumbers: produce((request: NumberRequest) => [response.setNum(request.getMax())]),
  });

  for (const either of [service, withKinds]) {
    mount(server, either, {
      // @ts-expect-error a message of another kind
      async *listNumbers() {
        yield { num: 1 };
      },
    });
  }
  mount(server, service, {
    // @ts-expect-error a message of another kind
    async *listNumbers() {
      yield { num: 1 };
    },
  });
  mount(server, withKinds, {
    // @ts-expect-error a message of another kind
    async *listNumbers() {
      yield { num: 1 };
    },
  });
  mount(server, service, {
    async *listNumbers(request) {
      // @ts-expect-error the request has no such field
      yield response.setNum(request.getMin());
    },
  });
  mount(server, withKinds, {
    async *listNumbers(request) {
      // @ts-expect-error the request has no such field
      yield response.setNum(request.getMin());
    },
  });
  mount(server, service, {
    // @ts-expect-error the service has no such method
    async *listNumbrs() {},
  });
  mount(server, withKinds, {
    // @ts-expect-error the service has no such method
    async *listNumbrs() {},
  });
}

export function wrapped(
  server: grpc.Server,
  service: NumberService,
  handler: grpc.handleServerStreamingCall<NumberRequest, NumberResponse>,
  other: grpc.handleServerStreamingCall<NumberResponse, NumberResponse>,
  getNumber: grpc.handleUnaryCall<NumberRequest, NumberResponse>,
): void {
  mount(server, service, { listNumbers: wrap(handler) });
  mount(server, service, { getNumber: plain(getNumber) });
  // @ts-expect-error the types do not tell that it is one for a unary method
  mount(server, service, { getNumber });
  // @ts-expect-error a handler of another request
  mount(server, service, { listNumbers: wrap(other) });
}
