import type { Middleware } from 'leat';

const pass: Middleware = (_call, next) => ({
  message(message) {
    next.message(message);
  },
});

/** So many middleware that only pass messages on. */
export const passing = (count: number): Middleware[] => Array(count).fill(pass);
