/**
 * Checks the promises of some scenarios in short runs, for CI. Noise breaks a promise now and then, and by a little:
 * it fails only when one is missed by more than `slack` in each of `runs` runs, and stops when that cannot be any more.
 */

import { kept, type Options, type Promised } from './lab.ts';
import { header, sentence } from './report.ts';
import { choose } from './scenarios/index.ts';

const slack = 1.5;
const runs = 3;
const options: Options = { rounds: 3, scale: 0.1 };
/** Quick, and calm enough: fan-out is not warm in so short a run, and most of a first message is the kernel's. */
const names = ['one-stream', 'idle-heap'];
const chosen = choose(process.argv.length > 2 ? process.argv.slice(2) : names);

console.log(header());
for (const [, scenario] of chosen) {
  let missed: Promised[] | undefined;
  for (let run = 0; run < runs && missed?.length !== 0; run++) {
    const { promises = [] } = await scenario(options);
    for (const promise of promises) console.log(sentence(promise));
    const now = promises.filter(promise => !kept(promise, slack));
    missed = missed ? now.filter(({ what }) => missed?.some(before => before.what === what)) : now;
  }
  for (const { what } of missed ?? []) {
    console.error(`Broken: ${what}: missed by more than ${slack} times in each of ${runs} runs`);
    process.exitCode = 1;
  }
}
