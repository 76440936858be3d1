import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

type Methods = Record<string, (...args: never[]) => unknown>;

/** The methods a child process answers, as its parent calls them. */
export type Remote<Api extends Methods> = {
  [Name in keyof Api]: (...args: Parameters<Api[Name]>) => Promise<Awaited<ReturnType<Api[Name]>>>;
} & Disposable;

interface Ask {
  id: number;
  method: string;
  args: never[];
}

interface Answer {
  id: number;
  result?: unknown;
  error?: string;
}

/** In the child: answers its parent's calls, and leaves when the parent does. */
export function expose(methods: Methods): void {
  process.on('message', async ({ id, method, args }: Ask) => {
    const answer = (rest: object) => process.connected && process.send?.({ id, ...rest });
    try {
      answer({ result: await methods[method]?.(...args) });
    } catch (error) {
      answer({ error: String(error) });
    }
  });
  process.on('disconnect', () => process.exit());
  process.send?.('ready');
}

/** Starts a script beside this one, on the same Node, and resolves when it is ready to answer. */
export async function start<Api extends Methods>(script: string, ...args: string[]): Promise<Remote<Api>> {
  const path = new URL(`${script}.js`, import.meta.url);
  const child = fork(path, args, { execArgv: [...process.execArgv, '--expose-gc'] });
  const calls = new Map<number, (answer: Answer) => void>();
  const name = [script, ...args].join(' ');
  await Promise.race([once(child, 'message'), failure(child, name)]);

  child.on('message', (answer: Answer) => {
    calls.get(answer.id)?.(answer);
    calls.delete(answer.id);
  });
  child.on('exit', code => {
    for (const answer of calls.values()) answer({ id: 0, error: `exited with ${code}` });
  });

  let id = 0;
  const call = (method: string, callArgs: unknown[]) =>
    new Promise((resolve, reject) => {
      calls.set(++id, ({ result, error }) => {
        if (error === undefined) resolve(result);
        else reject(new Error(`${name}: ${method}: ${error}`));
      });
      child.send({ id, method, args: callArgs });
    });

  return new Proxy({} as Remote<Api>, {
    get(_, method) {
      if (method === 'then') return undefined;
      if (method === Symbol.dispose) return () => child.disconnect();
      return (...callArgs: unknown[]) => call(String(method), callArgs);
    },
  });
}

async function failure(child: ChildProcess, name: string): Promise<never> {
  const [code] = await once(child, 'exit');
  throw new Error(`${name} exited with ${code} before it was ready`);
}
