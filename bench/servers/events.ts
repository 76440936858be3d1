import type { Contender } from './contender.ts';
import { serveBy } from './web.ts';

export const serve = (): Promise<Contender> => serveBy({ by: 'events', http: 2 });
