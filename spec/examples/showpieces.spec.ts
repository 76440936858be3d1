import { expect } from 'chai';
import { clients } from '../../examples/examples.ts';
import { killPrograms, run } from '../support/program.ts';

const show = async (...args: string[]): Promise<string> => {
  const { code, stderr, stdout } = await run('examples/client.ts', ...args);
  expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
  return stdout;
};

/** The groups of all matches. */
const found = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, ...groups]) => groups);

describe('examples: what brings its own server', function () {
  this.timeout(30_000);
  afterEach(() => killPrograms());

  it('wrap: the messages are the same before and after', async () => {
    const measured = found(
      await show('wrap', '--max', '5000'),
      /^(\w+): +(\d+) messages .* sha256 (\w{16})$/gm,
    );
    const [, , sum] = measured[0] as string[];
    expect(measured).to.deep.equal([
      ['before', '5000', sum],
      ['after', '5000', sum],
    ]);
  });

  it('tracing: one span of the stream, in the trace of its client, with children from inside', async () => {
    const spans = found(
      await show('tracing', '--raw'),
      /^ {2}traceId: '(\w+)',\n {2}parentSpanContext: \{\n[^}]*spanId: '(\w+)'[^}]*\},\n.*\n {2}name: '(.*)',\n {2}id: '(\w+)'/gm,
    ).map(([trace, parent, name, id]) => ({ trace, parent, name, id }));
    const trace = '0af7651916cd43dd8448eb211c80319c';
    const stream = spans.find(({ name }) => name === 'tutorial.NumberService/ListNumbers');
    const { id } = stream ?? {};
    expect(spans).to.have.deep.members([
      { trace, parent: 'b7ad6b7169203331', name: 'tutorial.NumberService/ListNumbers', id },
      { trace, parent: id, name: 'find 1', id: spans.find(({ name }) => name === 'find 1')?.id },
      { trace, parent: id, name: 'find 2', id: spans.find(({ name }) => name === 'find 2')?.id },
    ]);
  });

  it('tracing: the trace as a tree, with a bar and a time for each span', async () => {
    const tree = found(
      await show('tracing'),
      /^([├└]? ?\S+(?: \d)?) +([\d.]+) ms ( *█+)(?: +(OK, 2 messages))?$/gm,
    );
    expect(tree.map(([name, , , telling]) => [name, telling])).to.deep.equal([
      ['tutorial.NumberService/ListNumbers', 'OK, 2 messages'],
      ['├ find 1', undefined],
      ['└ find 2', undefined],
    ]);
    const [whole = [], ...parts] = tree;
    expect(whole[2]).to.match(/^█{32}$/);
    const widths = parts.map(([, , bar = '']) => [bar.indexOf('█'), bar.length]);
    // The second begins where the first has ended, or after that.
    expect(widths[1]?.[0]).to.be.at.least((widths[0]?.[1] ?? NaN) - 1);
    for (const [, took] of parts) expect(Number(took)).to.be.below(Number(whole[1]));
  });

  it('buffered: ten messages arrive together, in order', async () => {
    const arrivals = async (size: string) => {
      const times = found(await show('buffered', '--size', size), /^(\d+) ms: (\d+)$/gm);
      expect(times.map(([, num]) => Number(num))).to.deep.equal(Array.from({ length: 25 }, (_, i) => i + 1));
      return times.map(([ms]) => Number(ms));
    };
    const [buffered, single] = [await arrivals('10'), await arrivals('1')];
    // Most come with the one before them, or as long after it as they take to make; a few may be early or late.
    const typicalGap = (times: number[]) => {
      const gaps = times.slice(1).map((time, i) => time - (times[i] ?? NaN));
      return gaps.sort((one, other) => one - other)[gaps.length >> 1] ?? NaN;
    };
    expect(typicalGap(buffered)).to.be.below(typicalGap(single) / 2);
  });

  it('robust: every update comes once and in order, over two servers', async () => {
    const shown = await show('robust', '--count', '12');
    expect(shown).to.match(/^attempt 1 ended, the next one in \d+ ms$/m);
    const updates = found(shown, /^(\d+): (\w+)$/gm).map(([sequence, topic]) => ({
      at: Number(sequence),
      topic,
    }));
    // Between orders and alerts is an update about inventory, which nobody here asked for.
    const first = updates.findIndex(({ topic }) => topic === 'orders');
    const origin = (updates[first]?.at ?? NaN) - (first === 0 ? 0 : 1);
    const expected = Array.from({ length: 12 + first }, (_, i) => ({
      at: origin + Math.floor(i / 2) * 3 + (i % 2) * 2 - (first === 0 ? 0 : 2),
      topic: i % 2 === 0 ? 'orders' : 'alerts',
    }));
    expect(updates).to.deep.equal(expected.slice(first));
  });

  describe('npm start', () => {
    it('shows every client, drains and ends', async function () {
      this.timeout(90_000);
      const { code, stderr, stdout } = await run('examples/start.ts', '--speed', '20');
      expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
      const parts = stdout.split(/^=== (\S+) ===.*\n/m);
      expect(stdout.split('\n')).to.have.length.below(95);
      expect(parts[0]).to.match(/^listening on 127\.0\.0\.1:\d+\n/);
      const names = parts.filter((_part, i) => i % 2 === 1);
      expect(names).to.deep.equal([...Object.keys(clients), 'tracing', 'drain', 'next']);
      const said: Record<string, RegExp> = {
        numbers: /^Number: 3$/m,
        fetch: /^finished$/m,
        logs: /^trailers .*x-checksum/m,
        updates: /: Update from inventory$/m,
        query: /^total rows received: 10000$/m,
        job: / 100% completed: done$/m,
        tail: / api /,
        values: /^read value 4 +server: no more values$/m,
        'route-guide': /^route: 5 points, /m,
        tracing: /^tutorial.NumberService\/ListNumbers +[\d.]+ ms █+ OK, 2 messages$/m,
        drain: /^all streams have ended, the server is down$/m,
        next: /^npm run serve /m,
      };
      for (const [i, name] of names.entries()) expect(parts[2 * i + 2], name).to.match(said[name] as RegExp);
    });

    it('answers a bad flag with its usage', async () => {
      const stderr =
        "Expected --speed to be a number from 0.001 up, got 'fast'\nusage: npm start -- [--speed N] [--raw]\n";
      expect(await run('examples/start.ts', '--speed=fast')).to.deep.equal({
        code: 2,
        signal: null,
        stdout: '',
        stderr,
      });
    });
  });
});
