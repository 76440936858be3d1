import type { Scenario } from '../lab.ts';
import { numbers } from '../services.ts';
import { floored, speedRows, throughput } from './throughput.ts';

const contenders = ['hand-written', 'nice-grpc', 'produce', 'mount'];

const floors = [
  ['produce', 3, 'hand-written'],
  ['mount', 3, 'hand-written'],
] as const;

export const streams16: Scenario = async options => {
  const speeds = await throughput({ contenders, request: numbers, streams: 16 }, options);
  return {
    tables: [{ title: '16 streams on one connection', rows: speedRows(speeds) }],
    promises: floored(speeds, floors),
  };
};
