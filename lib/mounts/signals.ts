import { constants } from 'node:os';

/** npm passes on a SIGINT that the terminal sent to all: the same press of a key comes twice within this time. */
const SAME_PRESS_MS = 50;

/** What is to be done at each signal. The process has one listener for each of these, however many servers. */
const heard = new Map<NodeJS.Signals, Set<() => void>>();

/** When the process was first told to stop, while that is still being done. */
let toldAt: number | undefined;

/** Runs `stop` at each of these signals, until the answer is called. */
export function onSignals(signals: readonly NodeJS.Signals[], stop: () => void): () => void {
  for (const signal of signals) {
    const stops = heard.get(signal) ?? new Set();
    if (stops.size === 0) process.on(signal, listen);
    heard.set(signal, stops.add(stop));
  }
  return () => {
    for (const signal of signals) {
      const stops = heard.get(signal);
      if (stops?.delete(stop) && stops.size === 0) process.off(signal, listen);
    }
    if ([...heard.values()].every(stops => stops.size === 0)) toldAt = undefined;
  };
}

function listen(signal: NodeJS.Signals): void {
  const now = performance.now();
  // Whoever presses Ctrl-C again does not want to wait.
  if (signal === 'SIGINT' && toldAt !== undefined && now - toldAt > SAME_PRESS_MS) return end(signal);
  toldAt ??= now;
  for (const stop of heard.get(signal) ?? []) stop();
}

/** Ends the process as the signal does where nobody listens for it. */
function end(signal: NodeJS.Signals): void {
  process.off(signal, listen);
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  else process.exit(128 + constants.signals[signal]);
}
