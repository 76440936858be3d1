import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { service as health } from 'grpc-health-check';
import { killPrograms, type Serving, serveExamples } from '../support/program.ts';
import { Reflection } from '../support/reflect.ts';

/** The services of the examples, and their methods. */
const contracts: Record<string, string[]> = {
  'tutorial.NumberService': ['ListNumbers'],
  'protobuf.StreamService': ['FetchResponse'],
  'example.LogService': ['GetLogs', 'StreamLogs', 'ArchiveLogs'],
  'streamservice.StreamService': ['SubscribeToUpdates', 'StreamQueryResults', 'WatchJobProgress', 'TailLogs'],
  StreamServer: ['ListValue'],
  'routeguide.RouteGuide': ['GetFeature', 'ListFeatures', 'RecordRoute', 'RouteChat'],
};

/** Of those that do not stream from the server alone. */
const kinds: Record<string, string> = {
  GetFeature: 'unary',
  RecordRoute: 'client_streaming',
  RouteChat: 'bidi_streaming',
};

describe('examples: health and reflection', function () {
  this.timeout(20_000);
  let server: Serving;
  before(async () => {
    server = await serveExamples();
  });
  after(() => killPrograms());

  describe('health', () => {
    const Health = grpc.makeClientConstructor(health, 'Health');
    let client: any;
    beforeEach(() => {
      client = new Health(server.address, grpc.credentials.createInsecure());
    });
    afterEach(() => client.close());

    const check = (service: string) =>
      new Promise<any>(resolve => {
        client.check({ service }, (error: grpc.ServiceError | null, answer: any) => resolve(error ?? answer));
      });

    for (const service of ['', ...Object.keys(contracts)])
      it(`says that '${service}' is serving, once and to who watches`, async () => {
        expect(await check(service)).to.deep.equal({ status: 'SERVING' });
        const watching: grpc.ClientReadableStream<any> = client.watch({ service });
        watching.on('error', () => {});
        const first = await new Promise(resolve => watching.once('data', resolve));
        watching.cancel();
        expect(first).to.deep.equal({ status: 'SERVING' });
      });

    it('does not know of other services', async () => {
      expect(await check('example.NoService')).to.include({ code: grpc.status.NOT_FOUND });
    });
  });

  for (const version of ['v1', 'v1alpha'] as const)
    describe(`reflection ${version}`, () => {
      let reflection: Reflection;
      beforeEach(() => {
        reflection = new Reflection(server.address, version);
      });
      afterEach(() => reflection.close());

      it('lists the services by the names they are called by', async () => {
        const reflected = ['v1', 'v1alpha'].map(each => `grpc.reflection.${each}.ServerReflection`);
        const names = [...Object.keys(contracts), 'grpc.health.v1.Health', ...reflected];
        expect(await reflection.services()).to.have.members(names);
      });

      for (const [service, methods] of Object.entries(contracts))
        it(`describes ${service} and all it is made of`, async () => {
          const described = (await reflection.registryOf(service)).getService(service);
          expect(described?.methods.map(({ name, methodKind }) => ({ name, methodKind }))).to.deep.equal(
            methods.map(name => ({ name, methodKind: kinds[name] ?? 'server_streaming' })),
          );
        });

      it('describes fields as their contract has them', async () => {
        const registry = await reflection.registryOf('streamservice.Update');
        const fields = registry.getMessage('streamservice.Update')?.fields.map(field => {
          const type = field.message?.typeName ?? field.fieldKind;
          return `${field.name} = ${field.number}: ${type}`;
        });
        expect(fields).to.deep.equal([
          'topic = 1: scalar',
          'message = 2: scalar',
          'timestamp = 3: google.protobuf.Timestamp',
          'metadata = 4: map',
          'sequence = 5: scalar',
        ]);
        const { fields: asked } = registry.getMessage('streamservice.LogRequest') ?? {};
        expect(asked?.map(({ name }) => name)).to.deep.equal([
          'service_name',
          'log_level',
          'lines',
          'follow',
        ]);
      });

      it('describes itself', async () => {
        const service = `grpc.reflection.${version}.ServerReflection`;
        const described = (await reflection.registryOf(service)).getService(service);
        expect(described?.methods.map(({ name, methodKind }) => ({ name, methodKind }))).to.deep.equal([
          { name: 'ServerReflectionInfo', methodKind: 'bidi_streaming' },
        ]);
      });

      it('gives fields the JSON names that protoc gives them', async () => {
        const names: Record<string, string[]> = {
          'streamservice.LogRequest': ['serviceName', 'logLevel', 'lines', 'follow'],
          'streamservice.QueryResult': ['rows', 'batchNumber', 'totalBatches', 'isLast'],
          StreamResponse: ['streamValue'],
          'grpc.reflection.v1.ExtensionRequest': ['containingType', 'extensionNumber'],
        };
        for (const [message, fields] of Object.entries(names)) {
          const registry = await reflection.registryOf(message);
          expect(registry.getMessage(message)?.fields.map(({ jsonName }) => jsonName)).to.deep.equal(fields);
        }
        const registry = await reflection.registryOf('streamservice.Update');
        const unnamed = [...registry].flatMap(type =>
          type.kind === 'message' ? type.fields.filter(({ proto }) => proto.jsonName === '') : [],
        );
        expect(unnamed).to.deep.equal([]);
      });

      it('describes a method by its own name', async () => {
        const registry = await reflection.registryOf('example.LogService.StreamLogs');
        expect(registry.getService('example.LogService')).to.not.equal(undefined);
      });

      it('does not know of other names', async () => {
        const error = await reflection.registryOf('example.NoService').catch(error => error);
        expect(error)
          .to.be.instanceOf(Error)
          .with.property('message', '5 Symbol not found: example.NoService');
      });
    });
});
