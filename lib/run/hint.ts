import { type AnyFunction, codeOf } from './code.ts';

/** What a handler of grpc-js does with its call, which a request has not. */
const OF_A_HANDLER = /\.(on|once|emit|pipe|read|write|end|sendMetadata|getPeer) is not a function$/;

/** What a handler of grpc-js that was given unwrapped fails with, said so that its developer knows; or what was thrown. */
export function hinted(error: unknown): unknown {
  return failsBy(OF_A_HANDLER, error) ? withHint(error) : error;
}

/**
 * A handler that was given unwrapped finds a call where its callback should be: what it calls by the name of its second
 * parameter, or hands on to others that call it, is no function. Whatever else is none is a bug like any other.
 */
export function missesCallback(error: unknown, method: AnyFunction): error is TypeError {
  if (!failsBy(/^\S+ is not a function$/, error)) return false;
  const [called = ''] = error.message.split(' ');
  // One that was bound by somebody else, or stands behind a Proxy, shows none.
  const [, second = ''] = codeOf(method)?.params ?? ['call', 'callback'];
  return second === called || (CALLBACK.test(called) && CALLBACK.test(second));
}

/** How most handlers call it. */
const CALLBACK = /^(callback|cb)$/;

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
