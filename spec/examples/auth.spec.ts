import { X509Certificate } from 'node:crypto';
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { authority } from '../../examples/auth/certificates.ts';
import { serve } from '../../examples/auth.ts';
import { example } from '../../examples/protos.ts';
import { drain } from '../../lib/index.ts';
import { all, watch } from '../support/examples.ts';
import { until } from '../support/harness.ts';
import { killPrograms, run } from '../support/program.ts';

const signing = authority();

describe('examples: auth', function () {
  this.timeout(20_000);
  let served: Awaited<ReturnType<typeof serve>>;
  const logged: string[] = [];
  const clients: grpc.Client[] = [];

  before(async () => {
    served = await serve(signing, line => logged.push(line.replace('/example.LogService/', '')));
  });
  beforeEach(() => {
    logged.length = 0;
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });
  after(async () => {
    await drain(served.server, { graceMs: 100 });
    await killPrograms();
  });

  const connect = (address: string, credentials = grpc.credentials.createInsecure()) => {
    const options = { 'grpc.ssl_target_name_override': 'localhost' };
    const client = new example.LogService(address, credentials, options);
    clients.push(client);
    return client;
  };
  const withToken = (authorization: string) => {
    const metadata = new grpc.Metadata();
    if (authorization) metadata.set('authorization', authorization);
    return metadata;
  };
  const answerOf = async (call: grpc.ClientReadableStream<{ message: string }>) => {
    const { code, details, messages } = await all(call);
    return code === grpc.status.OK
      ? messages.map(({ message }) => message)
      : `${grpc.status[code]}: ${details}`;
  };

  it('shows who may read what, by token and by certificate', async () => {
    const { code, stderr, stdout } = await run('examples/client.ts', 'auth');
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
    expect(stdout.split('\n').slice(0, -1)).to.deep.equal([
      '    [server] /example.LogService/GetLogs, user -: UNAUTHENTICATED',
      'nobody, getLogs: UNAUTHENTICATED: who are you?',
      '    [server] /example.LogService/GetLogs, user bob: OK',
      'bob, getLogs: a log for bob',
      '    [server] /example.LogService/StreamLogs, user bob: PERMISSION_DENIED',
      'bob, streamLogs: PERMISSION_DENIED: bob is no admin',
      '    [server] /example.LogService/StreamLogs, user ann: OK',
      'ann, streamLogs: a secret log for ann',
      '    [server] /example.LogService/StreamLogs, user ann: OK',
      'ann, by certificate, streamLogs: a secret log for ann',
      '    [server] /example.LogService/StreamLogs, user -: UNAUTHENTICATED',
      'eve, by certificate, streamLogs: UNAUTHENTICATED: who are you?',
    ]);
  });

  describe('by a token', () => {
    const nobody = 'UNAUTHENTICATED: who are you?';
    for (const [authorization, read, secret] of [
      ['', nobody, nobody],
      ['Bearer', nobody, nobody],
      ['Bearer token-of-eve', nobody, nobody],
      ['Basic token-of-ann', nobody, nobody],
      ['Bearer token-of-bob', ['a log for bob'], 'PERMISSION_DENIED: bob is no admin'],
      ['bearer token-of-ann', ['a log for ann'], ['a secret log for ann']],
    ] as const)
      it(`answers to '${authorization}'`, async () => {
        const client = connect(served.address);
        const metadata = withToken(authorization);
        expect(await answerOf(client.getLogs({}, metadata))).to.deep.equal(read);
        expect(await answerOf(client.streamLogs({}, metadata))).to.deep.equal(secret);
      });

    it('does not run the method of a client that leaves while its token is looked up', async () => {
      const call = watch(connect(served.address).getLogs({}, withToken('Bearer token-of-ann')));
      call.stream.cancel();
      const { code, messages } = await call.ended;
      expect({ code, messages }).to.deep.equal({ code: grpc.status.CANCELLED, messages: [] });
      const next = connect(served.address);
      expect(await answerOf(next.getLogs({}, withToken('Bearer token-of-bob')))).to.deep.equal([
        'a log for bob',
      ]);
      await until('both are in the log', () => logged.at(-1) === 'GetLogs, user bob: OK');
      expect(logged.filter(line => line.includes('user ann'))).to.deep.equal([]);
    });
  });

  describe('by a certificate', () => {
    const certified = (name: string, by = signing) => {
      const { key, certificate } = by.identity(name);
      return connect(served.tlsAddress, grpc.credentials.createSsl(signing.certificate, key, certificate));
    };

    it('knows who is who, and needs no token', async () => {
      expect(await answerOf(certified('ann').streamLogs({}))).to.deep.equal(['a secret log for ann']);
      const denied = 'PERMISSION_DENIED: bob is no admin';
      expect(await answerOf(certified('bob').streamLogs({}))).to.equal(denied);
      expect(await answerOf(certified('eve').getLogs({}))).to.equal('UNAUTHENTICATED: who are you?');
      expect(logged).to.deep.equal([
        'StreamLogs, user ann: OK',
        'StreamLogs, user bob: PERMISSION_DENIED',
        'GetLogs, user -: UNAUTHENTICATED',
      ]);
    });

    it('lets nobody in who has none of our authority', async () => {
      const without = connect(served.tlsAddress, grpc.credentials.createSsl(signing.certificate));
      for (const client of [without, certified('ann', authority())]) {
        expect(await answerOf(client.getLogs({}))).to.match(/^UNAVAILABLE: /);
      }
      expect(logged).to.deep.equal([]);
    });

    it('makes certificates that hold what they should', () => {
      const root = new X509Certificate(signing.certificate);
      const leaf = new X509Certificate(signing.identity('localhost').certificate);
      expect({ ca: root.ca, leaf: leaf.ca }).to.deep.equal({ ca: true, leaf: false });
      expect(leaf.checkIssued(root) && leaf.verify(root.publicKey)).to.equal(true);
      expect(leaf.checkHost('localhost')).to.equal('localhost');
      expect(leaf.subject).to.equal('CN=localhost');
    });
  });
});
