import type { Example } from './example.ts';
import { numbers } from './numbers.ts';
import { values } from './values.ts';

/** All of them, by the name of their client. */
export const examples: Record<string, Example> = { numbers, values };
