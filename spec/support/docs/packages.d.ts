/** Packages that pages of docs use and that are not installed here, as far as they use them. */
declare module 'vitest' {
  export function test(name: string, run: () => unknown): void;
  export function expect(value: unknown): { toEqual(other: unknown): void };
}

declare module 'kafkajs' {
  interface Consumer {
    connect(): Promise<void>;
    disconnect(): Promise<void>;
    subscribe(to: { topic: string }): Promise<void>;
    run(how: {
      autoCommit: boolean;
      eachMessage(payload: { message: { value: Buffer | null; offset: string } }): Promise<void>;
    }): Promise<void>;
    seek(to: { topic: string; partition: number; offset: string }): void;
  }
  export class Kafka {
    constructor(options: { brokers: string[] });
    consumer(options: { groupId: string }): Consumer;
  }
}

declare module 'redis' {
  interface Client {
    readonly isOpen: boolean;
    connect(): Promise<this>;
    destroy(): void;
    xRead(
      stream: { key: string; id: string },
      options: { BLOCK: number; COUNT: number },
    ): Promise<{ messages: { id: string; message: Record<string, string> }[] }[] | null>;
  }
  export function createClient(): Client;
}

declare module 'rxjs' {
  interface Observable<T> {
    subscribe(observer: { next(value: T): void; error(error: unknown): void; complete(): void }): {
      unsubscribe(): void;
    };
    pipe<A>(first: Operator<T, A>): Observable<A>;
    pipe<A, B>(first: Operator<T, A>, second: Operator<A, B>): Observable<B>;
  }
  type Operator<T, A> = (source: Observable<T>) => Observable<A>;
  export function interval(ms: number): Observable<number>;
  export function map<T, A>(change: (value: T) => A): Operator<T, A>;
  export function sampleTime<T>(ms: number): Operator<T, T>;
}

declare module 'openai' {
  interface Chunk {
    choices: { delta: { content?: string | null } }[];
  }
  export default class OpenAI {
    chat: {
      completions: {
        create(
          body: { model: string; messages: { role: 'user'; content: string }[]; stream: true },
          options: { signal: AbortSignal },
        ): Promise<AsyncIterable<Chunk>>;
      };
    };
  }
}
