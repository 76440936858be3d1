import { numbersSync } from '../sources.ts';
import type { Contender } from './contender.ts';
import { serveWith } from './otel.ts';

export const serve = (count: number): Promise<Contender> => serveWith(numbersSync, count);
