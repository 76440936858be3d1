import { inspect } from 'node:util';

/** Fails the test during which something escaped that would have killed a process, or that means a leak. */
const escaped: unknown[] = [];

/** How long what is left after the last test has to close, ms. */
const patience = Number(process.env.LEAT_PATIENCE_MS ?? 30_000);

/** How long the last test may have left code to compile in the background, ms. */
const compiling = 1000;

/** A leak must fail a run, not hang it; and neither must Node. */
function endsByItself(): void {
  setTimeout(failsIfHeldOpen, patience).unref();
  setTimeout(leavesNothingToNode, compiling);
}

/** Names what keeps the process alive after the last test, and ends it. */
function failsIfHeldOpen(): void {
  const handles = (process as unknown as { _getActiveHandles(): object[] })._getActiveHandles();
  console.error(`still open ${patience} ms after the last test:`, process.getActiveResourcesInfo());
  for (const handle of handles)
    if (!('_isStdio' in handle)) console.error(inspect(handle, { depth: 1 }).slice(0, 2000));
  // Mocha says at the exit that all passed.
  process.once('exit', () => {
    process.exitCode = 1;
  });
  process.exit();
}

/**
 * Node waits at its end for code that compiles in the background, and that for a collection by the main thread, which
 * waits for it: https://github.com/nodejs/node/issues/54918. So the loop stays until that is done, and room is made.
 */
function leavesNothingToNode(): void {
  globalThis.gc?.();
}

export const mochaHooks = {
  beforeAll(): void {
    process.on('unhandledRejection', error => escaped.push(error));
    process.on('warning', warning => {
      if (warning.name === 'MaxListenersExceededWarning') escaped.push(warning);
    });
  },
  afterEach(): void {
    const found = escaped.splice(0);
    if (found.length > 0) throw new Error(`escaped from a test: ${inspect(found[0])}`, { cause: found[0] });
  },
  afterAll: endsByItself,
};
