import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { loadSync } from '@grpc/proto-loader';
import { expect } from 'chai';
import { faultsOf } from './support/docs/commands.ts';
import { namedBy, sources, statuses } from './support/docs/messages.ts';
import {
  anchorsOf,
  type Block,
  blocksOf,
  commentsIn,
  isOutput,
  linksOf,
  matches,
  type Page,
  placeOf,
  promised,
  readPages,
  root,
} from './support/docs/pages.ts';
import { isModule, Stage } from './support/docs/stage.ts';

const pages = readPages();
const blocks = pages.flatMap(page => page.blocks.map(block => ({ page, block })));
const of = (language: string) => blocks.filter(({ block }) => block.language === language);

describe('README and docs', function () {
  this.timeout(240_000);
  let stage: Stage;

  before(() => {
    stage = new Stage();
    for (const page of pages) stage.add(page);
  });
  after(() => stage.close());

  it('have no block that is neither run, nor checked, nor says why it only shows', () => {
    const checked = ['ts', 'js', 'sh', 'json', 'proto'];
    const unchecked = blocks.filter(
      ({ page, block }) => !block.shows && !checked.includes(block.language) && !isOutput(page, block),
    );
    expect(unchecked.map(({ block }) => `${placeOf(block)} ${block.language}`)).to.deep.equal([]);
  });

  it('have no comment about a block that no block follows', () => {
    const lost = pages.filter(({ text, blocks }) => {
      const read = blocks.flatMap(({ run, given, shows }) => [run, given !== '', shows !== undefined]);
      return commentsIn(text) !== read.filter(Boolean).length;
    });
    expect(lost.map(({ path }) => path)).to.deep.equal([]);
  });

  it('have TypeScript and JavaScript that compile', async () => {
    expect(await stage.check()).to.deep.equal([]);
  });

  it('print what they say they print', async () => {
    const wrong: string[] = [];
    const compare = (page: Page, block: Block, printed: string) => {
      const promise = promised(page, block);
      if (promise !== undefined && !matches(printed, promise))
        wrong.push(`${placeOf(block)} printed:\n${printed}\ninstead of:\n${promise}`);
    };
    const play = async (page: Page) => {
      for (const [block, printed] of await stage.play(page)) compare(page, block, printed);
    };
    const run = async () => {
      const ours = blocks.filter(({ block }) => block.run && isModule(block));
      const printed = await stage.run(ours);
      ours.forEach(({ page, block }, index) => void compare(page, block, printed[index] ?? ''));
    };
    const work = [run, ...pages.map(page => () => play(page))];
    const worker = async () => {
      for (let next = work.shift(); next; next = work.shift()) await next();
    };
    await Promise.all(Array.from({ length: availableParallelism() }, worker));
    expect(wrong.join('\n')).to.equal('');
  });

  it('name commands, scripts and files that exist', () => {
    const faults = of('sh')
      .filter(({ block }) => !block.shows)
      .flatMap(({ page, block }) => faultsOf(page, block).map(fault => `${placeOf(block)} ${fault}`));
    expect(faults).to.deep.equal([]);
  });

  it('have .proto files and JSON that can be read', () => {
    for (const { block } of of('json')) if (!block.shows) JSON.parse(block.code);
    of('proto').forEach(({ block }, index) => {
      if (block.shows) return;
      stage.write(`protos/${index}.proto`, block.code);
      loadSync(join(stage.folder, `protos/${index}.proto`));
    });
  });

  it('link to what is there', () => {
    const broken = pages.flatMap(page =>
      linksOf(page)
        .filter(link => !leads(page, link))
        .map(link => `${page.path}: ${link}`),
    );
    expect(broken).to.deep.equal([]);
  });
});

function leads(page: Page, link: string): boolean {
  const [file = '', anchor] = link.split('#');
  const path = file === '' ? page.path : join(dirname(page.path), file);
  if (!existsSync(`${root}/${path}`)) return false;
  if (anchor === undefined) return true;
  const text = pages.find(other => other.path === path)?.text;
  return text !== undefined && anchorsOf(text).includes(anchor);
}

const textOf = (page: string) => pages.find(({ path }) => path === page)?.text ?? '';

describe('docs/README.md', () => {
  it('lists every page, and every page but it is reached', () => {
    const listed = linksOf({ path: '', blocks: [], text: textOf('docs/README.md') });
    const others = pages.map(({ path }) => path.replace('docs/', '')).filter(path => path !== 'README.md');
    expect(others.filter(path => !listed.includes(path))).to.deep.equal([]);
  });

  it('has the names that are exported', async () => {
    const rows = textOf('docs/README.md').matchAll(
      /^\| `leat(\/(?:sources|client|testing|nats))?` \| (.*) \|$/gm,
    );
    for (const [, room = '', cell = ''] of rows) {
      const named = [...(cell.split('; the types')[0] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name);
      const exported = Object.keys(await import(`../lib${room}/index.ts`));
      const renamed = room === '' ? ['all', 'options'] : [];
      expect([...named, ...renamed].sort()).to.deep.equal(exported.sort());
    }
  });
});

describe('docs/troubleshooting.md', () => {
  const text = textOf('docs/troubleshooting.md');

  it('names messages that there are', () => {
    const known = sources();
    const parts = namedBy(text);
    expect(parts).to.include('the server is shutting down');
    expect(parts.filter(part => !known.includes(part.trim()))).to.deep.equal([]);
  });

  it('has every status of ours', () => {
    const ours = statuses();
    expect(ours).to.include('the subscriber is too slow');
    expect(ours.filter(message => !text.includes(message))).to.deep.equal([]);
  });
});

describe('docs/tracing-and-metrics.md', () => {
  it('names metrics and attributes that there are', () => {
    const names = [...textOf('docs/tracing-and-metrics.md').matchAll(/`(leat\.[a-z_.]+[a-z])/g)].map(
      ([, name = '']) => name,
    );
    expect(names).to.include('leat.server.sent.messages');
    const known = sources();
    expect(names.filter(name => !known.includes(name))).to.deep.equal([]);
  });
});

describe('the reader of pages', () => {
  const page = (text: string) => ({ path: 'x.md', text, blocks: blocksOf('x.md', text) });

  it('finds blocks with their place, their name and what stands before them', () => {
    const text = 'a\n\n<!-- given: declare const a: 1; -->\n<!-- run -->\n\n```ts\n// a.ts\na;\n```\n';
    const [block] = blocksOf('x.md', text);
    expect(block).to.deep.equal({
      ...{ page: 'x.md', line: 7, language: 'ts', code: '// a.ts\na;\n', file: 'a.ts' },
      ...{ shows: undefined, run: true, given: 'declare const a: 1;' },
    });
  });

  it('refuses a wrong script, program, file and package, and a comment', () => {
    const { blocks, ...rest } = page(
      '```sh\nnpm run nothing\nnpx nobody\nnode none.mjs\nnpm install left-pad\nfoo\nnpm test # all\n```\n',
    );
    const [block] = blocks as [Block];
    expect(faultsOf({ blocks, ...rest }, block)).to.deep.equal([
      'there is no script nothing',
      'there is no program nobody',
      'there is no file none.mjs',
      'left-pad is not tried here',
      'foo is not checked: `<!-- shows: why -->`',
      'a comment does not survive being copied',
    ]);
  });

  it('compares output line by line, with … for anything', () => {
    expect(matches('a 1 b\nc\n', 'a … b\nc\n')).to.equal(true);
    expect(matches('a 1 b\nd\n', 'a … b\nc\n')).to.equal(false);
  });

  it('finds links and anchors, but none in code', () => {
    const { blocks, ...rest } = page('# A `b` c!\n[x](y.md#z) `[n](o)`\n\n```md\n[no](no.md)\n```\n');
    expect(linksOf({ blocks, ...rest })).to.deep.equal(['y.md#z']);
    expect(anchorsOf(rest.text)).to.deep.equal(['a-b-c']);
  });
});
