/** A user's server in TypeScript, as each module mode compiles it: types flow, and what must not compile does not. */
import {
  credentials,
  type MethodDefinition,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  status,
} from '@grpc/grpc-js';
import { type Call, drain, key, mount, produce, StatusError } from 'leat';
import { batch } from 'leat/batch';
import { errors } from 'leat/errors';
import { from } from 'leat/sources';

interface Request {
  max: number;
}

interface Response {
  num: number;
}

interface ListNumbers extends MethodDefinition<Request, Response> {
  requestStream: false;
  responseStream: true;
}

const listNumbers: ListNumbers = {
  path: '/typed.Numbers/ListNumbers',
  requestStream: false,
  responseStream: true,
  requestSerialize: (value: Request) => Buffer.from(JSON.stringify(value)),
  requestDeserialize: (bytes: Buffer): Request => JSON.parse(String(bytes)),
  responseSerialize: (value: Response) => Buffer.from(JSON.stringify(value)),
  responseDeserialize: (bytes: Buffer): Response => JSON.parse(String(bytes)),
};

const user = key<string>('user');

export function wrong(server: Server): void {
  mount(
    server,
    { listNumbers },
    {
      // @ts-expect-error a message of another kind
      async *listNumbers() {
        yield { text: 'no number' };
      },
    },
  );
  // @ts-expect-error no such option
  batch({ maxItem: 1 });
}

export const other = produce(async function* ({ max }: Request, call: Call<Request>) {
  yield* from([{ num: call.request.max - max }]);
});

async function main(): Promise<void> {
  const server = new Server();
  mount(
    server,
    { listNumbers },
    {
      async *listNumbers({ max }, call) {
        call.values.set(user, 'ada');
        for (let num = 1; num <= max; num++) yield { num };
        if (max === 0) throw new StatusError(status.OUT_OF_RANGE, `nothing for ${call.values.get(user)}`);
      },
    },
    errors(),
  );
  const port = await new Promise<number>((bound, failed) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error ? failed(error) : bound(port),
    );
  });
  const Client = makeGenericClientConstructor({ listNumbers }, 'Numbers');
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  let sum = 0;
  const read = async (max: number) => {
    const answer = client.listNumbers?.({ max }) as AsyncIterable<Response>;
    for await (const { num } of answer) sum += num;
  };
  await read(3);
  const failed = await read(0).catch((error: { details: string }) => error.details);
  client.close();
  await drain(server);
  if (sum === 6 && failed === 'nothing for ada') console.log('served');
}

void main();
