import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { TestEventSource } from '../support/event-source.ts';
import { until } from '../support/harness.ts';
import { killPrograms, Program, tsx } from '../support/program.ts';

const docs = readFileSync(new URL('../../docs/browsers.md', import.meta.url), 'utf8');
const blocks = new Map(
  [...docs.matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms)].map(([, name, code]) => [String(name), String(code)]),
);
const folder = fileURLToPath(new URL(`./docs-${process.pid}/`, import.meta.url));

function run(name: string): Program {
  const file = `${folder}${name}`;
  writeFileSync(file, blocks.get(name) ?? '');
  return new Program(tsx(file));
}

describe('docs/browsers.md', function () {
  // Each is a process of its own.
  this.timeout(60_000);
  before(() => void mkdirSync(folder, { recursive: true }));
  afterEach(() => killPrograms());
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('has a server and a page that do what it says', async () => {
    const program = run('server.ts');
    const [, port] = await program.line(/pages: (\d+)/);
    const printed: unknown[] = [];
    let source: TestEventSource | undefined;
    class EventSource extends TestEventSource {
      constructor(url: string) {
        super(`http://127.0.0.1:${port}${url}`, {}, 100);
        source = this;
      }
    }
    const page = new Function('EventSource', 'console', blocks.get('page.js') ?? '');
    page(EventSource, { log: (line: unknown) => printed.push(line) });
    await until('the page has stopped', () => source?.readyState === 2, 20_000);
    expect(printed).to.deep.equal([1, 2, 3]);
    expect(source?.opened).to.equal(1);
  });

  it('has a page on one port with its calls', async () => {
    const program = run('one-port.ts');
    const [, port] = await program.line(/pages: (\d+)/);
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).to.include('<title>Numbers</title>');
  });

  it('has snippets that run', async () => {
    const programs = ['cors.ts', 'auth.ts', 'peer.ts', 'shut-down.ts'].map(name => run(name));
    for (const program of programs) {
      const { code, stderr } = await program.ended;
      expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
    }
    expect(programs.at(-1)?.stdout).to.equal('closed\n');
  });
});
