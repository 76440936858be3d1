/** What `proto-loader-gen-types` makes: types flow from the definition into the sources. Checked, never run. */
import type { Server, ServerWritableStream } from '@grpc/grpc-js';
import { type Call, mount, produce, wrap } from 'leat';
import type { NumberResponse } from '../../proto/generated/tutorial/NumberResponse.ts';
import type {
  NumberServiceDefinition,
  NumberServiceHandlers,
} from '../../proto/generated/tutorial/NumberService.ts';
import { expectType } from './expect-type.ts';

export function inMount(server: Server, service: NumberServiceDefinition): void {
  mount(server, service, {
    async *listNumbers(request, call) {
      // The request is as the server reads it: no field is missing.
      expectType<number>()(request.max);
      expectType<Call<typeof request>>()(call);
      expectType<AbortSignal>()(call.signal);
      yield { num: request.max };
      // A message is as the server writes it: every field may be left out.
      yield {};
    },
  });
  mount(server, service, {
    *ListNumbers({ max }) {
      yield { num: max };
    },
  });
  mount(server, service, { listNumbers: ({ max }) => [{ num: max }] });
  mount(server, service, { listNumbers: async ({ max }) => [{ num: max }] });
  mount(server, service, {
    listNumbers: ({ max }) => ({
      subscribe(observer) {
        observer.next({ num: max });
        return () => {};
      },
    }),
  });
  mount(server, service, {});

  mount(server, service, {
    // @ts-expect-error a message with a wrong field
    async *listNumbers() {
      yield { num: 'one' };
    },
  });
  mount(server, service, {
    // @ts-expect-error a message with no field of the method's
    listNumbers: () => [{ value: 1 }],
  });
  mount(server, service, {
    // @ts-expect-error no stream
    listNumbers: () => 5,
  });
  mount(server, service, {
    // @ts-expect-error the request has no such field
    async *listNumbers({ min }) {
      yield { num: min };
    },
  });
  mount(server, service, {
    // @ts-expect-error the service has no such method
    async *listNumbrs() {},
  });
  // @ts-expect-error not a source
  mount(server, service, { listNumbers: 5 });
  // @ts-expect-error nor is a list of messages
  mount(server, service, { listNumbers: [1] });
  mount(server, service, {
    // @ts-expect-error nor is a handler
    listNumbers: (call: ServerWritableStream<any, any>) => {
      call.end();
    },
  });
  // @ts-expect-error not a server
  mount({}, service, {});
}

/** Nobody calls it: what is a value here stands for what an application has. */
export function classes(server: Server, service: NumberServiceDefinition): void {
  class Numbers {
    readonly step = 1;
    helper(num: number) {
      return { num: num * this.step };
    }
    async *listNumbers({ max }: { max: number }): AsyncGenerator<NumberResponse> {
      yield this.helper(max);
    }
  }
  mount(server, service, new Numbers());

  class Wrong {
    async *listNumbers({ max }: { max: string }): AsyncGenerator<NumberResponse> {
      yield { num: max.length };
    }
  }
  // @ts-expect-error its request is another
  mount(server, service, new Wrong());
}

export function made(
  server: Server,
  service: NumberServiceDefinition,
  handlers: NumberServiceHandlers,
): void {
  mount(server, service, {
    listNumbers: produce(async function* ({ max }: { max: number }) {
      yield { num: max };
    }),
  });
  mount(server, service, { listNumbers: wrap(handlers.ListNumbers) });
  mount(server, service, {
    // @ts-expect-error its messages are others
    listNumbers: produce(async function* ({ max }: { max: number }) {
      yield { value: max };
    }),
  });

  // In an implementation of grpc-js, the handler says what its source gets.
  const implementation: NumberServiceHandlers = {
    ListNumbers: produce(async function* (request) {
      expectType<number>()(request.max);
      yield { num: request.max };
    }),
  };
  server.addService(service, implementation);
  server.addService(service, wrap(implementation));
  expectType<NumberServiceHandlers>()(wrap(implementation));
  const wrong: NumberServiceHandlers = {
    // @ts-expect-error a message with a wrong field
    ListNumbers: produce(async function* () {
      yield { num: 'one' };
    }),
  };
  void wrong;
}
