/** A definition as ts-proto makes it, which says of which kind each method is. Checked, never run. */
import type { handleUnaryCall, Server } from '@grpc/grpc-js';
import { mount, produce, wrap } from 'leat';
import { expectType } from './expect-type.ts';

interface NumberRequest {
  max: number;
}

interface NumberResponse {
  num: number;
}

export const NumberServiceService = {
  listNumbers: {
    path: '/tutorial.NumberService/ListNumbers',
    requestStream: false as const,
    responseStream: true as const,
    requestSerialize: (value: NumberRequest): Buffer => Buffer.from(JSON.stringify(value)),
    requestDeserialize: (value: Buffer): NumberRequest => JSON.parse(value.toString()),
    responseSerialize: (value: NumberResponse): Buffer => Buffer.from(JSON.stringify(value)),
    responseDeserialize: (value: Buffer): NumberResponse => JSON.parse(value.toString()),
  },
  getNumber: {
    path: '/tutorial.NumberService/GetNumber',
    requestStream: false as const,
    responseStream: false as const,
    requestSerialize: (value: NumberRequest): Buffer => Buffer.from(JSON.stringify(value)),
    requestDeserialize: (value: Buffer): NumberRequest => JSON.parse(value.toString()),
    responseSerialize: (value: NumberResponse): Buffer => Buffer.from(JSON.stringify(value)),
    responseDeserialize: (value: Buffer): NumberResponse => JSON.parse(value.toString()),
  },
} as const;

const getNumber: handleUnaryCall<NumberRequest, NumberResponse> = (call, done) =>
  done(null, { num: call.request.max });

export function inMount(server: Server): void {
  mount(server, NumberServiceService, {
    async *listNumbers(request, call) {
      expectType<NumberRequest>()(request);
      expectType<AbortSignal>()(call.signal);
      yield { num: request.max };
    },
    getNumber: ({ max }) => ({ num: max }),
  });
  mount(server, NumberServiceService, { getNumber: wrap(getNumber) });
  mount(server, NumberServiceService, { listNumbers: ({ max }) => [{ num: max }] });
  mount(server, NumberServiceService, {
    listNumbers: produce(function* ({ max }: NumberRequest) {
      yield { num: max };
    }),
  });
  mount(server, NumberServiceService, {
    listNumbers: wrap(
      (stream: import('@grpc/grpc-js').ServerWritableStream<NumberRequest, NumberResponse>) => {
        stream.write({ num: stream.request.max });
        stream.end();
      },
    ),
  });

  mount(server, NumberServiceService, {
    // @ts-expect-error a message with a wrong field
    async *listNumbers() {
      yield { num: 'one' };
    },
  });
  mount(server, NumberServiceService, {
    // @ts-expect-error a message with no field
    async *listNumbers() {
      yield {};
    },
  });
  mount(server, NumberServiceService, {
    // @ts-expect-error the request has no such field
    async *listNumbers({ min }) {
      yield { num: min };
    },
  });
  mount(server, NumberServiceService, {
    // @ts-expect-error the service has no such method
    async *listNumbrs() {},
  });
  mount(server, NumberServiceService, {
    // @ts-expect-error a unary method is no source
    getNumber: ({ max }: NumberRequest) => [{ num: max }],
  });
  mount(server, NumberServiceService, {
    // @ts-expect-error a server-streaming method is no handler
    listNumbers: getNumber,
  });
  mount(server, NumberServiceService, {
    // @ts-expect-error a handler goes in by `wrap`
    getNumber,
  });
}
