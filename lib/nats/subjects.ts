import { expected } from '../check.ts';

const LITERAL = /^[^\s.*>]+(\.[^\s.*>]+)*$/;
const PATTERN = /^(\*|>|[^\s.*>]+)(\.(\*|>|[^\s.*>]+))*$/;

/** NATS ends a connection on which a line is longer than 4 KB, and a subject is a part of it. */
const MAX_CHARS = 1024;
const SHORT = `of at most ${MAX_CHARS} characters`;

/** Whether a text comes out of NATS as it went in: half a character would be like any other half. */
export function isExact(text: string): boolean {
  return !/[\p{Cc}\p{Cs}]/u.test(text);
}

/** So much of what is too long as an error can show. */
export function cut(value: unknown): unknown {
  return typeof value === 'string' && value.length > 80 ? `${value.slice(0, 80)}…` : value;
}

function is(pattern: RegExp, value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_CHARS && pattern.test(value) && isExact(value);
}

/** A subject to publish to. */
export function checkSubject(name: string, value: unknown): void {
  if (!is(LITERAL, value)) throw expected(name, `a subject of NATS without wildcards, ${SHORT}`, cut(value));
}

/** Subjects to read, in which `*` stands for one word and `>` for all that follow. */
export function checkSubjects(name: string, values: readonly unknown[]): void {
  if (values.length === 0) throw expected(name, 'at least one subject of NATS', values);
  for (const value of values)
    if (!is(PATTERN, value) || /(^|\.)>\./.test(value))
      throw expected(name, `a subject of NATS, ${SHORT}`, cut(value));
  const texts = values as readonly string[];
  for (const [index, text] of texts.entries())
    if (texts.slice(0, index).some(other => overlap(other, text)))
      throw expected(name, 'subjects of which none matches what another one does', text);
}

/** Whether there are subjects that both patterns match. */
export function overlap(one: string, other: string): boolean {
  return meet(one.split('.'), other.split('.'));
}

function meet([one, ...rest]: string[], [other, ...others]: string[]): boolean {
  if (one === undefined || other === undefined) return one === other;
  if (one === '>' || other === '>') return true;
  return (one === other || one === '*' || other === '*') && meet(rest, others);
}

/** Whether a pattern matches all that another one matches. */
export function covers(pattern: string, other: string): boolean {
  const words = pattern.split('.');
  const others = other.split('.');
  for (const [index, word] of words.entries()) {
    if (word === '>') return others.length > index;
    if (others[index] === '>') return false;
    if (word !== '*' && word !== others[index]) return false;
    if (word === '*' && others[index] === undefined) return false;
  }
  return others.length === words.length;
}

/** The pattern of all subjects that a transformation of NATS makes: `{{wildcard(1)}}` and `$1` stand for a word. */
export function madeBy(destination: string): string {
  const words: string[] = [];
  for (const word of destination.split(/\.(?![^{]*\}\})/)) {
    // These make several words of one.
    if (/\{\{\s*(split|slice)/i.test(word)) return [...words, '>'].join('.');
    words.push(/\{\{|\$\d/.test(word) ? '*' : word);
  }
  return words.join('.');
}
