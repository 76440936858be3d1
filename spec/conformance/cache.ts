import { homedir } from 'node:os';
import { join } from 'node:path';

export const VERSION = 'v1.0.7';

/** Where the runner is, and the logs of what it said last. */
export const cache: string = join(
  process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
  'leat-conformance',
  VERSION,
);
