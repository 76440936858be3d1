import { AsyncResource } from 'node:async_hooks';

/**
 * What waits for `process.nextTick` in Node 20, as an object of ours that lives for ever, so that its shape does. HTTP/2
 * asks for ten ticks a call. A collection at a moment when none waits drops their shape, and what makes them is slow from
 * then on: V8 takes the second shape that it sees there for one of many. That is 6 % of the CPU of a unary call.
 * Other versions have another shape, and this does nothing there. At import: what was slow once stays slow.
 */
export const tick: object = shapeOfTick();

function shapeOfTick(): object {
  const resource = new AsyncResource('leat.tick');
  const [id, trigger] = Object.getOwnPropertySymbols(resource);
  if (id === undefined || trigger === undefined) return {};
  // In this order, and with numbers of this kind.
  return {
    [id]: resource.asyncId(),
    [trigger]: resource.triggerAsyncId(),
    callback: () => {},
    args: undefined,
  };
}
