import { checkTogether } from './together.ts';

await checkTogether('main.ts', true);
