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

const COLUMN = 38;

/**
 * Lines of a client, with what the server said before each on its right; where a line is too long for that, or the last
 * is over, what the server said has a line of its own.
 */
export function sides(print: (line: string) => void): {
  client(line: string): void;
  server(line: string): void;
  end(): void;
} {
  let said: string[] = [];
  const row = (line: string) => {
    print(`${line.padEnd(COLUMN)}${dim(`server: ${said.join(', ')}`)}`);
    said = [];
  };
  const end = () => {
    if (said.length > 0) row('');
  };
  return {
    client(line) {
      if (line.length >= COLUMN) end();
      if (said.length > 0) row(line);
      else print(line);
    },
    server: line => void said.push(line),
    end,
  };
}
