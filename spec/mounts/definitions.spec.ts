import { createRequire } from 'node:module';
import * as grpc from '@grpc/grpc-js';
import { fromJSON, loadSync } from '@grpc/proto-loader';
import { expect } from 'chai';
import { type Methods, mount } from '../../lib/index.ts';
import type { ProtoGrpcType } from '../../proto/generated/route_book.ts';
import { file_route_book, PointSchema, RouteBook } from '../generators/protobuf-es/route_book_pb.ts';
import { start, stopAll } from '../support/harness.ts';

const { pathname } = new URL('../generators/route_book.proto', import.meta.url);
const loaded = loadSync(pathname, { longs: String });
const pkg = grpc.loadPackageDefinition(loaded) as unknown as ProtoGrpcType;
const RouteBookClient = pkg.book.v1.RouteBook;

const methods: Methods<typeof RouteBookClient> = {
  getFeature: ({ latitudeE7 }) => ({ name: latitudeE7 }),
  *listFeatures() {
    yield { name: 'first' };
  },
};

/** Mounts it, whatever it is. */
const refusal = (definition: unknown, given: object = methods) => {
  return expect(() => mount(new grpc.Server(), definition as never, given as never)).to.throw(TypeError);
};

/** What other generators make of the same service: nothing of it is read but its shape. */
const ofOthers = {
  tsProto: {
    name: 'RouteBook',
    fullName: 'book.v1.RouteBook',
    methods: {
      getFeature: {
        name: 'GetFeature',
        requestType: {},
        requestStream: false,
        responseType: {},
        options: {},
      },
    },
  },
  protobufTs: new (class ServiceType {
    readonly typeName = 'book.v1.RouteBook';
    readonly methods = [{ name: 'GetFeature', localName: 'getFeature', I: {}, O: {} }];
    readonly options = {};
  })(),
  connect: {
    typeName: 'book.v1.RouteBook',
    methods: { getFeature: { name: 'GetFeature', I: class {}, O: class {}, kind: 0 } },
  },
  protobufEs1: { kind: 'service', typeName: 'book.v1.RouteBook', methods: [], file: {} },
};

describe('what stands for a service in mount()', () => {
  afterEach(stopAll);

  it('is its client class', async () => {
    const { port } = await start(server => mount(server, RouteBookClient, methods));
    const client = new RouteBookClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    const feature = await new Promise((resolve, reject) =>
      client.getFeature({ latitudeE7: 5 }, (error, answer) => (error ? reject(error) : resolve(answer))),
    );
    expect(feature).to.have.property('name', '5');
    const names: unknown[] = [];
    for await (const { name } of client.listFeatures({})) names.push(name);
    expect(names).to.deep.equal(['first']);
    client.close();
  });

  const instead: [string, unknown, string][] = [
    ['a path', 'protos/route_book.proto', 'the path `protos/route_book.proto`: give `loadPackageDefinition('],
    ['a promise', Promise.resolve(RouteBookClient.service), 'a promise: give what it resolves to'],
    ['a package', pkg, 'what has services in it: give `book.v1.RouteBook`'],
    ['what loadSync() gives', loaded, 'what has services in it: give `book.v1.RouteBook`'],
    [
      'a module of protoc-gen-es',
      { file_route_book, PointSchema, RouteBook },
      'what has services in it: give `definition(RouteBook)` of leat/protobuf-es',
    ],
    [
      'a module with many services',
      Object.fromEntries(['A', 'B', 'C', 'D', 'E'].map(name => [name, RouteBookClient])),
      'what has services in it: give `A`, `B`, `C`, or one of 2 more',
    ],
    [
      'an object around a definition',
      { service: RouteBookClient.service },
      'what has services in it: give `service`',
    ],
    ['a type of messages', pkg.book.v1.Feature, 'a type of messages: give the class of a service'],
    [
      'a DescService of protobuf-es',
      RouteBook,
      'the DescService `book.v1.RouteBook` of protobuf-es: give `definition(…)` of leat/protobuf-es',
    ],
    [
      'a DescService of protobuf-es v1',
      ofOthers.protobufEs1,
      'the DescService `book.v1.RouteBook` of protobuf-es v1: give `definition(…)` of leat/protobuf-es, with what protoc-gen-es v2 generates',
    ],
    [
      'a DescFile of protobuf-es',
      file_route_book,
      'a DescFile of protobuf-es: give `definition(…)` of leat/protobuf-es, with a service of it: `RouteBook`',
    ],
    [
      'a DescMessage of protobuf-es',
      PointSchema,
      'the DescMessage `book.v1.Point` of protobuf-es: give `definition(…)` of leat/protobuf-es, with a service',
    ],
    [
      'a DescMethod of protobuf-es',
      RouteBook.method.getFeature,
      'a DescMethod of protobuf-es: give `definition(…)` of leat/protobuf-es, with its service',
    ],
    [
      'one method',
      RouteBookClient.service.GetFeature,
      'the method `/book.v1.RouteBook/GetFeature`: give the service that has this method',
    ],
    [
      'a generic definition of ts-proto',
      ofOthers.tsProto,
      'the generic definition `book.v1.RouteBook` of ts-proto, as nice-grpc takes it: give `RouteBookService`, which ts-proto generates with `outputServices=grpc-js`',
    ],
    [
      'a ServiceType of protobuf-ts',
      ofOthers.protobufTs,
      'the ServiceType `book.v1.RouteBook` of protobuf-ts: give `routeBookDefinition`, which protobuf-ts generates with `server_grpc1`',
    ],
    [
      'a ServiceType of connect-es v1',
      ofOthers.connect,
      'the ServiceType `book.v1.RouteBook` of connect-es v1: give `definition(…)` of leat/protobuf-es, with what protoc-gen-es v2 generates',
    ],
    [
      'a client',
      new RouteBookClient('127.0.0.1:1', grpc.credentials.createInsecure()),
      'a client: give the class of that client, or its `service`',
    ],
    [
      'a client class without a service',
      class NumberClient extends grpc.Client {},
      'the client class `NumberClient`, which has no `service`: give the definition beside it',
    ],
    ['a server', new grpc.Server(), 'a server: give a definition: `mount(server, definition, methods)`'],
    ['methods', methods, 'methods (`getFeature`): give a definition: `mount(server, definition, methods)`'],
  ];
  for (const [what, given, way] of instead)
    it(`is not ${what}, and the refusal says what is`, () => {
      refusal(given).with.property('message').that.includes(`to be a service definition, got ${way}`);
    });

  it('is nothing of protobufjs', () => {
    const protobuf = createRequire(createRequire(import.meta.url).resolve('@grpc/proto-loader'))(
      'protobufjs',
    );
    const root = protobuf.loadSync(pathname);
    const way = 'of protobufjs: give `loadPackageDefinition(fromJSON(root.toJSON()))`';
    refusal(root).with.property('message').that.includes(`got \`the root\` ${way}`);
    const service = root.lookupService('book.v1.RouteBook');
    refusal(service).with.property('message').that.includes(`got \`.book.v1.RouteBook\` ${way}`);
    const found = grpc.loadPackageDefinition(fromJSON(root.toJSON())) as unknown as ProtoGrpcType;
    mount(new grpc.Server(), found.book.v1.RouteBook, methods);
  });

  it('is nothing else', () => {
    for (const given of [
      undefined,
      null,
      5,
      'book.v1.RouteBook',
      [],
      new Map(),
      new Date(),
      () => {},
      class A {},
    ])
      refusal(given, {})
        .with.property('message')
        .that.matches(/to be a service definition, got `.*` \(\w+\)$/);
    refusal({ getFeature: { path: '/book.v1.RouteBook/GetFeature' } }, {});
  });

  it('has definitions of methods only', () => {
    const { service } = RouteBookClient;
    refusal({ ...service, helper: 5 }).with.property(
      'message',
      'Expected `definition.helper` to be the definition of a method, got `5` (number)',
    );
  });
});
