import { Metadata, type Server, type ServerInterceptor } from '@grpc/grpc-js';
import { expect } from 'chai';
import { broadcast, interceptor, type Middleware, mount, produce, wrap } from '../../lib/index.ts';
import { type Topic, topic } from '../../lib/sources/index.ts';
import {
  definition,
  type Handler,
  mountNames,
  type Running,
  start,
  stopAll,
  until,
} from '../support/harness.ts';

interface Update {
  text: string;
  to?: string;
  by: { name?: string };
  tags: string[];
}

/** Stamps each message in place, deep inside too, with the name of its client. */
const stamping: Middleware<unknown, Update> = (call, next) => ({
  message(update) {
    const [name] = call.metadata.get('name') as string[];
    if (name === undefined) return next.message(update);
    update.to ??= name;
    update.by.name ??= name;
    update.tags.push(name);
    next.message(update);
  },
});

describe('broadcast()', () => {
  it('refuses what is no message', () => {
    for (const wrong of [undefined, null, 'text', 1])
      expect(() => broadcast(wrong as never)).to.throw(TypeError, 'Expected `message` to be an object');
  });
});

describe('law 14: a message that the layers of one call change', () => {
  afterEach(stopAll);

  for (const on of mountNames)
    for (const history of [0, 10])
      it(`reaches no other call, on ${on}, ${history ? 'from the history' : 'live'}`, async () => {
        const updates = topic<Update>({ history, startAfter: 100 });
        const server = await serve(on, updates);
        if (history) for (const text of ['a', 'b']) updates.publish(update(text));
        const names = ['ann', 'bob', undefined, 'cid', undefined];
        const calls = names.map(name => server.open({}, { metadata: named(name) }));
        await until('all subscribed', () => updates.subscribers === names.length);
        if (!history) for (const text of ['a', 'b']) updates.publish(update(text));
        updates.close();
        for (const [index, { reply }] of calls.entries()) {
          const name = names[index];
          const stamped = name === undefined ? {} : { to: name, by: { name }, tags: [name] };
          const { messages } = await reply;
          expect(messages).to.deep.equal(['a', 'b'].map(text => ({ ...update(text), ...stamped })));
        }
      });

  it('is of the class that was published, and refers to itself where that did', async () => {
    class Shipped {
      readonly self: { shipped: Shipped } = { shipped: this };
      readonly at: Date = new Date(0);
      readonly bytes: Buffer = Buffer.from('abc');
      readonly byId: Map<string, number[]> = new Map([['x', [1]]]);
      toJSON(): unknown {
        return 'shipped';
      }
    }
    const seen: Shipped[] = [];
    const shipments = topic<Shipped>();
    const server = await start(one =>
      mount(one, definition, { stream: () => shipments.subscribe() }, (_call, next) => ({
        message(shipped: Shipped) {
          seen.push(shipped);
          next.message(shipped);
        },
      })),
    );
    const { reply } = server.open();
    await until('it is subscribed', () => shipments.subscribers === 1);
    const published = new Shipped();
    shipments.publish(published);
    shipments.close();
    expect((await reply).messages).to.deep.equal(['shipped']);
    const [copy] = seen as [Shipped];
    expect(copy).to.be.instanceOf(Shipped);
    expect(copy === published).to.equal(false);
    expect(copy.self.shipped).to.equal(copy);
    expect(copy.at.getTime()).to.equal(0);
    expect(copy.at === published.at).to.equal(false);
    expect(copy.bytes.equals(published.bytes)).to.equal(true);
    expect(copy.byId.get('x')).to.deep.equal([1]);
    expect(copy.byId.get('x') === published.byId.get('x')).to.equal(false);
  });

  it('is the one that was published when broadcast() marked it, which nobody may change', async () => {
    const seen: unknown[] = [];
    const updates = topic<Update>();
    const server = await start(one =>
      mount(one, definition, { stream: () => updates.subscribe() }, (_call, next) => ({
        message(message) {
          seen.push(message);
          next.message(message);
        },
      })),
    );
    const { reply } = server.open();
    await until('it is subscribed', () => updates.subscribers === 1);
    const published = broadcast(update('a'));
    updates.publish(published);
    updates.close();
    await reply;
    expect(seen[0]).to.equal(published);
  });
});

function update(text: string): Update {
  return { text, by: {}, tags: [] };
}

function named(name: string | undefined): Metadata {
  const metadata = new Metadata();
  if (name !== undefined) metadata.set('name', name);
  return metadata;
}

/** Only the calls that tell a name have a layer that takes messages. */
const stampNamed: Middleware = (call, next) =>
  call.metadata.get('name').length > 0 ? stamping(call, next) : undefined;

function serve(on: (typeof mountNames)[number], updates: Topic<Update>): Promise<Running> {
  const source = () => updates.subscribe({ after: 100 });
  const interceptors: ServerInterceptor[] = on === 'interceptor' ? [interceptor(stampNamed)] : [];
  return start(
    (server: Server) => {
      if (on === 'mount') mount(server, definition, { stream: source }, stampNamed);
      else if (on === 'produce') server.addService(definition, { stream: produce(source, stampNamed) });
      else {
        const handler: Handler = async stream => {
          for await (const one of source()) stream.write(one);
          stream.end();
        };
        server.addService(definition, { stream: on === 'wrap' ? wrap(handler, stampNamed) : handler });
      }
    },
    { interceptors },
  );
}
