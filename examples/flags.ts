import { parseArgs } from 'node:util';
import type { Example, Run } from './example.ts';

type Values = Record<string, unknown>;
export type Flags = Example['flags'];

/** A command line that cannot be followed. */
export class UsageError extends Error {}

/** The flags of a command line. */
export function read(options: Flags, args: string[]): Values {
  try {
    return parseArgs({ args, options, strict: true }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

export function wantsHelp(args: readonly string[]): boolean {
  return args.includes('--help') || args.includes('-h');
}

/** Says how a command is used, and ends the process with 2; anything else goes on being thrown. */
export function usedWrongly(error: unknown, usage: string): never {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n${usage}`);
  process.exit(2);
}

/** A flag that is a number from `min` up. */
export function numberOf(values: Values, flag: string, min = 0): number {
  const text = String(values[flag] ?? '').trim();
  const number = Number(text);
  if (text === '' || !(number >= min) || number === Infinity)
    throw new UsageError(`Expected --${flag} to be a number from ${min} up, got '${text}'`);
  return number;
}

/** A flag that is a port; 0 is any. */
export function portOf(values: Values, flag: string): number {
  const port = numberOf(values, flag);
  if (!Number.isInteger(port) || port > 65_535)
    throw new UsageError(`Expected --${flag} to be a port from 0 to 65535, got '${port}'`);
  return port;
}

/** What a client is given, from its flags. */
export function runOf(address: string, values: Values, print: (line: string) => void): Run {
  return {
    address,
    print,
    progress: print,
    text: flag => String(values[flag] ?? ''),
    number: (flag, min) => numberOf(values, flag, min),
    on: flag => values[flag] === true,
  };
}
