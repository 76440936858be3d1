import type { DeliveryInfo, JsMsg } from '@nats-io/jetstream';
import { expect } from 'chai';
import { StoredMessage } from '../../lib/nats/stored.ts';

const numbers = '3.1234567890123.42.1764214000123456789.7';

const data = Buffer.from('{}');

/** A message as `consume` hands it over. */
function message(rest: { reply?: string; info?: Partial<DeliveryInfo> }): JsMsg {
  return { subject: 'orders', data, ...rest } as unknown as JsMsg;
}

describe('what NATS says of a message', () => {
  const known = {
    sequence: 1234567890123,
    delivery: 42,
    ms: 1764214000123,
    pending: 7,
    subject: 'orders',
    data,
  };

  for (const [what, reply] of [
    ['without a domain', `$JS.ACK.updates.consumer.${numbers}`],
    ['with none', `$JS.ACK._.AbCdEf.updates.consumer.${numbers}`],
    ['with a domain', `$JS.ACK.hub.AbCdEf.updates.consumer.${numbers}`],
    ['with something more behind it', `$JS.ACK.hub.AbCdEf.updates.consumer.${numbers}.xYz`],
  ] as const) {
    it(`is read from its reply, ${what}`, () => {
      expect({ ...new StoredMessage(message({ reply })) }).to.deep.equal(known);
    });
  }

  it('is read from its `info` where the reply does not show', () => {
    const info = { streamSequence: 5, deliverySequence: 2, timestampNanos: 1764214000123456800, pending: 0 };
    const { sequence, delivery, ms, pending } = new StoredMessage(message({ info }));
    expect([sequence, delivery, ms, pending]).to.deep.equal([5, 2, 1764214000123, 0]);
  });
});
