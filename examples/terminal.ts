import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Colours are for terminals that have some, and for people who want them (`NO_COLOR`). */
export function styled(style: Style, text: string): string {
  return process.stdout.hasColors?.() ? styleText(style, text) : text;
}

export const bold = (text: string): string => styled('bold', text);
export const dim = (text: string): string => styled('dim', text);

/** Lines that replace one another: on a terminal each is written over the one before, elsewhere the last one stays. */
export function progressTo(print: (line: string) => void): { line(text: string): void; end(): void } {
  let last: string | undefined;
  const rewrites = process.stdout.isTTY;
  return {
    line(text) {
      last = text;
      if (rewrites) process.stdout.write(`\r\u001b[K${text}`);
    },
    end() {
      if (last === undefined) return;
      const line = last;
      last = undefined;
      if (rewrites) process.stdout.write('\n');
      else print(line);
    },
  };
}
