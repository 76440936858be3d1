/** Writes the reference and the report of the surface from what was built into dist/. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { missing } from './api/complete.ts';
import { pages } from './api/pages.ts';
import { report } from './api/report.ts';
import { read } from './api/surface.ts';

const surface = read('dist');
rmSync('docs/api', { recursive: true, force: true });
mkdirSync('docs/api');
for (const [name, text] of pages(surface)) writeFileSync(`docs/api/${name}`, text);
writeFileSync('docs/api-report.md', report(surface));
const lacking = missing(surface);
for (const line of lacking) console.error(line);
console.log(`Public exports: ${surface.subpaths.flatMap(({ items }) => items).length}`);
console.log(`Comments that lack something: ${lacking.length}`);
