import type { Column } from './row.ts';

export const ours: readonly Column[] = ['mount', 'wrap', 'interceptor'];

const UNSEEN =
  'an interceptor stands below the handler, and what it rejects with never comes there: `wrap` sees it';
const UNCAUGHT = 'nothing of the call has this error: Node ends the process, and leat sets no global handler';

/** What fails in our own columns, and why that is so. */
export const known: Readonly<Record<string, string>> = {
  'is `async` and rejects': UNSEEN,
  'is `async` and rejects after a message': UNSEEN,
  'calls `destroy(error)`':
    'grpc-js tells an interceptor nothing of a stream that was destroyed: `wrap` sees it',
  'returns, and never ends its call':
    'a handler might go on by a callback, so nobody ends it but a deadline, a drain, or `limits({ maxStreamAgeMs })`',
  'ignores `drain`':
    'what a handler writes is kept for its client; `write` answers `false`, and it does not look',
  'sends a message with a compression flag and no compression':
    'grpc-js decodes requests, and takes such a message as it is',
  'has a promise that rejects and that nobody waits for': UNCAUGHT,
  'has a timer that throws': UNCAUGHT,
};
