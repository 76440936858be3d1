import type { Attributes } from '@opentelemetry/api';
import { checkFunction, expected } from '../../lib/check.ts';
import { answerOf } from '../../lib/hooks.ts';
import type { Call } from '../../lib/types.ts';
import { type Key, key } from '../../lib/values.ts';
import type { Safely } from './guard.ts';

/** What spans, metrics and events of ours are signed with. */
export const scope: { readonly name: string; readonly version: string; readonly schemaUrl: string } = {
  name: 'leat',
  version: '0.1.0',
  schemaUrl: 'https://opentelemetry.io/schemas/1.45.0',
};

/** Until 0.2.0: `filter` was an option of both middleware. */
export function refuseFilter(options: object, middleware: string): void {
  if ('filter' in Object(options))
    throw new TypeError(
      `\`filter\` of \`${middleware}()\` is gone: \`only(match, ${middleware}())\` picks calls, those of health and reflection are left out`,
    );
}

/** What the user adds to the attributes of a call. */
export function attributesFrom(
  name: string,
  hook: ((call: Call) => Attributes) | undefined,
  call: Call,
  safely: Safely,
): Attributes | undefined {
  // Copied here, where an accessor that throws is caught.
  return (
    hook && safely(name, () => ({ ...answerOf(name, 'attributes', hook(call), areAttributes) }), undefined)
  );
}

function areAttributes(answer: unknown): answer is Attributes | undefined {
  return answer === undefined || (typeof answer === 'object' && answer !== null && !Array.isArray(answer));
}

/** Leaves out what infrastructure asks all day long. */
export function isOfInterest({ path }: Call): boolean {
  return !path.startsWith('/grpc.health.v1.Health/') && !path.startsWith('/grpc.reflection.');
}

/** Checks the options that both middleware have. */
export function checkHooks(hooks: Readonly<Record<string, unknown>>): void {
  for (const [name, hook] of Object.entries(hooks)) if (hook !== undefined) checkFunction(name, hook);
}

/** Without the method that it is for, a provider would do nothing, in silence. */
export function checkProvider(name: string, provider: unknown, method: string): void {
  if (provider !== undefined && typeof (provider as Record<string, unknown> | null)?.[method] !== 'function')
    throw expected(name, `a provider that has \`${method}\``, provider);
}

/** What one RPC carries, seen from all mounts that it passes: not by its metadata, which many may share, or none. */
export class PerCall<T> {
  private readonly key: Key<T>;

  constructor(name: string) {
    this.key = key(name);
  }

  get({ values }: Call): T | undefined {
    return values.has(this.key) ? values.get(this.key) : undefined;
  }

  set({ values }: Call, value: T): void {
    values.set(this.key, value);
  }
}
