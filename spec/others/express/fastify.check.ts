import { checkTogether } from './together.ts';

await checkTogether('fastify.ts', false);
