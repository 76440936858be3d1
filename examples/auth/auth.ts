import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { type Call, key, type Middleware, StatusError } from 'leat';

export interface User {
  readonly name: string;
  readonly roles: readonly string[];
}

/** Who is calling: set by `auth()`, and read by methods and by the log. */
export const user = key<User>('user');

/** Lets in those who can be told who they are, and who have the role that the method asks for, if it does. */
export function auth(
  identify: (call: Call) => Promise<User | undefined>,
  roles: Record<string, string>,
): Middleware {
  return async function auth(call) {
    const found = await identify(call);
    if (!found) throw new StatusError(status.UNAUTHENTICATED, 'who are you?');
    call.values.set(user, found);
    const role = roles[call.path];
    if (role !== undefined && !found.roles.includes(role))
      throw new StatusError(status.PERMISSION_DENIED, `${found.name} is no ${role}`);
  };
}

const ann: User = { name: 'ann', roles: ['reader', 'admin'] };
const bob: User = { name: 'bob', roles: ['reader'] };

/** A database would have hashes of tokens only, too: what leaks from there opens nothing. */
const byHash = new Map([
  [hashOf('token-of-ann'), ann],
  [hashOf('token-of-bob'), bob],
]);

/** By `authorization: Bearer TOKEN`, which is looked up somewhere else. */
export async function byToken({ metadata, signal }: Call): Promise<User | undefined> {
  const [, token] = /^Bearer (\S+)$/i.exec(String(metadata.get('authorization')[0] ?? '')) ?? [];
  if (token === undefined) return undefined;
  await wait(5, undefined, { signal });
  return byHash.get(hashOf(token));
}

/** By a certificate that our authority has signed: grpc-js lets in no other. */
export async function byCertificate({ authContext }: Call): Promise<User | undefined> {
  const name = authContext.sslPeerCertificate?.subject.CN;
  return [ann, bob].find(one => one.name === name);
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
