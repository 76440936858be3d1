import { Metadata } from '@grpc/grpc-js';
import { expect } from 'chai';
import fc from 'fast-check';
import { retryHint } from '../../lib/client/retry-hint.ts';
import { metadataOf } from './service.ts';

/** One field of a protobuf message that is delimited by length. */
const field = (number: number, bytes: Buffer | string): Buffer => {
  const content = Buffer.from(bytes);
  return Buffer.concat([Buffer.from([(number << 3) | 2, content.length]), content]);
};

/** A google.rpc.Status with one detail, of 1.5 s unless it has no seconds or nanos. */
const withDetail = (type: string, duration: Buffer): Metadata => {
  const any = Buffer.concat([field(1, `type.googleapis.com/${type}`), field(2, field(1, duration))]);
  const rpcStatus = Buffer.concat([Buffer.from([8, 14]), field(2, 'busy'), field(3, any)]);
  return metadataOf({ 'grpc-status-details-bin': rpcStatus });
};

const oneAndAHalfSeconds = Buffer.from([0x08, 0x01, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01]);

describe('retryHint()', () => {
  it('C20 reads grpc-retry-pushback-ms: a delay, or no retry for whatever else it says', () => {
    expect(retryHint(metadataOf({ 'grpc-retry-pushback-ms': '1500' }))).to.equal(1500);
    for (const refused of ['-1', 'soon', '1.5', ''])
      expect(retryHint(metadataOf({ 'grpc-retry-pushback-ms': refused }))).to.equal(Infinity);
  });

  it('C20 reads google.rpc.RetryInfo', () => {
    expect(retryHint(withDetail('google.rpc.RetryInfo', oneAndAHalfSeconds))).to.equal(1500);
    expect(retryHint(withDetail('google.rpc.RetryInfo', Buffer.alloc(0)))).to.equal(0);
    expect(retryHint(withDetail('google.rpc.DebugInfo', oneAndAHalfSeconds))).to.equal(undefined);
  });

  it('has nothing to say of trailers without a hint, or with one that makes no sense', () => {
    expect(retryHint(new Metadata())).to.equal(undefined);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
        const hint = retryHint(metadataOf({ 'grpc-status-details-bin': Buffer.from(bytes) }));
        expect(hint).to.equal(undefined);
      }),
      { numRuns: 500 },
    );
  });
});
