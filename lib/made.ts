/** By name, as there may be a second copy of this package. */
const maker: unique symbol = Symbol.for('leat.maker') as never;
const made: unique symbol = Symbol.for('leat.made') as never;
const intercepts: unique symbol = Symbol.for('leat.interceptor') as never;

/** Says that a function makes middleware, and is none itself. */
export function makes(func: (...options: never[]) => unknown): void {
  Object.defineProperty(func, maker, { value: true });
}

/** Says that a function is a middleware, and no handler. */
export function middleware<M extends (...args: never[]) => unknown>(func: M): M {
  return Object.defineProperty(func, made, { value: true });
}

interface Named {
  readonly name: string;
}

/** Whether it is to be called to get a middleware, as `tracing` is. */
export function isMaker(value: unknown): value is Named {
  return typeof value === 'function' && maker in value;
}

/** Whether it is a middleware for certain; one that a user wrote does not show. */
export function isMiddleware(value: unknown): boolean {
  return typeof value === 'function' && made in value;
}

/** Says that a function is an interceptor of grpc-js, and no middleware. */
export function interceptorOf<I extends (...args: never[]) => unknown>(func: I): I {
  return Object.defineProperty(func, intercepts, { value: true });
}

export function isInterceptor(value: unknown): boolean {
  return typeof value === 'function' && intercepts in value;
}
