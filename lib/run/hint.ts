/** What a handler of grpc-js does with its call, which a request has not. */
const OF_A_HANDLER = /\.(on|once|emit|pipe|read|write|end|sendMetadata|getPeer) is not a function$/;

/** What a handler of grpc-js that was given unwrapped fails with, said so that its developer knows; or what was thrown. */
export function hinted(error: unknown): unknown {
  return failsBy(OF_A_HANDLER, error) ? withHint(error) : error;
}

/** What is called in place of a function, such as that function bound, shows none of its text. */
const originals = new WeakMap<object, object>();

export function inPlaceOf<F extends object>(original: object, made: F): F {
  originals.set(made, original);
  return made;
}

/**
 * A handler that was given unwrapped finds a call where its callback should be: what it calls by the name of its second
 * parameter, or hands on to others that call it, is no function. Whatever else is none is a bug like any other.
 */
export function missesCallback(error: unknown, method: object): error is TypeError {
  if (!failsBy(/^\S+ is not a function$/, error)) return false;
  const [called = ''] = error.message.split(' ');
  const text = textOf(originals.get(method) ?? method);
  const second = HIDDEN.test(text) ? 'callback' : secondParameter(text);
  return second === called || (CALLBACK.test(called) && CALLBACK.test(second));
}

/** The text of a function that was bound by somebody else, or stands behind a Proxy. */
const HIDDEN = /\{\s*\[native code\]\s*\}$/;

/** How most handlers call it. */
const CALLBACK = /^(callback|cb)$/;

function textOf(method: object): string {
  return Function.prototype.toString.call(method).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
}

/** Its name, or none. */
function secondParameter(text: string): string {
  let depth = 0;
  for (const { 0: sign, index } of text.matchAll(/=>|[([{,}\])]/g)) {
    if ('([{'.includes(sign)) depth += 1;
    else if (depth === 1 && sign === ',') return /^\s*([^\s=,)]+)/.exec(text.slice(index + 1))?.[1] ?? '';
    else if (')]}'.includes(sign)) depth -= 1;
    // One parameter, without parentheses or within them.
    if (depth === 0 && /[=)]/.test(sign)) return '';
  }
  return '';
}

export function withHint(error: TypeError): TypeError {
  const message = `${error.message}; a handler of grpc-js goes in by \`wrap(handler)\``;
  const told = new TypeError(message, { cause: error });
  // The mistake is where it was thrown, not here.
  if (error.stack) told.stack = error.stack.replace(error.message, () => message);
  return told;
}

function failsBy(message: RegExp, error: unknown): error is TypeError {
  try {
    return error instanceof TypeError && message.test(error.message);
  } catch {
    // What was thrown may throw when it is looked at.
    return false;
  }
}
