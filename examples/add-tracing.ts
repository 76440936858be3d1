import { credentials, Metadata, Server } from '@grpc/grpc-js';
import { trace } from '@opentelemetry/api';
import { NodeSDK, tracing as traces } from '@opentelemetry/sdk-node';
import { drain, mount, serverOptions } from 'leat';
import { subscribe } from 'leat/client';
import { sleep } from 'leat/sources';
import { tracing } from 'leat/tracing';
import type { Showpiece } from './example.ts';
import { tutorial } from './protos.ts';
import { bind } from './server.ts';
import { TraceTree } from './trace-tree.ts';

/**
 * One span per stream, and a child of it from inside the source. Spans are shown as a tree (`--raw`: as they are), or
 * go to a collector when `OTEL_EXPORTER_OTLP_ENDPOINT` names one. First the streams end, then the SDK is shut down.
 */
export const addTracing: Showpiece = {
  usage: '[--raw]',
  flags: { raw: { type: 'boolean', default: false } },
  async show({ print, on }) {
    const toCollector = process.env.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined;
    const exporter = on('raw') ? new traces.ConsoleSpanExporter() : new TraceTree(print);
    const sdk = new NodeSDK({
      serviceName: 'numbers',
      ...(toCollector ? {} : { spanProcessors: [new traces.SimpleSpanProcessor(exporter)] }),
    });
    sdk.start();

    const server = new Server(serverOptions());
    mount(
      server,
      tutorial.NumberService.service,
      {
        async *listNumbers({ max }) {
          for (let num = 1; num <= max; num++) {
            await trace.getTracer('example').startActiveSpan(`find ${num}`, async span => {
              await sleep(10);
              span.end();
            });
            yield { num };
          }
        },
      },
      tracing(),
    );
    const client = new tutorial.NumberService(
      await bind(server, '127.0.0.1', 0),
      credentials.createInsecure(),
    );
    const metadata = new Metadata();
    metadata.set('traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
    const stream = subscribe(client, 'listNumbers', { max: 2 }, { metadata });
    for await (const { num } of stream) print(`Number: ${num}`);
    client.close();
    await drain(server);
    await sdk.shutdown();
  },
};
