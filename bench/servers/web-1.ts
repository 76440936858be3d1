import type { Contender } from './contender.ts';
import { serveBy } from './web.ts';

export const serve = (): Promise<Contender> => serveBy({ by: 'grpc-web', http: 1 });
