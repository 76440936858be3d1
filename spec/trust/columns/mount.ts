import { Server } from '@grpc/grpc-js';
import { type Call, drain, mount, StatusError } from 'leat';
import type { Source } from '../row.ts';
import { Trust } from '../service.ts';
import { type Given, GRACE_MS, listen, optionsOf, type Served } from './column.ts';
import { layersOf } from './layers.ts';

export async function serve(given: Given): Promise<Served> {
  const server = new Server(optionsOf(given.row));
  const methods = { hostile: method(given.source), next: method(given.next) };
  mount(server, Trust, methods, ...layersOf(given.row));
  return { port: await listen(server), shutDown: () => drain(server, { graceMs: GRACE_MS }) };
}

function method(source: Source): (request: unknown, call: Call) => any {
  return (_request, call) =>
    source({
      // Looked at only by sources that do: one that never did ends well in a drain.
      get signal() {
        return call.signal;
      },
      header: (key, value) => call.header.set(key, value),
      trailer: (key, value) => call.trailer.set(key, value),
      sendHeader: () => call.sendHeader(),
      status: (code, details) => new StatusError(code, details),
    });
}
