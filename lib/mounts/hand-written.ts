import { expected, isClass } from '../check.ts';
import { isMaker, isMiddleware } from '../made.ts';
import { type Code, codeOf } from '../run/code.ts';
import { isGenerator, partsOf } from './handler.ts';

/** What a handler does with its call: a request has no such methods. */
const WAYS = new Set(['write', 'emit', 'end', 'on', 'once', 'pipe', 'sendMetadata']);

/**
 * What a function does that only a handler of grpc-js can do, such as `call.write()`, as far as its text shows: a
 * request has no such methods, and a call of ours is no callback. Nothing when it does not show beyond doubt.
 */
function handlersWay(method: (...args: never[]) => unknown): string | undefined {
  const code = codeOf(method);
  if (code === undefined) return undefined;
  const [first, second, ...more] = code.params;
  // With a default, what is called might be that.
  if (more.length > 0 || code.head.includes('=')) return undefined;
  const way = returns(code, [first, second]) ? undefined : usedBy(code, first, true);
  return way ?? usedBy(code, second, false);
}

/** Whether it returns more than what it calls: a request of bytes, or of a class, might have methods of such names. */
function returns({ body, tokens }: Code, names: readonly (string | undefined)[]): boolean {
  return tokens.some((token, index) => {
    const arrow = index === body && token === '=>' && tokens[index + 1] !== '{';
    if (!arrow && (token !== 'return' || tokens[index - 1] === '.')) return false;
    const [value = '', point, way = ''] = tokens.slice(index + (tokens[index + 1] === 'await' ? 2 : 1));
    const called = names.includes(value) && (point === '(' || WAYS.has(way));
    return !called && !/^(?:;|\}|void)$/.test(value);
  });
}

/**
 * Refuses a handler of grpc-js where a method is expected, where that shows; one that does not is told of at its first
 * call.
 */
export function checkMethod(name: string, list: string, method: (...args: never[]) => unknown): void {
  checkCallable(name, 'a method', list, method);
  const way = partsOf(method) || isGenerator(method) ? undefined : handlersWay(method);
  if (way !== undefined)
    throw new TypeError(
      `Expected \`${name}\` to be a method, got a handler of grpc-js, as it calls \`${way}\`: it goes in by \`wrap(handler)\``,
    );
}

/**
 * Refuses functions that answer no call: a class, and a middleware, which comes behind them.
 * @param list how the list of those begins, such as `wrap(handler`.
 */
export function checkCallable(
  name: string,
  what: string,
  list: string,
  value: { readonly name: string },
): void {
  if (isMaker(value) || isMiddleware(value))
    throw new TypeError(
      `Expected \`${name}\` to be ${what}, got the middleware \`${value.name}\`: it comes after that, \`${list}, ${value.name}())\``,
    );
  if (isClass(value)) throw expected(name, `${what}, not a class`, value);
}

/** What a function does with one of its parameters: calls a method of it that is of a handler, or calls itself. */
function usedBy(code: Code, name: string | undefined, methods: boolean): string | undefined {
  const { body, tokens } = code;
  let used: string | undefined;
  for (let index = body; name && index < tokens.length; index++) {
    if (tokens[index] !== name || /^\??\.$/.test(tokens[index - 1] as string)) continue;
    // Where there might be another of that name, it might be that one.
    if (isOther(code, index)) return undefined;
    const method = methods && tokens[index + 1] === '.' ? tokens[index + 2] : undefined;
    if (method !== undefined && WAYS.has(method) && isCalled(code, index + 2)) used ??= `${name}.${method}()`;
    if (!methods && isCalled(code, index)) used ??= `${name}()`;
  }
  return used;
}

/** A method that is defined reads as a call does, but that its body follows. */
function isCalled({ pairs, tokens }: Code, index: number): boolean {
  return tokens[index + 1] === '(' && tokens[(pairs.get(index + 1) as number) + 1] !== '{';
}

/** Before a name that is declared, or that is asked what it is. */
const DECLARES = /^(?:const|let|var|function|class|typeof|new)$/;
const ASSIGNS = /^(?:[^=!<>]*=|of|in)$/;
/** Before brackets that declare nothing, though a block follows. */
const CONTROLS = /^(?:if|while|for|await|switch|with)$/;

/** Whether a name might be declared or assigned here: as a variable, as a parameter, or in a pattern of those. */
function isOther(code: Code, index: number): boolean {
  const { body, pairs, tokens } = code;
  const before = tokens[index - 1] as string;
  const after = tokens[index + 1] as string;
  if (DECLARES.test(before) || ASSIGNS.test(after) || /^(?:=>|instanceof)$/.test(after)) return true;
  if (after === '(') return before === '*' && !isCalled(code, index);
  if (/^(?:\.|\?\.|\[|:)$/.test(after)) return false;
  let inner = true;
  for (let at = index - 1; at >= body - 1; at--) {
    const closed = pairs.get(at);
    if (closed === undefined) continue;
    if (closed < at) {
      at = closed;
      continue;
    }
    const [opening, control, next] = [tokens[at], tokens[at - 1] as string, tokens[closed + 1] as string];
    if (ASSIGNS.test(next) || (opening === '(' && next === '=>')) return true;
    if (opening === '(' && next === '{' && !CONTROLS.test(control)) return true;
    // Of several variables, or of what is no more than a list.
    if (inner && before === ',' && (opening === '{' || control === 'for')) return true;
    inner = false;
  }
  return inner && before === ',';
}
