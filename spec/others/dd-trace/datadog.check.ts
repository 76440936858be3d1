import { count, traced } from './agent.ts';
import { Client, done, same } from './check.ts';

const client = new Client(String(process.env.ADDRESS));
const sent = await traced('datadog.ts', client, async () => {
  for (let calls = 0; calls < 3; calls++)
    same('a call', (await client.ask('ListFeatures', [{}]).told).code, 0);
});
same('no span of its own', count(sent, /grpc\.server/g), 0);
same('one of ours for each call', count(sent, /leat\.stream\.end_reason/g), 3);
client.close();
done();
