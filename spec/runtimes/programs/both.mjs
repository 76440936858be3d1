import imported from './imported.mjs';
import required from './required.cjs';
import scenario from './scenario.cjs';

await scenario(imported, required);
await scenario(required, imported);
console.log('served');
