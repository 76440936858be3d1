import { readdirSync, readFileSync } from 'node:fs';
import { entries as subpaths } from '../../tools/entries.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

/** The sources of what the package exports, by entry. */
function entries(): [entry: string, path: string][] {
  return [...subpaths].map(([name, source]) => [name === '.' ? './' : `./${name}`, `${source}.ts`]);
}

export function exportedTypes(): string[] {
  return entries().flatMap(([entry, path]) => {
    const text = read(path);
    const declared = [...text.matchAll(/export (?:interface|type) (\w*Options)\b/g)].map(([, name]) => name);
    const passed = [...text.matchAll(/export (?:type )?\{([^}]*)\}/g)].flatMap(([, list]) =>
      [...(list as string).matchAll(/\b(\w*Options)\b/g)].map(([, name]) => name),
    );
    return [...declared, ...passed]
      .filter(name => name !== 'serverOptions')
      .map(name => `${entry.replace(/\/?$/, '/')}${name}`);
  });
}

/** A member of a type: its comment, and its type as it is written. */
export interface Member {
  readonly name: string;
  readonly comment: string;
  readonly type: string;
}

/** The room of a type: all the text that its entry is made of. */
export function roomOf(type: string): string {
  const [, folder = ''] = /^\.\/(?:([\w-]+)\/)?(\w+)$/.exec(type) ?? [];
  const [, path = ''] = entries().find(([entry]) => entry === (folder ? `./${folder}` : './')) ?? [];
  const beside = path.endsWith('index.ts') ? path.replace('index.ts', '') : 'middleware/';
  const files = readdirSync(new URL(beside, root), { recursive: true, encoding: 'utf8' });
  return files
    .filter(
      file => file.endsWith('.ts') && (beside !== 'lib/' || !/^(sources|client|testing|web)\//.test(file)),
    )
    .map(file => read(`${beside}${file}`))
    .join('\n');
}

/** The members of a type, and of those that it extends or stands for. */
export function members(type: string): Member[] {
  const text = roomOf(type);
  const of = (wanted: string): Member[] => {
    const [, alias] = new RegExp(`type ${wanted} = (\\w+);`).exec(text) ?? [];
    if (alias) return of(alias);
    const [, parent, body = ''] =
      new RegExp(`interface ${wanted}(?:<[^{]*>)?(?: extends (\\w+))? \\{\\n(.*?)\\n\\}`, 's').exec(text) ??
      [];
    const own = [...body.matchAll(/^ {2}\/\*\*((?:(?!\*\/).)*)\*\/\n {2}readonly (\w+)\??: (.*?);$/gms)].map(
      ([, comment = '', name = '', type = '']) => ({
        name,
        comment: comment.replace(/\s*\n\s*\*\s*/g, ' ').trim(),
        type,
      }),
    );
    return parent ? [...of(parent), ...own] : own;
  };
  return of(type.replace(/.*\//, ''));
}
