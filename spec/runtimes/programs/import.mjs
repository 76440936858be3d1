import imported from './imported.mjs';
import scenario from './scenario.cjs';

await scenario(imported);
console.log('served');
