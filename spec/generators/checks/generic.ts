/** ts-proto's generic definitions, as nice-grpc takes them: refused, with the way out. */
import type { Server } from '@grpc/grpc-js';
import { mount } from 'leat';
import { RouteBookDefinition } from '../generated/ts-proto-generic/route_book.ts';

export function typed(server: Server): void {
  // @ts-expect-error ts-proto has to generate another one
  mount(server, RouteBookDefinition, {});
}

export const refused = { RouteBookDefinition };
