import { expect } from 'chai';
import { until } from '../support/harness.ts';
import {
  type Exit,
  killPrograms,
  Program,
  run,
  type Serving,
  serveExamples,
  takePort,
  tsx,
} from '../support/program.ts';

const client = 'examples/client.ts';
const lines = (text: string) => text.split('\n').slice(0, -1);
const linesOf = ({ code, stderr, stdout }: Exit) => {
  expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
  return lines(stdout);
};

describe('examples: npm run example', function () {
  this.timeout(30_000);
  let server: Serving;

  describe('with all clients at once', () => {
    const commands = {
      numbers: ['--max', '3', '--timeout', '20'],
      fetch: ['--id', '9'],
      logs: ['--follow', '2'],
      updates: ['--topics', 'orders,alerts', '--count', '4'],
      query: ['--batch-size', '4000'],
      job: ['--job-id', 'spec'],
      tail: ['--level', 'warn', '--lines', '4', '--follow', '2'],
      values: ['--data', 'v'],
      'route-guide': ['--points', '3'],
    };
    type Name = keyof typeof commands;
    const exits = new Map<Name, Promise<Exit>>();
    const show = async (name: Name) => linesOf((await exits.get(name)) as Exit);

    before(async () => {
      server = await serveExamples(['--speed', '20']);
      for (const [name, args] of Object.entries(commands))
        exits.set(name as Name, run(client, name, ...args, '--address', server.address));
    });
    after(() => killPrograms(server));

    it('numbers counts', async () => {
      expect(await show('numbers')).to.deep.equal(['Number: 1', 'Number: 2', 'Number: 3']);
    });

    it('fetch prints the responses as they come', async () => {
      const responses = [0, 1, 2, 3, 4].map(k => `Resp received: Request #${k} For Id:9`);
      const shown = await show('fetch');
      expect(shown.pop()).to.equal('finished');
      // A server that was busy finds several producers done at once.
      expect(shown).to.have.members(responses);
    });

    it('logs prints what there is, with headers and trailers, and follows', async () => {
      const shown = await show('logs');
      expect(shown[0]).to.match(/^headers {2}\{.*"x-correlation-id":"[\da-f-]{36}","x-total-count":"5"/);
      expect(shown.slice(1, 6)).to.deep.equal([0, 1, 2, 3, 4].map(i => `Error ${i} at ${i}`));
      expect(shown[6]).to.match(/^trailers \{"x-checksum":"[\da-f]{64}","x-sent-count":"5"\}$/);
      expect(shown.slice(7)).to.deep.equal(['Log 0', 'Log 1']);
    });

    it('updates prints those of its topics', async () => {
      const shown = await show('updates');
      expect(shown).to.have.length(4);
      for (const line of shown) expect(line).to.match(/^\[\d{4}-.*Z\] (orders|alerts): Update from \1$/);
    });

    it('query counts batches and rows', async () => {
      expect(await show('query')).to.deep.equal([
        'batch 1/3: 4000 rows',
        'batch 2/3: 4000 rows',
        'batch 3/3: 2000 rows',
        'total rows received: 10000',
      ]);
    });

    it('job draws its progress to the end', async () => {
      const shown = await show('job');
      expect(shown[0]).to.equal(`[>${' '.repeat(39)}]   0% running: initializing`);
      expect(shown.at(-1)).to.equal(`[${'='.repeat(40)}] 100% completed: done`);
    });

    it('tail prints the end of the log, and follows it', async () => {
      const shown = await show('tail');
      expect(shown).to.have.length(6);
      for (const line of shown)
        expect(line).to.match(/^\d{4}-\S+Z (WARN |ERROR) api (slow request|request failed) /);
    });

    it('values stops after the first value, and pauses and goes on', async () => {
      const shown = await show('values');
      expect(shown.slice(0, 5)).to.deep.equal(['v0', 'v1', 'v2', 'v3', 'v4']);
      expect(shown[5]).to.match(/^Stop after the first/);
      expect(shown[6]).to.equal('v0');
      expect(shown[7]).to.match(/^Pause after the first/);
      const read = [0, 1, 2, 3, 4].map(n => `read value ${n}`);
      expect(shown.slice(8)).to.deep.equal([read[0], 'continue', ...read.slice(1)]);
    });

    it('route-guide calls a method of each kind', async () => {
      const shown = await show('route-guide');
      expect(shown.slice(0, 2)).to.deep.equal([
        '409146138, -746188906: Berkshire Valley Management Area Trail, Jefferson, NJ, USA',
        '0, 0: nothing',
      ]);
      const [within, rest] = [shown.slice(2, 5), shown.slice(5)];
      for (const line of within) expect(line).to.match(/^within: .*USA$/);
      expect(rest).to.deep.equal([
        'route: 3 points, 22238 metres',
        ...['5: first', '6: second', '5: first', '5: third'].map(note => `note at 0, ${note}`),
      ]);
    });
  });

  describe('with one client', () => {
    afterEach(() => killPrograms(server));
    after(() => killPrograms());

    for (const [args, first] of [
      [['logs', '--follow', '1000000'], /^Log 0$/m],
      [['updates', '--count', '1000000'], /^\[.*\] orders: Update from orders$/m],
      [['tail', '--lines', '0', '--follow', '1000000'], / api /],
    ] as const)
      it(`${args[0]} goes on until it is interrupted, and leaves without a word`, async () => {
        const stops = () => server.stderr.split('the feeder stopped').length;
        const before = stops();
        const program = new Program(tsx(client, ...args, '--address', server.address));
        await program.line(first);
        program.kill('SIGINT');
        expect(await program.ended).to.include({ signal: 'SIGINT', stderr: '' });
        if (args[0] === 'logs') await until('the server has heard of it', () => stops() === before + 1);
      });

    it('says in one line what the server has against a request', async () => {
      const exit = await run(client, 'query', '--sql', 'SELECT nothing', '--address', server.address);
      const stderr = '3 INVALID_ARGUMENT: column "nothing" does not exist\n';
      expect(exit).to.deep.equal({ code: 1, signal: null, stdout: '', stderr });
    });

    it('says in one line that there is no server', async () => {
      const names = ['numbers', 'updates', 'job'];
      const taken = await takePort();
      await taken?.giveBack();
      const address = `127.0.0.1:${taken?.port}`;
      const exits = await Promise.all(names.map(name => run(client, name, '--address', address)));
      for (const { code, stdout, stderr } of exits) {
        expect({ code, stdout, lines: lines(stderr).length }).to.deep.equal({
          code: 1,
          stdout: '',
          lines: 1,
        });
        expect(stderr).to.match(/^cannot reach the server: 14 UNAVAILABLE: .*ECONNREFUSED/);
      }
    });

    it('answers names and flags it does not know with its usage', async () => {
      const numbers = 'numbers [--address HOST:PORT] [--max N] [--timeout SECONDS]';
      const mistakes: [string[], string, string | RegExp][] = [
        [[], 'Which example?', /^numbers\|fetch\|.*\|robust \[flags\]$/],
        [['toString'], "There is no example 'toString'", /^numbers\|fetch\|.*\|robust \[flags\]$/],
        [['numbers', '--colour'], "Unknown option '--colour'", numbers],
        [['numbers', '--max=many'], "Expected --max to be a number from 0 up, got 'many'", numbers],
        [['robust', '--count=0'], "Expected --count to be a number from 1 up, got '0'", 'robust [--count N]'],
      ];
      const exits = await Promise.all(mistakes.map(([args]) => run(client, ...args)));
      for (const [i, [, what, usage]] of mistakes.entries()) {
        const { code, stdout, stderr } = exits[i] as Exit;
        const [first, second = '', ...rest] = lines(stderr);
        expect({ code, stdout, first, rest }).to.deep.equal({ code: 2, stdout: '', first: what, rest: [] });
        const [, shown] = /^usage: npm run example -- (.*)$/.exec(second) ?? [];
        if (typeof usage === 'string') expect(shown).to.equal(usage);
        else expect(shown).to.match(usage);
      }
    });

    it('leaves a server that still drains in time', async () => {
      server.kill('SIGTERM');
      expect(await server.ended).to.include({ code: 0, signal: null });
    });
  });
});
