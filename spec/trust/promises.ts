import { readFileSync } from 'node:fs';

/** A promise with a figure, and what makes that figure. */
export interface Promised {
  readonly promise: string;
  /** As it is typed into a shell. */
  readonly command: string;
  /** The figure in what the command printed. */
  figure?(printed: string): string;
  /** The figure that another page of ours has of this command, and that page. */
  recorded?(): string;
}

const page = (name: string) => readFileSync(new URL(`../../docs/${name}.md`, import.meta.url), 'utf8');

/** A number in a table of the bench: of the row that begins so, under a table's title. */
function measured(title: string, row: string, column: number): string {
  const [, table = ''] = page('performance').split(`**${title}**`);
  const cells = table
    .split('\n')
    .map(line => line.split('|').map(cell => cell.trim()))
    .find(cells => row.split(' | ').every((part, at) => cells[at + 1] === part));
  return cells?.[column] ?? '?';
}

const ofBench = '([performance](performance.md))';

const LEFT = 'Clients that leave, at six points of a stream';

/** The value beside a name in a `console.table`. */
function field(printed: string, name: string, column = 1): string {
  const line = printed.split('\n').find(one => one.split('│')[1]?.trim() === name);
  return line?.split('│')[column + 1]?.trim().replaceAll("'", '') ?? '?';
}

function match(printed: string, pattern: RegExp): string {
  return pattern.exec(printed)?.slice(1).join(', ') ?? '?';
}

/** What mocha counts, once nothing failed. */
const specs = (printed: string): string => `${match(printed, /(\d+) passing/)} specs pass`;

export const promises: Record<string, Promised> = {
  R1: {
    promise: 'no producer outlives its call',
    command: 'npm run bench -- cancelled',
    recorded: () =>
      `\`finally\` ran in ${measured(LEFT, 'mount', 4)} of ${measured(LEFT, 'mount', 3)} streams, ` +
      `${measured(LEFT, 'mount', 5)} orphans ${ofBench}`,
  },
  R2: {
    promise: 'cancelled streams leave no memory',
    command: 'npm run bench -- cancelled',
    recorded: () => `${measured(LEFT, 'mount', 6)} KiB in the second half of them ${ofBench}`,
  },
  R3: {
    promise: 'a slow client holds a bounded part',
    command: 'npm run bench -- stalled',
    recorded: () =>
      `${measured('50 clients that never read, 16 KiB messages', 'mount', 3)} KiB a stream ${ofBench}`,
  },
  R4: {
    promise: 'a cancel is heard within milliseconds',
    command: 'npx tsx spec/cancelled.full.ts',
    figure: printed =>
      `to \`finally\`: p50 ${field(printed, 'to `finally`', 2)}, p99 ${field(printed, 'to `finally`', 3)} ms`,
  },
  R5: {
    promise: 'whatever fails is a legal status, and nothing escapes',
    command: 'npx tsx spec/support/chaos.ts',
    figure: printed => match(printed, /(\d+ calls, each ended with a legal status)/),
  },
  R6: {
    promise: 'one status, one end for each layer, one `finally`',
    command: 'npx tsx spec/interleavings.full.ts',
    figure: printed =>
      `${field(printed, 'wrong ends')} wrong of ${field(printed, 'calls')} calls in ${field(printed, 'plans')} random plans`,
  },
  R7: {
    promise: 'no message is lost, repeated or out of order',
    command: 'npx mocha spec/mounts.spec.ts',
    figure: specs,
  },
  R8: {
    promise: 'nor is one across reconnects',
    command: 'npx tsx spec/client/resume.full.ts 100000 100',
    figure: printed =>
      match(printed, /cursor: (\d+ messages, \d+ kills).*?: (lost \d+, repeated \d+, out of order \d+)/),
  },
  R9: {
    promise: 'a resume point that is gone is reported',
    command: 'npx mocha spec/client/resume.spec.ts',
    figure: specs,
  },
  R10: {
    promise: 'clients come back politely',
    command: 'npx tsx spec/client/herd.full.ts',
    figure: printed => match(printed, /(peak .*? of clients\)).*?; (\d+ waits begun anew too early)/),
  },
  R11: {
    promise: 'a drain ends within its grace',
    command: 'LEAT_STREAMS=1000 LEAT_GRACE_MS=2000 npx mocha spec/call/drain.spec.ts',
    figure: printed => `${specs(printed)}, with 1,000 streams and a grace of 2 s`,
  },
  R12: {
    promise: 'deadlines hold',
    command: 'npx tsx spec/cancelled.full.ts',
    figure: printed =>
      ['reading', 'stalled', 'parked']
        .map(name => `${name} ${field(printed, name, 3)} of ${field(printed, name, 2)}`)
        .join(', '),
  },
  R13: {
    promise: 'spans that start end, with the right code',
    command: 'npx tsx spec/support/otel-complete.full.ts',
    figure: printed => match(printed, /(calls \d+, spans started \d+, ended \d+, wrong \d+)/),
  },
  R14: {
    promise: 'a message costs little',
    command: 'npm run bench -- one-stream layers',
    recorded: () =>
      `${measured('One stream of small messages', 'mount', 3)} times a hand-written handler, ` +
      `${measured('One stream of small messages', 'mount + 6 layers', 3)} with six layers ${ofBench}`,
  },
  R15: {
    promise: 'batches pay',
    command: 'npm run bench -- batches',
    recorded: () =>
      `${measured('Items of 100 bytes, merged', 'mount + batch() | 200', 4)} times the items, 200 a message ${ofBench}`,
  },
  R16: {
    promise: 'clients of other stacks read what is served',
    command: 'npx mocha spec/examples/clients.spec.ts',
    figure: specs,
  },
  R17: {
    promise: 'it goes on for as long as one likes',
    command:
      'npm run scale-out -- --minutes 5 --fault-ms 2500 --rate 1000 --subscribers 8 --history 1000 --seed 42',
    recorded: () =>
      `lost, repeated, out of order, wrongly ended: ${soaked()}, in five minutes only ([scale](scale.md))`,
  },
};

function soaked(): string {
  return match(page('scale'), /lost, repeated, out of order, wrongly OUT_OF_RANGE \| ([^|]*?) \|/);
}
