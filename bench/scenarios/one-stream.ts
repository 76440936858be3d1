import type { Scenario } from '../lab.ts';
import { numbers } from '../services.ts';
import { floored, speedRows, throughput } from './throughput.ts';

const contenders = [
  'hand-written',
  'readable-pipe',
  'nice-grpc',
  'connect-node',
  'produce',
  'produce-sync',
  'mount',
  'mount-sync',
  'wrap',
  'interceptor',
  'produce + 3 layers',
  'produce + 6 layers',
  'mount + 3 layers',
  'mount + 6 layers',
];

const floors = [
  ['produce', 8, 'hand-written'],
  ['produce', 8, 'nice-grpc'],
  ['produce', 5, 'connect-node'],
  ['produce-sync', 12, 'hand-written'],
  ['wrap', 6, 'hand-written'],
  ['interceptor', 6, 'hand-written'],
  // Each may take 50 ns, of a message that takes a microsecond or more.
  ['produce + 6 layers', 0.8, 'produce'],
  ['mount + 6 layers', 0.8, 'mount'],
] as const;

export const oneStream: Scenario = async options => {
  const speeds = await throughput({ contenders, request: numbers }, options);
  return {
    tables: [{ title: 'One stream of small messages', rows: speedRows(speeds) }],
    promises: floored(speeds, floors),
  };
};
