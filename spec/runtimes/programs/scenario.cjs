/**
 * Serves a service of two methods and calls it, as a user's first program would, whatever loaded the package. `other`
 * is the package once more, loaded in another way: it has to be the same one.
 */
const assert = require('node:assert');
const grpc = require('@grpc/grpc-js');

const json = {
  requestSerialize: value => Buffer.from(JSON.stringify(value)),
  requestDeserialize: bytes => JSON.parse(String(bytes)),
  responseSerialize: value => Buffer.from(JSON.stringify(value)),
  responseDeserialize: bytes => JSON.parse(String(bytes)),
};
const definition = {
  listNumbers: { ...json, path: '/runtimes.Numbers/ListNumbers', requestStream: false, responseStream: true },
  follow: { ...json, path: '/runtimes.Numbers/Follow', requestStream: false, responseStream: true },
  double: { ...json, path: '/runtimes.Numbers/Double', requestStream: false, responseStream: false },
};

module.exports = async function scenario(ours, other = ours) {
  const news = ours.sources.topic();
  const user = ours.leat.key('user');
  const know = call => call.values.set(user, 'ada');
  const finished = { follow: false };
  const server = new grpc.Server({ interceptors: [other.leat.interceptor(know)] });
  ours.leat.mount(
    server,
    definition,
    {
      async *listNumbers({ max }, call) {
        assert.equal(call.values.get(user), 'ada');
        // Ahead of a status other than OK, grpc-js on Deno loses messages, whoever sent them.
        if (max > 3) throw new other.leat.StatusError(grpc.status.OUT_OF_RANGE, 'three at most');
        for (let num = 1; num <= max; num++) yield { num };
      },
      async *follow(_, { signal }) {
        try {
          yield* news.subscribe({ signal });
        } finally {
          finished.follow = true;
        }
      },
      double: other.leat.produce(({ num }) => ({ num: 2 * num })),
    },
    ours.errors.errors(),
    other.batch.batch({ maxItems: 1, maxDelayMs: 10, merge: items => items[0] }),
  );
  const port = await new Promise((bound, failed) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? failed(error) : bound(port),
    ),
  );
  const Client = grpc.makeClientConstructor(definition, 'Numbers');
  const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  try {
    assert.deepEqual(await read(client.listNumbers({ max: 3 })), [{ num: 1 }, { num: 2 }, { num: 3 }]);
    const refused = await read(client.listNumbers({ max: 4 })).then(
      () => undefined,
      error => error,
    );
    assert.equal(refused?.code, grpc.status.OUT_OF_RANGE);

    const following = client.follow({});
    const first = new Promise(heard => following.once('data', heard));
    const over = new Promise(ended => following.once('error', ended));
    while (news.subscribers === 0) await moment();
    news.publish({ text: 'hello' });
    assert.deepEqual(await first, { text: 'hello' });
    // Its calls are the calls of the other one, too.
    await other.leat.drain(server, { graceMs: 10 });
    await over;
    while (!finished.follow) await moment();
    assert.deepEqual(ours.leat.counters(), other.leat.counters());
    assert.equal(ours.leat.StatusError, other.leat.StatusError);
  } finally {
    client.close();
    server.forceShutdown();
  }
};

async function read(stream) {
  const messages = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

function moment() {
  return new Promise(passed => setTimeout(passed, 5));
}
