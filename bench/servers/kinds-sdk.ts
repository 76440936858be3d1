import type { Contender } from './contender.ts';
import { serve as serveKinds } from './kinds.ts';
import { startSdk } from './sdk.ts';

/** The same with an SDK of OpenTelemetry, which makes spans and counts what its layers tell. */
export function serve(layers: number): Promise<Contender> {
  startSdk();
  return serveKinds(layers);
}
