import { middleware as made } from './made.ts';
import { report } from './report.ts';
import type { Call, Kind, Middleware } from './types.ts';

/** The kind of a method, by what its definition says. */
export function kindOfMethod(requestStream: boolean, responseStream: boolean): Kind {
  if (requestStream) return responseStream ? 'bidi' : 'clientStream';
  return responseStream ? 'serverStream' : 'unary';
}

/** Whether a call is answered with one message. */
export function answersOnce({ kind }: Pick<Call, 'kind'>): boolean {
  return kind === 'unary' || kind === 'clientStream';
}

/** What a client reads where a developer is told more. */
export const NO_ANSWER = 'the method has no answer';

/** By name, as there may be a second copy of this package. */
const streaming: unique symbol = Symbol.for('leat.streaming') as never;

/** Says that a middleware, by this name, does nothing for calls that are answered with one message. */
export function forStreams<M extends Middleware>(name: string, middleware: M): M {
  return Object.assign(made(middleware), { [streaming]: name });
}

/**
 * One that concerns streams may stand in the list of a whole service; on a method by name it would do nothing.
 * @throws TypeError that names both.
 */
export function checkPlace(
  list: readonly Middleware[],
  method: { path: string; responseStream?: boolean },
): void {
  if (method.responseStream !== false) return;
  for (const middleware of list) {
    const name = nameOf(middleware);
    if (name !== undefined)
      throw new TypeError(
        `Expected \`${name}\` to stand on a method whose response is a stream, and \`${method.path}\` answers with one message`,
      );
  }
}

/**
 * For a handler that is made alone: of which kind its method is shows when it is called. Answers whom to show a call to,
 * if there is one in its list that concerns streams only: that it does nothing is reported, once.
 */
export function placeWatch(list: readonly Middleware[]): ((call: Call) => void) | undefined {
  if (list.every(middleware => nameOf(middleware) === undefined)) return undefined;
  let told = false;
  return call => {
    if (told || !answersOnce(call)) return;
    told = true;
    try {
      checkPlace(list, { path: call.path, responseStream: false });
    } catch (error) {
      report(error, call);
    }
  };
}

function nameOf(middleware: Middleware): string | undefined {
  return (middleware as { [streaming]?: string })[streaming];
}
