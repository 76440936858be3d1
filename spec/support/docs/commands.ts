import { existsSync, readFileSync } from 'node:fs';
import type { Block, Page } from './pages.ts';
import { root } from './pages.ts';

const { scripts, devDependencies } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as {
  scripts: Record<string, string>;
  devDependencies: Record<string, string>;
};

/** Commands that every shell has, and that need nothing of ours. */
const COMMON = new Set(['mkdir', 'cd', 'cat', 'kill', 'wait', 'export', 'curl', 'rm']);

/** What is wrong with the commands of a block: scripts, programs and files that do not exist. */
export function faultsOf(page: Page, block: Block): string[] {
  const made = new Set<string>();
  for (const { file } of page.blocks) if (file) made.add(file);
  for (const { file } of heredocsOf(block.code)) made.add(file);
  const faults = commandsOf(block.code).flatMap(words => fault(words, made) ?? []);
  // zsh, as it comes, takes a comment that is pasted for arguments.
  if (COMMENT.test(withoutHeredocs(block.code))) faults.push('a comment does not survive being copied');
  return faults;
}

/** The files that a block writes by `cat > file <<'EOF'`. */
export function heredocsOf(code: string): { file: string; text: string }[] {
  const written = code.matchAll(/^cat > (\S+) <<'(\w+)'\n([\s\S]*?)^\2$/gm);
  return [...written].map(([, file = '', , text = '']) => ({ file, text }));
}

const COMMENT = /(?:^|\s)#.*$/m;

function withoutHeredocs(code: string): string {
  return code.replace(/<<'(\w+)'\n[\s\S]*?^\1$/gm, '');
}

function commandsOf(code: string): string[][] {
  const lines = withoutHeredocs(code)
    .replace(/\\\n/g, ' ')
    .replace(/(^|\s)#.*$/gm, '')
    .split(/\n|&&|;|\||&/);
  return lines
    .map(line => line.trim().split(/\s+/))
    .map(words => words.slice(words.findIndex(word => !/^[A-Z_]+=/.test(word))))
    .filter(([first]) => first);
}

function fault([program = '', ...words]: string[], made: ReadonlySet<string>): string | undefined {
  const [first = ''] = words;
  const exists = (file: string) => made.has(file) || existsSync(`${root}/${file}`);
  const missing = words.find(word => /^[\w./-]+\.(?:m?[jt]s|proto)$/.test(word) && !exists(word));
  if (missing) return `there is no file ${missing}`;
  if (COMMON.has(program) || program === 'node') return undefined;
  if (program === 'npx')
    return existsSync(`${root}/node_modules/.bin/${first}`) ? undefined : `there is no program ${first}`;
  if (program !== 'npm') return `${program} is not checked: \`<!-- shows: why -->\``;
  if (['start', 'test'].includes(first)) return scripts[first] ? undefined : `there is no script ${first}`;
  if (first === 'run') return scripts[words[1] ?? ''] ? undefined : `there is no script ${words[1]}`;
  if (!['install', 'init', 'pkg', 'i'].includes(first)) return `npm ${first} is not checked`;
  const packages = words
    .slice(1)
    .filter(word => first.startsWith('i') && first !== 'init' && !word.startsWith('-'));
  const unknown = packages.find(name => name !== 'leat' && !devDependencies[name]);
  return unknown && `${unknown} is not tried here`;
}
