import { callAbove, isOver } from './below.ts';

/** How many turns of the event loop a client that leaves may take to say so after it has closed its side. */
const TURNS = 2;

/**
 * Tells that a client has sent all, once that is what it means. One that leaves looks the same at first: HTTP/2 ends
 * what it sent, and only the stream that is closed by then shows that nothing is complete; a client of grpc-js closes
 * its side and resets the stream in the turn after. That there is no reset within two turns is no proof, but all that
 * can be had without a word from the client.
 */
export function halfClosed(link: unknown, tell: () => void): void {
  // An interceptor of ours has waited already.
  if (callAbove(link)) return tell();
  let turns = 0;
  const look = () => {
    if (isOver(link)) return;
    if (turns++ === TURNS) tell();
    else setImmediate(look);
  };
  look();
}
