import { register } from 'node:module';

// node --import: everybody who imports grpc-js gets the oldest version that is allowed.
register('./oldest-hook.mjs', import.meta.url);
