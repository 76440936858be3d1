/** Definitions that say nothing of their methods: what is loaded without generated types. Checked, never run. */
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { type Call, type Method, type Methods, type Middleware, mount, plain, produce, wrap } from 'leat';
import { expectType } from './expect-type.ts';

const loaded = grpc.loadPackageDefinition(loadSync('number_service.proto'));
const { NumberService } = loaded.tutorial as { NumberService: grpc.ServiceClientConstructor };
const { service } = (loaded as any).tutorial.NumberService;

/** What an application has around `mount`. */
export function around<D extends object>(
  server: grpc.Server,
  definition: D,
  methods: Methods<D>,
  ...middleware: Middleware[]
): void {
  mount(server, definition, methods, ...middleware);
}

export function inMount(server: grpc.Server, handlers: grpc.UntypedServiceImplementation): void {
  mount(server, NumberService.service, {
    async *listNumbers({ max }, { signal }) {
      expectType<AbortSignal>()(signal);
      for (let num = 1; num <= max; num++) yield { num };
    },
  });
  mount(server, service, {
    async *listNumbers({ max }, call) {
      expectType<Call<any>>()(call);
      for (let num = 1; num <= max; num++) yield { num };
    },
    getNumber: plain((call: grpc.ServerUnaryCall<any, any>, done: grpc.sendUnaryData<any>) => {
      done(null, { num: call.request.max });
    }),
  });
  mount(server, service as grpc.ServiceDefinition, { listNumbers: ({ max }) => [{ num: max }] });
  mount(server, NumberService.service, {
    listNumbers: produce(function* ({ max }: { max: number }) {
      yield { num: max };
    }),
    listWords: wrap((stream: grpc.ServerWritableStream<object, string>) => stream.end()),
  });
  const sources: Methods<grpc.ServiceDefinition> = {};
  expectType<Record<string, unknown>>()(sources as Record<string, unknown>);
  const source: Method<{ max: number }, number> = ({ max }) => [max];
  sources.listNumbers = source;
  mount(server, NumberService.service, sources);

  // @ts-expect-error a path is no definition
  mount(server, 'number_service.proto', {});
  // @ts-expect-error no source
  mount(server, service, { listNumbers: 5 });
  // @ts-expect-error nor is a list of messages
  mount(server, NumberService.service, { listNumbers: [1] });
  // @ts-expect-error nor is a handler, without `wrap` or `plain`
  mount(server, NumberService.service, handlers);
}
