/** What TypeScript 5.4 takes for any text, and not for the one it is: there it needs `as const`. Checked, never run. */
import type { Server } from '@grpc/grpc-js';
import { mount } from 'leat';
import { heartbeat } from 'leat/heartbeat';
import type { ProtoGrpcType } from '../../proto/generated/route_book.ts';

export function several(server: Server, { RouteBook }: ProtoGrpcType['book']['v1']): void {
  mount(server, RouteBook, {}, heartbeat({ make: () => ({ surface: 'SURFACE_GRAVEL' }) }));
}
