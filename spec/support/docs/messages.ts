import { readdirSync, readFileSync } from 'node:fs';
import { root } from './pages.ts';

/** What a page of messages says that one might see: the code in the first column of its tables, in parts around `…`. */
export function namedBy(page: string): string[] {
  const cells = page.split('\n').flatMap(line => /^\| (.*?[^\\]) \|/.exec(line)?.[1] ?? []);
  const messages = cells.flatMap(cell => [...cell.matchAll(/`([^`]+)`/g)].map(([, message = '']) => message));
  return messages.filter(message => /\w \w/.test(message)).flatMap(message => message.split('…'));
}

/** All text of which a message might be: of ours, and of grpc-js. */
export function sources(): string {
  return [
    ...read('lib', '.ts'),
    ...read('middleware', '.ts'),
    ...read('node_modules/@grpc/grpc-js/build/src', '.js'),
  ]
    .join('\n')
    .replaceAll("\\'", "'");
}

/** What clients read of ours, as far as it is written out where it is thrown. */
export function statuses(): string[] {
  const ours = [...read('lib', '.ts'), ...read('middleware', '.ts')].map(text =>
    text.replace(/^\s*\*.*$/gm, ''),
  );
  const thrown =
    /(?:StatusError\(\s*(?:status\.\w+|[A-Z_]+|code)|limited\(\s*(?:status\.)?[A-Z_]+),\s*(['`])(.*?)\1/gs;
  return ours
    .flatMap(text => [...text.matchAll(thrown)].map(([, , message = '']) => message))
    .flatMap(message => message.split(/\$\{.*?\}/))
    .map(part => part.trim())
    .filter(part => /\w \w/.test(part));
}

function read(folder: string, ending: string): string[] {
  return readdirSync(`${root}/${folder}`, { encoding: 'utf8', recursive: true })
    .filter(file => file.endsWith(ending))
    .map(file => readFileSync(`${root}/${folder}/${file}`, 'utf8'));
}
