import type { Doc, Item, Member, Subpath, Surface } from './surface.ts';

/** The reference, by the names of its files: a page for each subpath, and one that lists them. */
export function pages({ subpaths }: Surface): Map<string, string> {
  const made = new Map([['README.md', contents(subpaths)]]);
  for (const subpath of subpaths) made.set(fileOf(subpath.name), page(subpath));
  return made;
}

const NOTE = '<!-- Written by `npm run api` from the comments in the sources. -->';

function fileOf(name: string): string {
  return `${name.replace('leat/', '')}.md`;
}

function contents(subpaths: readonly Subpath[]): string {
  const lists = subpaths.map(({ name, items }) => {
    const lines = items.map(
      item => `- [\`${item.name}\`](${fileOf(item.home)}#${anchor(item.name)}) ${firstSentence(item.doc)}`,
    );
    return `## [${name}](${fileOf(name)})\n\n${lines.join('\n')}`;
  });
  return `${[NOTE, '# Reference', ...lists].join('\n\n')}\n`;
}

function page({ name, doc, items }: Subpath): string {
  const own = items.filter(item => item.home === name);
  const values = own.filter(({ kind }) => kind !== 'type');
  const types = own.filter(({ kind }) => kind === 'type');
  const others = items.filter(item => item.home !== name);
  const parts = [NOTE, `# ${name}`, doc?.text ?? '', ...values.map(section), ...types.map(section)];
  const links = others.map(item => `[\`${item.name}\`](${fileOf(item.home)}#${anchor(item.name)})`);
  if (links.length) parts.push('## Also here', links.join(', '));
  return `${parts.filter(Boolean).join('\n\n')}\n`;
}

function section(item: Item): string {
  const [head = ''] = item.declared;
  const listed = item.members.length > 0;
  // The members are in the list below.
  const shown = listed ? [head.slice(0, head.indexOf('{')).trim()] : item.declared;
  const code = `\`\`\`ts\n${shown.join('\n').replaceAll('    ', '  ')}\n\`\`\``;
  const members = item.members.map(bullet).join('\n');
  return [`## ${item.name}`, code, ...described(item.doc), members].filter(Boolean).join('\n\n');
}

function described(doc: Doc | undefined): string[] {
  const deprecated = (doc?.tags.get('deprecated') ?? []).map(text => `**Deprecated.** ${text}`);
  const examples = (doc?.tags.get('example') ?? []).map(code => `\`\`\`ts\n${code}\n\`\`\``);
  const throws = (doc?.tags.get('throws') ?? []).map(text => `**Throws** ${text}`);
  return [...deprecated, doc?.text ?? '', ...examples, ...throws];
}

function bullet({ declared, doc }: Member): string {
  const said = [
    doc?.text,
    ...(doc?.tags.get('default') ?? []).map(text => `Default: ${text}.`),
    ...(doc?.tags.get('throws') ?? []).map(text => `**Throws** ${text}`),
  ].filter(Boolean);
  const text = said.join(' ').replace(/\s+/g, ' ');
  return `- \`${declared}\`${text ? `  \n  ${text}` : ''}`;
}

function firstSentence(doc: Doc | undefined): string {
  const [sentence = ''] = doc?.text.match(/^[\s\S]*?[.?](?=\s|$)/) ?? [];
  return sentence.replace(/\s+/g, ' ');
}

/** As GitHub makes them of headings. */
function anchor(name: string): string {
  return name.toLowerCase();
}
