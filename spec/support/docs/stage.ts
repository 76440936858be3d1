import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { heredocsOf } from './commands.ts';
import { type Block, type Page, placeOf, root } from './pages.ts';

const start = promisify(execFile);

/** A folder in which the blocks of all pages are files, and `leat` is installed: the sources of this checkout. */
export class Stage {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'leat-docs-'));
  private readonly places = new Map<string, Block>();

  /** @param more where packages are that pages name and that are not installed here; else their types are in ours. */
  constructor(private readonly more?: string) {
    const modules = join(this.folder, 'node_modules');
    mkdirSync(join(modules, 'leat'), { recursive: true });
    for (const from of [`${root}/node_modules`, ...(more ? [more] : [])])
      for (const name of readdirSync(from))
        if (!existsSync(join(modules, name))) symlinkSync(`${from}/${name}`, join(modules, name));
    for (const name of ['lib', 'middleware']) symlinkSync(`${root}/${name}`, join(modules, 'leat', name));
    // Every import leads where it leads in this checkout.
    const { paths } = JSON.parse(readFileSync(`${root}/tsconfig.json`, 'utf8')).compilerOptions;
    const exports = Object.entries<string[]>(paths).map(([name, [path]]) => [
      name.replace('leat', '.'),
      path,
    ]);
    const own = { name: 'leat', type: 'module', exports: Object.fromEntries(exports) };
    this.write('node_modules/leat/package.json', JSON.stringify(own));
    this.write('package.json', '{"type":"module"}');
    for (const [name, script] of Object.entries(SHIMS)) this.write(`bin/${name}`, script, 0o755);
  }

  /** Each block as a file of its own, beside those that the page has named before it, and the contracts in proto. */
  add(page: Page): void {
    const named = new Map<string, string>();
    page.blocks.forEach((block, index) => {
      const folder = join(slug(page), String(index));
      const text = `${block.code}${block.given}\n${isModule(block) ? 'export {};\n' : ''}`;
      if (isModule(block)) {
        for (const [name, earlier] of named) this.write(join(folder, name), earlier);
        this.write(this.fileOf(page, block), text);
        this.places.set(this.fileOf(page, block), block);
        for (const name of readdirSync(`${root}/proto`))
          if (!named.has(name)) symlinkSync(`${root}/proto/${name}`, join(this.folder, folder, name));
      }
      if (block.file) named.set(block.file, text);
      for (const { file, text } of heredocsOf(block.code)) named.set(file, text);
    });
  }

  fileOf(page: Page, block: Block): string {
    const name = block.file ?? `block.${block.language}`;
    return join(slug(page), String(page.blocks.indexOf(block)), name);
  }

  /** What the compiler says, by the lines of the pages. */
  async check(): Promise<string[]> {
    const compilerOptions = {
      ...{ target: 'ES2022', lib: ['ES2023', 'ES2024.String', 'ESNext.Disposable', 'DOM'] },
      ...{
        module: 'NodeNext',
        strict: true,
        noUncheckedIndexedAccess: true,
      },
      ...{ allowJs: true, checkJs: true, allowImportingTsExtensions: true, erasableSyntaxOnly: false },
      ...{ skipLibCheck: true, noEmit: true, types: ['node', 'mocha'] },
    };
    const files = [...this.places.keys(), 'given.d.ts'];
    if (this.more === undefined) files.push(`${root}/spec/support/docs/packages.d.ts`);
    this.write('given.d.ts', globals());
    this.write('check.json', JSON.stringify({ compilerOptions, files }));
    const output = await this.shell('tsc -p check.json --pretty false', '.').catch(error =>
      String(error.stdout),
    );
    return output
      .split('\n')
      .filter(line => line.includes(': error '))
      .map(line => this.mapped(line));
  }

  private mapped(line: string): string {
    const [, file = '', row, rest] = /^(.*?)\((\d+),\d+\)(.*)$/.exec(line) ?? [];
    const block = this.places.get(file);
    return block ? `${block.page}:${block.line + Number(row) - 1}${rest}` : line;
  }

  /** What blocks that are run print, one after the other in one process, each in a folder of its own. */
  async run(blocks: readonly { page: Page; block: Block }[]): Promise<string[]> {
    const files = blocks.map(({ page, block }) => join(this.folder, this.fileOf(page, block)));
    this.write('run.mjs', RUNNER);
    const { stdout } = await start(
      process.execPath,
      ['--import', 'tsx', join(this.folder, 'run.mjs'), ...files],
      { cwd: this.folder, timeout: 110_000 },
    ).catch(({ stdout, stderr }) => {
      const { block } = blocks[stdout.split(MARK).length - 2] ?? {};
      return fail(block as Block, { stdout, stderr });
    });
    return stdout.split(MARK).slice(1);
  }

  /** Plays a page as a reader would: writes its named files, runs its commands, and answers what each block printed. */
  async play(page: Page): Promise<Map<Block, string>> {
    const folder = join(slug(page), 'work');
    mkdirSync(join(this.folder, folder), { recursive: true });
    const printed = new Map<Block, string>();
    // Something else of this machine might have the port of the pages.
    const port = String(await freePort());
    for (const block of page.blocks) {
      const code = block.code.replaceAll(PORT, port);
      if (block.file) this.write(join(folder, block.file), code);
      if (!block.run || block.language !== 'sh') continue;
      const output = await this.shell(code, folder).catch(error => fail(block, error));
      printed.set(block, output.replaceAll(port, PORT));
    }
    return printed;
  }

  private async shell(commands: string, folder: string): Promise<string> {
    const bins = [join(this.folder, 'bin'), `${root}/node_modules/.bin`, process.env.PATH];
    const { stdout } = await start('bash', ['-e', '-c', `${CLEAN_UP}\n${commands}`], {
      cwd: join(this.folder, folder),
      env: { ...process.env, PATH: bins.join(delimiter) },
      timeout: 110_000,
    });
    return stdout;
  }

  write(file: string, text: string, mode = 0o644): void {
    const path = join(this.folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode });
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function isModule({ language, shows }: Block): boolean {
  return shows === undefined && (language === 'ts' || language === 'js');
}

function slug({ path }: Page): string {
  return path.replaceAll('/', '-').replace('.md', '');
}

function fail(block: Block, error: { stdout: string; stderr: string }): never {
  throw new Error(`${placeOf(block)} failed:\n${error.stdout}\n${error.stderr}`);
}

/** What readers have by other pages, under the names that `docs/README.md` tells, as globals of all blocks. */
function globals(): string {
  const file = `${root}/spec/support/docs/given.ts`;
  const names = [...readFileSync(file, 'utf8').matchAll(/^export declare const (\w+)/gm)];
  return names.map(([, name]) => `declare const ${name}: typeof import('${file}').${name};\n`).join('');
}

/** A server that a page left running, when a client failed before its `kill`. */
const CLEAN_UP = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT";

/** The port that pages listen on. */
const PORT = '50051';

function freePort(): Promise<number> {
  const taker = createServer();
  return new Promise(resolve => {
    taker.listen(0, '127.0.0.1', () => {
      const { port } = taker.address() as AddressInfo;
      taker.close(() => resolve(port));
    });
  });
}

const MARK = '\u0000';

const RUNNER = `import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
for (const file of process.argv.slice(2)) {
  process.stdout.write(${JSON.stringify(MARK)});
  process.chdir(dirname(file));
  await import(pathToFileURL(file));
}
process.exit();
`;

/** What is installed is here already; the sources of leat are TypeScript. */
const SHIMS = {
  npm: `#!/bin/sh
case "$1" in
  init) echo '{}' > package.json ;;
  pkg) echo '{"type":"module"}' > package.json ;;
  install|i) ;;
  *) PATH="\${PATH#*:}" exec npm "$@" ;;
esac
`,
  npx: `#!/bin/sh
exec "$@"
`,
  node: `#!/bin/sh
exec ${process.execPath} --import tsx "$@"
`,
  tsc: `#!/bin/sh
exec ${root}/node_modules/.bin/tsc --allowImportingTsExtensions "$@"
`,
};
