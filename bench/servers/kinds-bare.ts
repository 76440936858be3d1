import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleUnaryCall,
  Server,
} from '@grpc/grpc-js';
import { Kinds } from '../services.ts';
import type { Num } from '../sources.ts';
import { type Contender, listen } from './contender.ts';
import { startSdk } from './sdk.ts';

const get: handleUnaryCall<Num, Num> = ({ request: { num } }, callback) => callback(null, { num });

const upload: handleClientStreamingCall<Num, Num> = (call, callback) => {
  let sum = 0;
  call.on('data', ({ num }) => {
    sum += num;
  });
  call.on('end', () => callback(null, { num: sum % 1000 }));
};

const echo: handleBidiStreamingCall<Num, Num> = call => {
  call.on('data', ({ num }) => {
    if (call.write({ num })) return;
    call.pause();
    call.once('drain', () => call.resume());
  });
  call.on('end', () => call.end());
};

const count: handleBidiStreamingCall<Num, Num> = call => {
  call.once('data', async ({ num: max }) => {
    for (let num = 1; num <= max; num++)
      if (!call.write({ num })) await new Promise(resolve => call.once('drain', resolve));
    call.end();
  });
};

/** With 1, beside OpenTelemetry, which nobody here uses. */
export async function serve(sdks: number): Promise<Contender> {
  if (sdks > 0) startSdk();
  const server = new Server();
  server.addService(Kinds, { get, upload, echo, count });
  return { port: await listen(server) };
}
