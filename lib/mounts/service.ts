import type { ServiceDefinition } from '@grpc/grpc-js';
import { expected } from '../check.ts';
import { foreign, isMethod } from '../foreign.ts';

/**
 * The service that a definition, or a client class, stands for.
 * @throws TypeError that names what was given, and says what to give instead.
 */
export function serviceOf(definition: unknown): ServiceDefinition {
  const service: unknown = typeof definition === 'function' ? Reflect.get(definition, 'service') : definition;
  const methods = typeof service === 'object' && service !== null ? Object.entries(service) : [];
  if (methods.some(([, method]) => isMethod(method))) {
    const wrong = methods.find(([, method]) => !isMethod(method));
    if (wrong === undefined) return service as ServiceDefinition;
    throw expected(`definition.${wrong[0]}`, 'the definition of a method', wrong[1]);
  }
  const given = foreign(definition);
  if (given === undefined) throw expected('definition', 'a service definition', definition);
  const { what, instead } = given;
  throw new TypeError(`Expected \`definition\` to be a service definition, got ${what}: give ${instead}`);
}
