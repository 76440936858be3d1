import { createRequire } from 'node:module';
import { inspect } from 'node:util';
import { create, createFileRegistry, createRegistry, isMessage } from '@bufbuild/protobuf';
import {
  anyPack,
  anyUnpack,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  timestampDate,
  timestampFromDate,
} from '@bufbuild/protobuf/wkt';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { expect } from 'chai';
import { subscribe } from '../../lib/client/index.ts';
import { configure, type Methods, mount } from '../../lib/index.ts';
import { type Client, clientClass, type Definition, definition } from '../../lib/protobuf-es/index.ts';
import {
  AreaSchema,
  type Feature,
  FeatureSchema,
  file_route_book,
  type Note,
  NoteSchema,
  type Point,
  PointSchema,
  RouteBook,
  type Summary,
  SummarySchema,
  Surface,
} from '../generators/protobuf-es/route_book_pb.ts';
import { quiet, start, stopAll } from '../support/harness.ts';

type BookMethods = Methods<Definition<typeof RouteBook>>;

const MOST = 2n ** 63n - 1n;
const clients: grpc.Client[] = [];

/** A client of one that serves these methods, by the descriptor on both sides. */
async function served(methods: BookMethods): Promise<Client<typeof RouteBook>> {
  const { port } = await start(server => mount(server, definition(RouteBook), methods, quiet));
  const RouteBookClient = clientClass(RouteBook);
  const client = new RouteBookClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  clients.push(client);
  return client;
}

const getFeature = (client: Client<typeof RouteBook>, latitudeE7 = 1n) =>
  new Promise<Feature>((resolve, reject) =>
    client.getFeature({ latitudeE7 }, (error, feature) =>
      error ? reject(error) : resolve(feature as Feature),
    ),
  );

const failure = (client: Client<typeof RouteBook>) =>
  getFeature(client).then(
    () => expect.fail('it was answered'),
    ({ code, details }: grpc.ServiceError) => ({ code, details }),
  );

describe('leat/protobuf-es', () => {
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await stopAll();
  });
  describe('definition() and clientClass()', kinds);
  describe('fields', fields);
  describe('misuse', misuse);
});

function kinds(): void {
  it('serve and call methods of all four kinds', async () => {
    const client = await served({
      getFeature: ({ latitudeE7 }) => ({ name: `${latitudeE7}` }),
      *listFeatures({ low, high }) {
        for (let at = low?.latitudeE7 ?? 0n; at <= (high?.latitudeE7 ?? 0n); at++) yield { name: `${at}` };
      },
      async recordRoute(points) {
        let pointCount = 0n;
        for await (const point of points) pointCount += isMessage(point, PointSchema) ? 1n : 0n;
        return { pointCount };
      },
      async *routeChat(notes) {
        for await (const note of notes) yield note;
      },
    });
    const feature = await getFeature(client, 7n);
    expect(isMessage(feature, FeatureSchema)).to.equal(true);
    expect(feature.name).to.equal('7');

    const names: string[] = [];
    for await (const { name } of client.listFeatures({ low: { latitudeE7: 1n }, high: { latitudeE7: 3n } }))
      names.push(name);
    expect(names).to.deep.equal(['1', '2', '3']);

    const summary = await new Promise<Summary | undefined>((resolve, reject) => {
      const route = client.recordRoute((error, answer) => (error ? reject(error) : resolve(answer)));
      for (const latitudeE7 of [1n, 2n]) route.write({ latitudeE7 });
      route.end(create(PointSchema));
    });
    expect(summary?.pointCount).to.equal(3n);

    const chat = client.routeChat(new grpc.Metadata());
    chat.write({ textLine: 'one' });
    chat.end({ textLine: 'two' });
    const said: Note[] = [];
    for await (const note of chat) said.push(note);
    expect(said.map(({ textLine }) => textLine)).to.deep.equal(['one', 'two']);
  });

  it('are read by subscribe()', async () => {
    const client = await served({ listFeatures: () => [{ name: 'first' }, { name: 'last' }] });
    const names: string[] = [];
    for await (const { name } of subscribe(client, 'listFeatures', {})) names.push(name);
    expect(names).to.deep.equal(['first', 'last']);
  });

  it('are the same service: mount() takes the class, too, and names of the .proto', async () => {
    const Book = clientClass(RouteBook);
    expect(Object.keys(Book.service)).to.deep.equal([
      'getFeature',
      'listFeatures',
      'recordRoute',
      'routeChat',
    ]);
    expect(Book.serviceName).to.equal('book.v1.RouteBook');
    const { port } = await start(server => mount(server, Book, { GetFeature: () => ({}) } as never, quiet));
    const client = new Book(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    clients.push(client);
    expect((await getFeature(client)).name).to.equal('');
  });

  it('speak with whatever another generator made of the same .proto', async () => {
    const client = await served({ getFeature: ({ latitudeE7 }) => ({ visits: { times: latitudeE7 } }) });
    const { pathname } = new URL('../generators/route_book.proto', import.meta.url);
    const { book } = grpc.loadPackageDefinition(loadSync(pathname, { longs: String })) as any;
    const other = new book.v1.RouteBook(client.getChannel().getTarget(), grpc.credentials.createInsecure());
    clients.push(other);
    const feature: any = await new Promise((resolve, reject) =>
      other.getFeature({ latitudeE7: `${MOST}` }, (error: unknown, answer: unknown) =>
        error ? reject(error) : resolve(answer),
      ),
    );
    expect(feature.visits).to.deep.equal({ times: `${MOST}` });
  });

  it('take what another copy of protobuf-es made', async () => {
    const { pathname } = new URL('../../node_modules/@bufbuild/protobuf/dist/', import.meta.url);
    const copies = [
      await import(`${pathname}esm/index.js`),
      createRequire(import.meta.url)(`${pathname}cjs/index.js`),
    ];
    expect(new Set([create, ...copies.map(copy => copy.create)]).size).to.be.greaterThan(1);
    for (const copy of copies) {
      const client = await served({ getFeature: () => copy.create(FeatureSchema, { name: 'other' }) });
      expect((await getFeature(client)).name).to.equal('other');
    }
  });

  it('take a descriptor that is only known when it runs, with methods of any name', async () => {
    const point = { inputType: '.late.Empty', outputType: '.late.Empty' };
    const names = ['ToString', 'Constructor', 'get_it', 'A'];
    const file = create(FileDescriptorProtoSchema, {
      name: 'late.proto',
      package: 'late',
      syntax: 'proto3',
      messageType: [{ name: 'Empty' }],
      service: [{ name: 'Late', method: names.map(name => ({ name, ...point })) }],
    });
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }));
    const late = registry.getService('late.Late');
    if (!late) throw new Error('it is not there');
    const asked: string[] = [];
    const methods = Object.fromEntries(
      Object.keys(definition(late)).map(name => [
        name,
        () => Promise.resolve({}).finally(() => asked.push(name)),
      ]),
    );
    const { port } = await start(server => mount(server, definition(late), methods as never, quiet));
    const Late = clientClass(late);
    const client: any = new Late(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    clients.push(client);
    for (const name of Object.keys(Late.service))
      await new Promise((resolve, reject) =>
        client[name]({}, (error: unknown, answer: unknown) => (error ? reject(error) : resolve(answer))),
      );
    expect(asked).to.have.length(names.length);
  });
}

function fields(): void {
  const answers: [
    string,
    Parameters<typeof create<typeof FeatureSchema>>[1],
    (feature: Feature) => unknown,
    unknown,
  ][] = [
    [
      'int64 as bigint',
      { visits: { most: MOST, least: -MOST - 1n } },
      it => it.visits,
      { most: MOST, least: -MOST - 1n },
    ],
    [
      'a oneof',
      { origin: { case: 'satelliteId', value: MOST } },
      it => it.origin,
      { case: 'satelliteId', value: MOST },
    ],
    [
      'a oneof with its default',
      { origin: { case: 'surveyor', value: '' } },
      it => it.origin,
      { case: 'surveyor', value: '' },
    ],
    ['a oneof that is not set', {}, it => it.origin, { case: undefined }],
    ['an enum', { surface: Surface.GRAVEL }, it => it.surface, Surface.GRAVEL],
    ['a value that the enum has not', { surface: 77 as Surface }, it => it.surface, 77],
    [
      'a Timestamp',
      { seenAt: timestampFromDate(new Date(1234.5)) },
      it => it.seenAt && timestampDate(it.seenAt).getTime(),
      1234,
    ],
    ['a Timestamp by its fields', { seenAt: { seconds: 5n } }, it => it.seenAt?.seconds, 5n],
    [
      'an Any',
      { extra: anyPack(SummarySchema, create(SummarySchema, { pointCount: 3n })) },
      it => it.extra && anyUnpack(it.extra, SummarySchema)?.pointCount,
      3n,
    ],
    [
      'an Any by a registry',
      { extra: anyPack(SummarySchema, create(SummarySchema, { pointCount: 3n })) },
      it => it.extra && anyUnpack(it.extra, createRegistry(file_route_book))?.$typeName,
      'book.v1.Summary',
    ],
    ['a message in a message', { location: { latitudeE7: 5n } }, it => it.location?.latitudeE7, 5n],
    ['no message in a message', {}, it => it.location, undefined],
  ];
  for (const [what, answer, field, expected] of answers)
    it(`have ${what}`, async () => {
      for (const getFeatureOnce of [() => answer ?? {}, () => create(FeatureSchema, answer)]) {
        const feature = await getFeature(await served({ getFeature: getFeatureOnce }));
        expect(field(feature)).to.deep.equal(expected);
      }
    });

  it('have bytes that are no Buffer, so that slice() copies them', async () => {
    const seen: unknown[] = [];
    const { port } = await start(server =>
      mount(
        server,
        definition(RouteBook),
        {
          getFeature: () => ({ photo: Buffer.from('abc') }),
        },
        quiet,
      ),
    );
    const client = new (clientClass(RouteBook))(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    clients.push(client);
    const { photo } = await getFeature(client);
    seen.push(photo);
    expect(Object.getPrototypeOf(photo)).to.equal(Uint8Array.prototype);
    expect([...photo]).to.deep.equal([97, 98, 99]);
  });
}

function misuse(): void {
  it('answers UNIMPLEMENTED for a method that has no source', async () => {
    expect((await failure(await served({}))).code).to.equal(grpc.status.UNIMPLEMENTED);
  });

  it('refuses a source that has no method, with the nearest one', () => {
    const act = () => mount(new grpc.Server(), definition(RouteBook), { getFeatures: () => ({}) } as never);
    expect(act).to.throw(
      TypeError,
      'Expected a method of the service, got `getFeatures`: did you mean `getFeature`?',
    );
  });

  const point: Point = create(PointSchema, { latitudeE7: 1n });
  const wrong: [string, unknown, string][] = [
    ['a message of another type', point, 'Expected a book.v1.Feature, or its fields, got a book.v1.Point'],
    ['a string', 'a bridge', 'Expected a book.v1.Feature, or its fields, got `a bridge` (string)'],
    ['an error that was not thrown', new Error('secret'), 'got `Error` (object): an error is thrown'],
    ['bytes', new Uint8Array(3), 'Expected a book.v1.Feature, or its fields, got'],
    ['a date', new Date(0), 'Expected a book.v1.Feature, or its fields, got'],
    ['a URL', new URL('http://a.example'), 'Expected a book.v1.Feature, or its fields, got'],
    ['a field of another type', { visits: { may: 'x' } }, 'cannot encode field book.v1.Feature.visits'],
  ];
  for (const [what, answer, sentence] of wrong)
    it(`ends a call with INTERNAL that is answered with ${what}, and reports why`, async () => {
      const errors: unknown[] = [];
      const { port } = await start(server =>
        mount(
          server,
          definition(RouteBook),
          { getFeature: () => answer as Feature },
          configure({ onError: error => errors.push(error) }),
        ),
      );
      const client = new (clientClass(RouteBook))(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
      clients.push(client);
      const { code, details } = await failure(client);
      expect(code).to.equal(grpc.status.INTERNAL);
      expect(details).not.to.include('Expected');
      expect(inspect(errors)).to.include(sentence);
    });

  it('fails a call whose request is a message of another type, and sends nothing', async () => {
    const client = await served({ getFeature: () => expect.fail('it was called') });
    const error = await new Promise<grpc.ServiceError | null>(resolve =>
      client.getFeature(create(NoteSchema) as never, resolve),
    );
    expect(error?.code).to.equal(grpc.status.INTERNAL);
    expect(error?.details).to.include('Expected a book.v1.Point, or its fields, got a book.v1.Note');
  });

  it('encodes no list', () => {
    const { responseSerialize } = definition(RouteBook).getFeature;
    const sentence = 'Expected a book.v1.Feature, or its fields, got `Array` (object)';
    expect(() => responseSerialize([] as never)).to.throw(TypeError, sentence);
  });

  it('refuses what is no service, and names what it knows', () => {
    for (const [given, got] of [
      [undefined, 'got `undefined` (undefined)'],
      [{}, 'got `Object` (object)'],
      ['book.v1.RouteBook', 'got `book.v1.RouteBook` (string)'],
      [AreaSchema, 'got the DescMessage `book.v1.Area` of protobuf-es'],
      [file_route_book, 'got a DescFile of protobuf-es'],
      [{ file_route_book, RouteBook }, 'got what has services in it'],
      [{ kind: 'service', typeName: 'a.B', methods: [] }, 'got the DescService `a.B` of protobuf-es v1'],
    ] as const)
      for (const make of [definition, clientClass])
        expect(() => make(given as never)).to.throw(
          TypeError,
          `Expected \`service\` to be a service that protoc-gen-es v2 generated, ${got}`,
        );
  });
}
