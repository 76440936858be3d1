import {
  type ChannelCredentials,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  status,
} from '@grpc/grpc-js';
import { drain, mount, serverOptions } from 'leat';
import { subscribe } from 'leat/client';
import { logging } from 'leat/logging';
import { auth, byCertificate, byToken, user } from './auth/auth.ts';
import { type Authority, authority } from './auth/certificates.ts';
import type { Showpiece } from './example.ts';
import { example } from './protos.ts';
import { bind } from './server.ts';

const { service } = example.LogService;

/** Who may read which logs: by a token on one port, by a certificate on the other. */
export const authExample: Showpiece = {
  usage: '',
  flags: {},
  async show({ print }) {
    const signing = authority();
    const { server, address, tlsAddress } = await serve(signing, line => print(`    [server] ${line}`));

    const ask = async (who: string, method: 'getLogs' | 'streamLogs', call: Asking) => {
      const client = new example.LogService(
        call.address ?? address,
        call.credentials ?? plain,
        call.options ?? {},
      );
      try {
        const logs = subscribe(
          client,
          method,
          {},
          { metadata: call.metadata ?? new Metadata(), maxAttempts: 1 },
        );
        for await (const { message } of logs) print(`${who}, ${method}: ${message}`);
      } catch (error) {
        const { code, details } = error as { code: status; details: string };
        print(`${who}, ${method}: ${status[code]}: ${details}`);
      }
      client.close();
    };

    await ask('nobody', 'getLogs', {});
    await ask('bob', 'getLogs', token('token-of-bob'));
    await ask('bob', 'streamLogs', token('token-of-bob'));
    await ask('ann', 'streamLogs', token('token-of-ann'));
    for (const name of ['ann', 'eve']) {
      const call = certificate(signing, name);
      await ask(`${name}, by certificate`, 'streamLogs', { ...call, address: tlsAddress });
    }
    await drain(server);
  },
};

/** One server on two ports: whoever is told by a certificate needs no token. */
export async function serve(signing: Authority, log: (line: string) => void) {
  const server = new Server(serverOptions());
  const write = (_text: string, { path, user, code }: Record<string, unknown>) =>
    log(`${path}, user ${user ?? '-'}: ${code}`);
  mount(
    server,
    service,
    {
      *getLogs(_request, { values }) {
        yield { message: `a log for ${values.get(user).name}` };
      },
      *streamLogs(_request, { values }) {
        yield { message: `a secret log for ${values.get(user).name}` };
      },
    },
    logging({
      logger: { debug: write, info: write, warn: write, error: write },
      start: false,
      fields: ({ values }) => (values.has(user) ? { user: values.get(user).name } : {}),
    }),
    auth(async call => (await byCertificate(call)) ?? byToken(call), { [service.StreamLogs.path]: 'admin' }),
  );
  const address = await bind(server, '127.0.0.1', 0);
  const { key, certificate } = signing.identity('localhost');
  const pairs = [{ private_key: key, cert_chain: certificate }];
  const tls = ServerCredentials.createSsl(signing.certificate, pairs, true);
  return { server, address, tlsAddress: await bind(server, '127.0.0.1', 0, tls) };
}

/** What a call is made with. */
interface Asking {
  readonly address?: string;
  readonly credentials?: ChannelCredentials;
  readonly options?: object;
  readonly metadata?: Metadata;
}

const plain = credentials.createInsecure();

function token(text: string): Asking {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${text}`);
  return { metadata };
}

function certificate(signing: Authority, name: string): Asking {
  const { key, certificate } = signing.identity(name);
  return {
    credentials: credentials.createSsl(signing.certificate, key, certificate),
    options: { 'grpc.ssl_target_name_override': 'localhost' },
  };
}
