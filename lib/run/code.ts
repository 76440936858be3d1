/** The text of a function, taken apart. */
export interface Code {
  /** Without comments; each string, regular expression and piece of a template is `''`. */
  readonly tokens: readonly string[];
  /** Of each bracket, where the one is that belongs to it. */
  readonly pairs: ReadonlyMap<number, number>;
  /** The names of its parameters; none for one that is taken apart. */
  readonly params: readonly string[];
  /** What makes up its parameters. */
  readonly head: readonly string[];
  /** Where what follows the parameters begins. */
  readonly body: number;
}

export type AnyFunction = (...args: never[]) => unknown;

const TOKEN =
  /\s+|\/\/.*|\/\*[\s\S]*?\*\/|'(?:\\[\s\S]|[^'\\\n])*'|"(?:\\[\s\S]|[^"\\\n])*"|\d[\w.]*|#?[\w$\u0080-\uffff]+|=>|\?\.(?!\d)|\.\.\.|[=!]==?|(?:\*\*|<<|>>>?|&&|\|\||\?\?|[-+*/%&|^<>])=|\+\+|--|[\s\S]/y;
const REGEXP = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/\w*/y;
/** What of a template follows its start, or something that was put in. */
const PIECE = /(?:\\[\s\S]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/y;

/** What a slash may follow that begins a regular expression; after anything else it divides. */
const BEFORE_REGEXP =
  /^(?:|[^\w$)\]'#\u0080-\uffff]|=>|\.\.\.|\S+=|return|typeof|case|in|of|do|else|void|delete|instanceof|new|throw|yield|await)$/;
const CLOSING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };
const NO_CODE = /^(?:\s|\/[/*])/;
const NAME = /^[\w$\u0080-\uffff]+$/;
const NATIVE = /\{\s*\[native code\]\s*\}$/;

/** What is called in place of a function, such as that function bound, shows none of its text. */
const originals = new WeakMap<object, AnyFunction>();

export function inPlaceOf<F extends AnyFunction>(original: AnyFunction, made: F): F {
  originals.set(made, original);
  return made;
}

/** Takes the text of a function apart. Nothing when it does not show, as of one that is bound, or is not understood. */
export function codeOf(given: AnyFunction): Code | undefined {
  const text = Function.prototype.toString.call(originals.get(given) ?? given);
  const tokens = NATIVE.test(text) ? undefined : tokensOf(text);
  const pairs = tokens && pairsOf(tokens);
  if (!tokens || !pairs) return undefined;
  let from = tokens[0] === 'async' && tokens[1] !== '=>' ? 1 : 0;
  let to: number | undefined = from + 1;
  if (tokens[to] !== '=>') {
    // Its name might be computed.
    for (from = 0; from < tokens.length && tokens[from] !== '('; from++) from = pairs.get(from) ?? from;
    to = pairs.get(from++);
    if (to === undefined) return undefined;
  }
  const params: string[] = [];
  for (let at = from; at < to; at++) {
    const token = tokens[at] as string;
    if (at === from || tokens[at - 1] === ',') params.push(NAME.test(token) ? token : '');
    at = pairs.get(at) ?? at;
  }
  return { tokens, pairs, params, head: tokens.slice(from, to), body: tokens[to] === ')' ? to + 1 : to };
}

function tokensOf(text: string): string[] | undefined {
  const tokens: string[] = [];
  /** What is open: a brace, what was put into a template as `$`, a parenthesis as the word before it. */
  const open: string[] = [];
  /** Whether the last parenthesis was that of an `if` or the like. */
  let control = false;
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const [taken] = pattern.exec(text) ?? [];
    at += taken?.length ?? 0;
    return taken;
  };
  while (at < text.length) {
    const last = tokens.at(-1) ?? '';
    const begins = BEFORE_REGEXP.test(last) || (last === ')' && control);
    if (text[at] === '/' && begins && !NO_CODE.test(text.slice(at, at + 2))) {
      if (take(REGEXP) === undefined) return undefined;
      tokens.push("''");
      continue;
    }
    const token = take(TOKEN) ?? '';
    if (NO_CODE.test(token)) continue;
    if (token === "'" || token === '"') return undefined;
    if (token === '`' || (token === '}' && open.at(-1) === '$')) {
      if (token === '}') {
        open.pop();
        tokens.push(')');
      }
      const piece = take(PIECE);
      if (piece === undefined) return undefined;
      tokens.push("''");
      if (piece.endsWith('`')) continue;
      open.push('$');
      tokens.push('(');
      continue;
    }
    if (token === '{') open.push(token);
    if (token === '(') open.push(last);
    if (token === '}') open.pop();
    if (token === ')') control = /^(?:if|while|for|await|with)$/.test(open.pop() ?? '');
    tokens.push(/^['"]/.test(token) ? "''" : token);
  }
  return tokens;
}

function pairsOf(tokens: readonly string[]): Map<number, number> | undefined {
  const pairs = new Map<number, number>();
  const open: number[] = [];
  for (const [index, token] of tokens.entries()) {
    if (Object.hasOwn(CLOSING, token)) open.push(index);
    if (!/^[)\]}]$/.test(token)) continue;
    const opened = open.pop();
    if (opened === undefined || CLOSING[tokens[opened] as string] !== token) return undefined;
    pairs.set(opened, index).set(index, opened);
  }
  return open.length === 0 ? pairs : undefined;
}
