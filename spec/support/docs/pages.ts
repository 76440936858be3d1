import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** One fenced block of a page. */
export interface Block {
  readonly page: string;
  /** The line of its first line of code, from 1. */
  readonly line: number;
  readonly language: string;
  readonly code: string;
  /** The name in its first line, as in `// server.ts`: other blocks of the page import it, commands use it. */
  readonly file: string | undefined;
  /** Why it only shows, from `<!-- shows: … -->`. */
  readonly shows: string | undefined;
  /** Whether `<!-- run -->` stands before it. */
  readonly run: boolean;
  /** What the reader has already, from `<!-- given: … -->`: declarations for the compiler only. */
  readonly given: string;
}

export interface Page {
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
}

export const root: string = fileURLToPath(new URL('../../..', import.meta.url));

/** The README and all of docs, but for what is generated from comments. */
export function readPages(): Page[] {
  const found = readdirSync(`${root}/docs`, { encoding: 'utf8', recursive: true }).map(
    path => `docs/${path}`,
  );
  const paths = ['README.md', ...found.sort()];
  return paths
    .filter(path => path.endsWith('.md') && !/^docs\/api[/-]/.test(path))
    .map(path => {
      const text = readFileSync(`${root}/${path}`, 'utf8');
      return { path, text, blocks: blocksOf(path, text) };
    });
}

/** The blocks of a page, with the comments that stand right before each. */
export function blocksOf(page: string, text: string): Block[] {
  const blocks: Block[] = [];
  const fence = /((?:^<!--(?:(?!-->)[\s\S])*-->\n+)*)^(`{3,})(\S*)[^\n]*\n([\s\S]*?)^\2 *$/gm;
  for (const match of text.matchAll(fence)) {
    const [all, comments = '', , language = '', code = ''] = match;
    const before = text.slice(0, match.index) + all.slice(0, all.indexOf(code, comments.length));
    blocks.push({
      page,
      line: before.split('\n').length,
      language,
      code,
      file: /^(?:\/\/|#|<!--) ?([\w./-]+\.\w+)/.exec(code)?.[1],
      shows: comment(comments, 'shows'),
      run: /<!-- run -->/.test(comments),
      given: comment(comments, 'given') ?? '',
    });
  }
  return blocks;
}

function comment(comments: string, name: string): string | undefined {
  return new RegExp(`<!-- ${name}:\\s*([\\s\\S]*?)\\s*-->`).exec(comments)?.[1];
}

/** How many comments there are that say something of a block; a block may follow or not. */
export function commentsIn(text: string): number {
  const prose = text.replace(/^(`{3,})[\s\S]*?^\1 *$/gm, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/<!-- (?:run -->|given:|shows:)/g)].length;
}

/** Where a block stands, for whoever has to mend it. */
export function placeOf({ page, line }: Block): string {
  return `${page}:${line}`;
}

/** The output that a page promises of a block: the `text` block that follows it. */
export function promised(page: Page, block: Block): string | undefined {
  const next = page.blocks[page.blocks.indexOf(block) + 1];
  return next?.language === 'text' && next.shows === undefined ? next.code : undefined;
}

/** Whether a `text` block is the output of the one before it. */
export function isOutput(page: Page, block: Block): boolean {
  return block.language === 'text' && (page.blocks[page.blocks.indexOf(block) - 1]?.run ?? false);
}

/** Whether what was printed is what is promised, where `…` stands for anything. */
export function matches(printed: string, promise: string): boolean {
  const parts = promise.trim().split('…');
  const pattern = parts.map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[\\s\\S]*?');
  return new RegExp(`^${pattern}$`).test(printed.trim());
}

/** The links of a page that lead to a file of the repository or to a heading. */
export function linksOf({ text }: Page): string[] {
  const prose = text.replace(/^(`{3,})[\s\S]*?^\1 *$/gm, '').replace(/`[^`\n]*`/g, '');
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"/g)];
  return targets
    .map(([, link, attribute]) => (link ?? attribute) as string)
    .filter(to => !/^[a-z]+:/.test(to));
}

/** The anchors of a page, as GitHub makes them of its headings. */
export function anchorsOf(text: string): string[] {
  const prose = text.replace(/^(`{3,})[\s\S]*?^\1 *$/gm, '');
  return [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
