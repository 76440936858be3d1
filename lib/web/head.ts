import type { WebResponse } from './transport.ts';

export type Headers = Readonly<Record<string, string | readonly string[]>>;

/** Lists of names: who stands before us, the method and we each name what they know. */
const NAMES = ['vary', 'access-control-expose-headers'];

/** Headers that come once for each of those who set one. */
const REPEATED = ['set-cookie', 'link'];

/** Sends the head of a response. What is no list is as the last part says; a list has what all say of it. */
export function writeHead(response: WebResponse, code: number, ...parts: readonly Headers[]): void {
  const all: Record<string, string | readonly string[]> = Object.assign({}, ...parts);
  const said = (name: string) =>
    [response.getHeader(name), ...parts.map(part => part[name])].flat().filter(value => value !== undefined);
  for (const name of NAMES) if (name in all) all[name] = namesOf(said(name).join());
  for (const name of REPEATED) if (name in all) all[name] = said(name).map(String);
  // As one of two types, its overloads are told apart by nobody.
  (response as { writeHead(code: number, headers: object): unknown }).writeHead(code, all);
}

/** Each name once, in whatever case. */
function namesOf(list: string): string {
  const names = new Map<string, string>();
  for (const name of list.split(',').map(text => text.trim()))
    if (name !== '' && !names.has(name.toLowerCase())) names.set(name.toLowerCase(), name);
  return names.has('*') ? '*' : [...names.values()].join(', ');
}
