import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { chart, figuresOf } from '../bench/chart.ts';

const read = (file: string) => readFileSync(new URL(`../docs/${file}`, import.meta.url), 'utf8');
const page = read('performance.md');

describe('the chart of the README', () => {
  it('shows what the table of the bench says', () => {
    for (const theme of ['light', 'dark'] as const)
      expect(read(`pictures/messages-${theme}.svg`)).to.equal(chart(page, theme));
  });

  it('is of a second of CPU time', () => {
    const table = [
      '**One stream of small messages**\n',
      '| server | messages/s | CPU µs/message |',
      '| --- | --- | --- |',
      ...['hand-written', 'connect-node', 'nice-grpc', 'mount', 'wrap', 'mount-sync'].map(
        (server, index) => `| ${server} | 1 | ${2 ** index} |`,
      ),
    ].join('\n');
    expect(figuresOf(table).map(({ perSecond }) => perSecond)).to.deep.equal([
      1e6, 5e5, 25e4, 125e3, 62_500, 31_250,
    ]);
  });

  it('is not drawn of a table without its rows', () => {
    expect(() => figuresOf('**One stream of small messages**\n\n| server |\n')).to.throw(
      'the table has no CPU time of hand-written',
    );
  });
});
