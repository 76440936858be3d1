import { inspect } from 'node:util';

/** Fails the test during which something escaped that would have killed a process, or that means a leak. */
const escaped: unknown[] = [];

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
};
