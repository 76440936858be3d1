import { partsOf } from './handler.ts';

/** A function whose parameters can be read: of its first two, those that are plain names. */
const HEAD =
  /^(?:async\s+)?(?:function\s*)?[\w$]*\s*\(\s*(?<first>[\w$]+)\s*(?:,\s*(?<second>[\w$]+)\s*)?\)|^(?:async\s+)?(?<only>[\w$]+)\s*=>/;

/** What is no code of it: strings and comments. */
const NO_CODE = /\/\*[\s\S]*?\*\/|\/\/.*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;

/**
 * What a function does that only a handler of grpc-js can do, such as `call.write()`, as far as its text shows: a
 * request has no such methods, and a call of ours is no callback. Nothing when it does not show.
 */
function handlersWay(method: (...args: never[]) => unknown): string | undefined {
  const code = Function.prototype.toString.call(method).replace(NO_CODE, "''");
  const { first, second, only } = code.match(HEAD)?.groups ?? {};
  return (
    usedBy(code, first ?? only, '\\.(?:write|emit|end|on|once|pipe|sendMetadata)') ?? usedBy(code, second, '')
  );
}

/**
 * Refuses a handler of grpc-js where a method is expected, where that shows; one that does not is told of at its first
 * call.
 */
export function checkMethod(name: string, method: (...args: never[]) => unknown): void {
  const way = partsOf(method) ? undefined : handlersWay(method);
  if (way !== undefined)
    throw new TypeError(
      `Expected \`${name}\` to be a method, got a handler of grpc-js, as it calls \`${way}\`: it goes in by \`wrap(handler)\``,
    );
}

function usedBy(code: string, name: string | undefined, way: string): string | undefined {
  if (name === undefined) return undefined;
  const word = `(?<![\\w$.])${name.replaceAll('$', '\\$')}(?![\\w$])`;
  // Where there is another of that name, it might be that one.
  const bound = [
    `${word}\\s*=>`,
    `(?:const|let|var|function|class|catch\\s*\\()\\s+${word}`,
    `[(,{[]\\s*${word}[\\w$\\s,:=.\\]}[{]*\\)\\s*(?:=>|\\{)`,
  ];
  const body = code.slice(code.search(/\)\s*(?:=>|\{)|=>/));
  if (bound.some(pattern => new RegExp(pattern).test(body.slice(1)))) return undefined;
  const used = body.match(new RegExp(`${word}${way}\\s*\\(`));
  return used ? `${used[0].replace(/\s*\($/, '')}()` : undefined;
}
