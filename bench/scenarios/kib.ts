import type { Scenario } from '../lab.ts';
import { chunks } from '../services.ts';
import { floored, speedRows, throughput } from './throughput.ts';

const contenders = ['hand-written', 'nice-grpc', 'produce', 'mount'];

const floors = [
  ['produce', 1, 'hand-written'],
  ['mount', 1, 'hand-written'],
] as const;

export const kib: Scenario = async options => {
  const speeds = await throughput({ contenders, request: count => chunks(count, 1024) }, options);
  return {
    tables: [{ title: 'One stream of 1 KiB messages', rows: speedRows(speeds) }],
    promises: floored(speeds, floors),
  };
};
