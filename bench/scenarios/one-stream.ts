import type { Scenario } from '../lab.ts';
import { numbers } from '../services.ts';
import { speedRows, throughput } from './throughput.ts';

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

export const oneStream: Scenario = async options => {
  const speeds = await throughput({ contenders, request: numbers }, options);
  return { tables: [{ title: 'One stream of small messages', rows: speedRows(speeds) }] };
};
