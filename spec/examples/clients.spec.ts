import { createHash } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { example } from '../../examples/protos.ts';
import { connectNode, grpcJs, niceGrpc, type OtherClient } from '../support/clients.ts';
import { until } from '../support/harness.ts';
import { killPrograms, type Serving, serveExamples } from '../support/program.ts';

const streams = 'streamservice.StreamService';
const others = { 'grpc-js': grpcJs, 'nice-grpc': niceGrpc, 'connect-node': connectNode };

describe('examples: the clients of other people', function () {
  this.timeout(30_000);
  let server: Serving;
  let client: OtherClient;

  before(async () => {
    server = await serveExamples(['--speed', '100']);
  });
  after(() => killPrograms());

  for (const [name, connect] of Object.entries(others))
    describe(name, () => {
      before(async () => {
        client = await connect(server.address);
      });
      after(() => client.close());

      it('gets the numbers in order', async () => {
        const { messages, code } = await client.call('tutorial.NumberService/ListNumbers', { max: 1000 });
        expect(messages).to.deep.equal(Array.from({ length: 1000 }, (_, i) => ({ num: i + 1 })));
        expect(code).to.equal(status.OK);
      });

      it('gets an empty stream for no numbers', async () => {
        const { messages, code } = await client.call('tutorial.NumberService/ListNumbers', { max: 0 });
        expect({ messages, code }).to.deep.equal({ messages: [], code: status.OK });
      });

      it('gets the five responses as they are done', async () => {
        const { messages, code } = await client.call('protobuf.StreamService/FetchResponse', { id: 7 });
        expect(messages).to.deep.equal([0, 1, 2, 3, 4].map(k => ({ result: `Request #${k} For Id:7` })));
        expect(code).to.equal(status.OK);
      });

      it('gets logs between their headers and their trailers', async () => {
        const metadata = { 'x-correlation-id': `spec of ${name}` };
        const answer = await client.call('example.LogService/GetLogs', { level: 'error' }, { metadata });
        const { messages, header, trailer, code } = answer;
        expect(messages).to.deep.equal(
          [0, 1, 2, 3, 4].map(i => ({ message: `Error ${i}`, timestamp: String(i) })),
        );
        expect(header).to.include({ ...metadata, 'x-total-count': '5' });
        const hash = createHash('sha256');
        for (const message of messages)
          hash.update(example.LogService.service.GetLogs.responseSerialize(message));
        expect(trailer).to.include({ 'x-sent-count': '5', 'x-checksum': hash.digest('hex') });
        expect(code).to.equal(status.OK);
      });

      it('gets a correlation id that it has not sent', async () => {
        const first = await client.call('example.LogService/GetLogs');
        const second = await client.call('example.LogService/GetLogs');
        expect(first.header['x-correlation-id']).to.match(/^[\da-f-]{36}$/);
        expect(second.header['x-correlation-id']).to.not.equal(first.header['x-correlation-id']);
      });

      it('reads why a call fails', async () => {
        const failures = [
          ['example.LogService/GetLogs', { level: 'loud' }, status.INVALID_ARGUMENT, /^unknown level 'loud'/],
          ['example.LogService/ArchiveLogs', {}, status.UNIMPLEMENTED, /ArchiveLogs/],
          [`${streams}/TailLogs`, { logLevel: 'loud' }, status.INVALID_ARGUMENT, /^invalid log level$/],
          [`${streams}/WatchJobProgress`, { jobId: '' }, status.INVALID_ARGUMENT, /^job_id must have/],
        ] as const;
        for (const [method, request, expected, why] of failures) {
          const { messages, code, details } = await client.call(method, request);
          expect({ method, code, messages }).to.deep.equal({ method, code: expected, messages: [] });
          expect(details).to.match(why);
        }
      });

      it('gets the updates of its topics, in order', async () => {
        const request = { topics: ['orders', 'alerts'], clientId: name };
        const { messages } = await client.call(`${streams}/SubscribeToUpdates`, request, { take: 6 });
        const topics = messages.map(({ topic }) => topic);
        expect(topics.slice(1)).to.deep.equal(
          topics.slice(0, -1).map(one => (one === 'orders' ? 'alerts' : 'orders')),
        );
        for (const { topic, message, metadata, timestamp } of messages) {
          expect({ message, metadata }).to.deep.equal({
            message: `Update from ${topic}`,
            metadata: { source: 'system' },
          });
          expect(Number(timestamp.seconds)).to.be.closeTo(Date.now() / 1000, 60);
        }
        const sequences = messages.map(({ sequence }) => Number(sequence));
        expect(sequences).to.deep.equal([...sequences].sort((a, b) => a - b));
        expect(new Set(sequences).size).to.equal(6);
      });

      it('gets the rows of a query in batches', async () => {
        const request = { query: 'SELECT * FROM large_table', batchSize: 4000 };
        const { messages, code } = await client.call(`${streams}/StreamQueryResults`, request);
        expect(messages.map(({ rows, ...rest }) => ({ ...rest, rows: rows.length }))).to.deep.equal([
          { batchNumber: 1, totalBatches: 3, isLast: false, rows: 4000 },
          { batchNumber: 2, totalBatches: 3, isLast: false, rows: 4000 },
          { batchNumber: 3, totalBatches: 3, isLast: true, rows: 2000 },
        ]);
        expect(messages[1].rows[1]).to.deep.equal({
          columns: { id: '4001', name: 'Record 4001', value: '6001.50' },
        });
        expect(code).to.equal(status.OK);
      });

      it('watches a job to its end', async () => {
        const { messages, code } = await client.call(`${streams}/WatchJobProgress`, { jobId: name });
        const { updatedAt, ...first } = messages[0];
        expect(first).to.deep.equal({
          jobId: name,
          percentage: 0,
          status: 'running',
          currentStep: 'initializing',
        });
        expect(messages.at(-1)).to.include({ percentage: 100, status: 'completed', currentStep: 'done' });
        const percentages = messages.map(({ percentage }) => percentage);
        expect(percentages).to.deep.equal([...percentages].sort((a, b) => a - b));
        expect(code).to.equal(status.OK);
      });

      it('gets the last lines of a log, and follows it', async () => {
        const request = { serviceName: 'api', logLevel: 'info', lines: 5 };
        const { messages, code } = await client.call(`${streams}/TailLogs`, request);
        expect(messages.map(({ service }) => service)).to.deep.equal(Array(5).fill('api'));
        expect(code).to.equal(status.OK);
        const followed = await client.call(`${streams}/TailLogs`, { ...request, follow: true }, { take: 10 });
        const requests = followed.messages.map(({ fields }) => Number(fields.request));
        expect(requests).to.deep.equal([...requests].sort((a, b) => a - b));
        expect(new Set(requests).size).to.equal(10);
      });

      it('gets the values of a service without a package', async () => {
        const { messages, code } = await client.call('StreamServer/ListValue', { data: 'value é ' });
        expect(messages).to.deep.equal([0, 1, 2, 3, 4].map(n => ({ streamValue: `value é ${n}` })));
        expect(code).to.equal(status.OK);
      });

      it('stops the server when it leaves', async () => {
        const stops = () => server.stderr.split('the feeder stopped').length;
        const before = stops();
        const { messages, code } = await client.call('example.LogService/StreamLogs', {}, { take: 3 });
        expect(messages.map(({ message }) => message)).to.deep.equal(['Log 0', 'Log 1', 'Log 2']);
        expect(code).to.equal(undefined);
        await until('the server has stopped', () => stops() === before + 1);
      });
    });
});
