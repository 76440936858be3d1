import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { expect } from 'chai';
import { type Subscription, subscribe } from '../../lib/client/index.ts';
import { mount } from '../../lib/index.ts';
import type { ProtoGrpcType } from '../../proto/generated/number_service.ts';
import type { NumberResponse__Output } from '../../proto/generated/tutorial/NumberResponse.ts';
import { start, stopAll } from '../support/harness.ts';
import { range } from './service.ts';

/** True when two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_same: Same<A, B>): void => {};

/** What ts-proto generates (`outputServices=grpc-js`). */
interface TsProtoRequest {
  max: number;
  after?: number | undefined;
}
interface TsProtoResponse {
  num: number;
}
interface TsProtoClient extends grpc.Client {
  listNumbers(
    request: TsProtoRequest,
    options?: Partial<grpc.CallOptions>,
  ): grpc.ClientReadableStream<TsProtoResponse>;
  listNumbers(
    request: TsProtoRequest,
    metadata?: grpc.Metadata,
    options?: Partial<grpc.CallOptions>,
  ): grpc.ClientReadableStream<TsProtoResponse>;
}

/** What grpc-tools and grpc_tools_node_protoc_ts generate. */
declare class StaticRequest {
  getMax(): number;
  setMax(value: number): this;
}
declare class StaticResponse {
  getNum(): number;
}
interface StaticClient {
  listNumbers(
    request: StaticRequest,
    options?: Partial<grpc.CallOptions>,
  ): grpc.ClientReadableStream<StaticResponse>;
  listNumbers(
    request: StaticRequest,
    metadata?: grpc.Metadata,
    options?: Partial<grpc.CallOptions>,
  ): grpc.ClientReadableStream<StaticResponse>;
}

/** Only compiled. */
function typesOf(tsProto: TsProtoClient, fixed: StaticClient, request: StaticRequest): void {
  const generated = subscribe(
    (request, metadata, options) => tsProto.listNumbers(request, metadata, options),
    {
      max: 10,
    },
  );
  same<typeof generated, Subscription<{ max: number }, TsProtoResponse>>(true);

  const resumed = subscribe(
    (request: TsProtoRequest, metadata, options) => tsProto.listNumbers(request, metadata, options),
    { max: 10 },
    { token: ({ num }) => num, resume: (request, after) => ({ ...request, after }) },
  );
  same<typeof resumed.token, number | undefined>(true);

  const classes = subscribe(
    (request, metadata, options) => fixed.listNumbers(request, metadata, options),
    request,
    {
      token: response => response.getNum(),
      resume: (request, after) => request.setMax(after),
      onResumeLost: ({ token, request }) => request.setMax(token),
    },
  );
  same<typeof classes, Subscription<StaticRequest, StaticResponse, number>>(true);

  const items = subscribe(
    (request, metadata, options) => tsProto.listNumbers(request, metadata, options),
    { max: 10 },
    { items: ({ num }) => [`${num}`], token: text => text.length },
  );
  same<typeof items, Subscription<{ max: number }, string, number>>(true);

  // @ts-expect-error a request of another method
  subscribe((request, metadata, options) => tsProto.listNumbers(request, metadata, options), { min: 10 });
  subscribe(
    (request, metadata, options) => tsProto.listNumbers(request, metadata, options),
    { max: 1 },
    {
      // @ts-expect-error a field that the response does not have
      token: ({ missing }) => missing,
    },
  );
}

describe('the types of subscribe()', () => {
  afterEach(stopAll);

  it('flow from clients that ts-proto or grpc-tools made', () => {
    expect(typesOf).to.be.a('function');
  });

  it('flow from a client that proto-loader made, and it works', async () => {
    const { tutorial } = grpc.loadPackageDefinition(
      loadSync('proto/number_service.proto'),
    ) as unknown as ProtoGrpcType;
    const { port } = await start(server =>
      mount(server, tutorial.NumberService.service, {
        async *listNumbers({ max }) {
          for (let num = 1; num <= (max ?? 0); num++) yield { num };
        },
      }),
    );
    const client = new tutorial.NumberService(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    const numbers = subscribe(
      (request, metadata, options) => client.listNumbers(request, metadata, options),
      {
        max: 10,
      },
    );
    same<typeof numbers, Subscription<{ max: number }, NumberResponse__Output>>(true);
    const got: number[] = [];
    for await (const { num } of numbers) got.push(num);
    expect(got).to.deep.equal(range(1, 10));
    client.close();
  });
});
