import type { Reply, Running } from './harness.ts';

/** A reply, or a failure that says which case got none. */
export async function answered(
  server: Running,
  what: string,
  request: unknown = {},
  withinMs = 1500,
): Promise<Reply> {
  const calling = server.open(request);
  try {
    return await within(withinMs, `no status: ${what}`, calling.reply);
  } finally {
    calling.cancel();
  }
}

/** What a promise gives, or a failure when it takes longer. */
export async function within<T>(ms: number, message: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(message)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
