import { count, traced } from './agent.ts';
import { Client, done, same } from './check.ts';

const client = new Client(String(process.env.ADDRESS));
const sent = await traced('server.ts', client, async () => {
  same('active in a unary method', (await client.ask('GetFeature', [{}]).told).messages[0].name, 'active');
  same('in a generator', (await client.ask('ListFeatures', [{}]).told).messages[0].name, 'active');
  same('client streaming', (await client.ask('RecordRoute', [{}, {}]).told).code, 0);
  const chat = client.ask('RouteChat', [{ message: 'a' }], { open: true });
  same('in a chat', ((await chat.first) as { message: string }).message, 'active');
  chat.call.cancel();
  await chat.told;
});
same('one span of its own for each call', count(sent, /grpc\.server/g), 4);
client.close();
done();
