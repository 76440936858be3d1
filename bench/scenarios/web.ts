import type { Promised, Scenario } from '../lab.ts';
import { numbers } from '../services.ts';
import { floored, speedRows, throughput } from './throughput.ts';

const contenders = ['mount', 'web', 'web-1', 'connect-node-web', 'events', 'events-1', 'events-by-hand'];

const floors = [
  ['web', 1, 'mount'],
  ['web', 5, 'connect-node-web'],
  ['events-1', 1, 'events-by-hand'],
] as const;

/** For browsers: by gRPC-Web beside gRPC, and as events in JSON, over HTTP/2 and (`-1`) HTTP/1.1. */
export const web: Scenario = async options => {
  const speeds = await throughput({ contenders, request: numbers }, options);
  const rate: Promised = {
    what: 'events-1: events a second',
    measured: speeds.get('events-1')?.rate ?? Number.NaN,
    atLeast: 300_000,
  };
  return {
    tables: [{ title: 'One stream of small messages to a browser', rows: speedRows(speeds) }],
    promises: [...floored(speeds, floors), rate],
  };
};
