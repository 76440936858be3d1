/** Loads all entries of the package but that of NATS, says what of NATS came with them, and then loads that. */
import { createRequire } from 'node:module';

const { exports } = createRequire(import.meta.url)('../../package.json') as { exports: object };
const entries = Object.keys(exports).filter(entry => !/nats|package\.json/.test(entry));
for (const entry of entries) await import(`leat${entry.slice(1)}`);
// These packages are CommonJS: whoever loads one finds it here.
const loaded = () => Object.keys(createRequire(import.meta.url).cache).filter(path => /@nats-io/.test(path));
const before = loaded();
await import('leat/nats');
console.log(JSON.stringify({ before, after: loaded().length > 0 }));
