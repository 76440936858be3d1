/** Middleware that makes messages, against the messages of the service. Checked, never run. */
import type { handleServerStreamingCall, Server } from '@grpc/grpc-js';
import { compose, type Middleware, mount, only, produce, wrap } from 'leat';
import { batch } from 'leat/batch';
import { checksum } from 'leat/checksum';
import { heartbeat } from 'leat/heartbeat';
import { tracing } from 'leat/tracing';
import type { Feature } from '../../proto/generated/book/v1/Feature.ts';
import type { ProtoGrpcType } from '../../proto/generated/route_book.ts';
import type { NumberServiceDefinition } from '../../proto/generated/tutorial/NumberService.ts';
import { expectType } from './expect-type.ts';
import { NumberServiceService } from './ts-proto.ts';

export function inMount(server: Server, service: NumberServiceDefinition): void {
  const listNumbers = () => [{ num: 1 }];
  mount(server, service, { listNumbers }, tracing(), heartbeat({ make: () => ({}) }));
  mount(server, service, { listNumbers }, heartbeat({ make: ({ path }) => ({ num: path.length }) }));
  mount(
    server,
    service,
    { listNumbers: ({ max }) => [{ num: max }] },
    batch({
      merge: messages => ({ num: messages.reduce((sum, { num = 0 }) => sum + num, 0) }),
      size: ({ num }) => {
        expectType<number | undefined>()(num);
        return 1;
      },
    }),
  );
  mount(server, service, { listNumbers }, (_call, next) => ({
    message(message) {
      expectType<number | undefined>()(message.num);
      next.message({ num: 2 });
    },
  }));
  mount(server, service, { listNumbers }, compose(tracing(), heartbeat({ make: () => ({ num: 1 }) })));

  // @ts-expect-error a message with a wrong field
  mount(server, service, { listNumbers }, heartbeat({ make: () => ({ num: 'one' }) }));
  // @ts-expect-error a message with no field of the service's
  mount(server, service, { listNumbers }, heartbeat({ make: () => ({ nmu: 1 }) }));
  // @ts-expect-error no message
  mount(server, service, { listNumbers }, heartbeat({ make: () => 5 }));
  // @ts-expect-error the second one, too
  mount(server, service, { listNumbers }, tracing(), heartbeat({ make: () => ({ num: 'one' }) }));
  // @ts-expect-error a message with a wrong field
  mount(server, service, { listNumbers }, batch({ merge: () => ({ num: 'one' }) }));
  mount(
    server,
    service,
    { listNumbers },
    // @ts-expect-error messages have no such field
    batch({ merge: messages => ({ num: messages[0]?.count }) }),
  );
  // @ts-expect-error messages have no such field
  mount(server, service, { listNumbers }, checksum({ bytes: ({ count }) => Buffer.from(`${count}`) }));
  mount(server, service, { listNumbers }, (_call, next) => ({
    // @ts-expect-error a message with a wrong field
    message: () => next.message({ num: 'one' }),
  }));
}

/** Where the fields of a message are needed, those of a heartbeat are, too. */
export function needed(server: Server): void {
  mount(server, NumberServiceService, {}, heartbeat({ make: () => ({ num: 0 }) }));
  // @ts-expect-error no field
  mount(server, NumberServiceService, {}, heartbeat({ make: () => ({ count: 0 }) }));
}

/** Of several methods, a middleware has the messages of all. */
export function several(server: Server, { RouteBook }: ProtoGrpcType['book']['v1']): void {
  mount(server, RouteBook, {}, heartbeat({ make: () => ({ textLine: 'still here' }) }));
  mount(server, RouteBook, {}, batch({ merge: (features: Feature[]) => ({ name: `${features.length}` }) }));
  const onlyOne = only(
    call => call.path.endsWith('/ListFeatures'),
    heartbeat({ make: () => ({ name: '' }) }),
  );
  mount(server, RouteBook, {}, onlyOne);
  // @ts-expect-error there is no such value
  mount(server, RouteBook, {}, heartbeat({ make: () => ({ surface: 'SURFACE_ICE' }) }));
  // @ts-expect-error none has such a field
  mount(server, RouteBook, {}, heartbeat({ make: () => ({ alive: true }) }));
}

export function elsewhere(handler: handleServerStreamingCall<{ max: number }, { num: number }>): void {
  const source = ({ max }: { max: number }) => [{ num: max }];
  produce(source, heartbeat({ make: () => ({ num: 0 }) }));
  wrap(handler, heartbeat({ make: () => ({ num: 0 }) }));
  wrap({ listNumbers: handler }, heartbeat({ make: () => ({ num: 0 }) }));
  const beat: Middleware<any, { num: number }> = heartbeat({ make: () => ({ num: 0 }) });
  wrap({ listNumbers: handler }, tracing(), beat);
  // @ts-expect-error a message with a wrong field
  produce(source, heartbeat({ make: () => ({ num: 'one' }) }));
  // @ts-expect-error a message with a wrong field
  wrap(handler, heartbeat({ make: () => ({ num: 'one' }) }));
  // @ts-expect-error a message with a wrong field
  wrap({ listNumbers: handler }, heartbeat({ make: () => ({ num: 'one' }) }));
}
