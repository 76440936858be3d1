import { parseArgs } from 'node:util';
import type { Example, Run } from './example.ts';

type Values = Record<string, unknown>;

/** A command line that cannot be followed. */
export class UsageError extends Error {}

/** The flags of a command line. */
export function read(options: Example['flags'], args: string[]): Values {
  try {
    return parseArgs({ args, options, strict: true }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** A flag that is a number from `min` up. */
export function numberOf(values: Values, flag: string, min = 0): number {
  const text = String(values[flag] ?? '').trim();
  const number = Number(text);
  if (text === '' || !(number >= min))
    throw new UsageError(`Expected --${flag} to be a number from ${min} up, got '${text}'`);
  return number;
}

/** What a client is given, from its flags. */
export function runOf(address: string, values: Values, print: (line: string) => void): Run {
  return {
    address,
    print,
    text: flag => String(values[flag] ?? ''),
    number: (flag, min) => numberOf(values, flag, min),
    on: flag => values[flag] === true,
  };
}
