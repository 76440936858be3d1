import { expect } from 'chai';
import { topic } from '../../lib/sources/index.ts';
import { topicMetrics } from '../../middleware/metrics.ts';
import { type Rig, startOtel } from '../support/otel.ts';

describe('topicMetrics()', () => {
  let otel: Rig;
  beforeEach(() => {
    otel = startOtel({ readers: ['cumulative'] });
  });
  afterEach(() => otel.stop());

  const seen = async () =>
    Object.fromEntries(
      Object.entries(await otel.collect()).map(([name, { dataPoints }]) => [
        name,
        dataPoints.map(({ attributes, value }) => [attributes['leat.topic'], value]),
      ]),
    );

  it('shows of topics what they have, until it is stopped', async () => {
    const local = topic<number>();
    const far = { subscribers: 3, catchingUp: 2, behind: 70, skipped: 1, state: 'away' as const };
    const stop = topicMetrics(local, { name: 'local' });
    topicMetrics(far, { name: 'far' });
    local.subscribe();
    expect(await seen()).to.deep.equal({
      'leat.topic.subscribers': [
        ['local', 1],
        ['far', 3],
      ],
      'leat.topic.catching_up': [['far', 2]],
      'leat.topic.behind': [['far', 70]],
      'leat.topic.skipped': [['far', 1]],
      'leat.topic.live': [['far', 0]],
    });
    stop();
    local.subscribe();
    far.subscribers = 4;
    expect((await seen())['leat.topic.subscribers']).to.deep.equal([
      ['local', 1],
      ['far', 4],
    ]);
  });

  it('says what is wrong with what it is given', () => {
    expect(() => topicMetrics({} as never, { name: 'a' })).to.throw(TypeError, /`topic` to be a topic/);
    expect(() => topicMetrics(topic(), { name: '' })).to.throw(TypeError, /`name` to be the name of a topic/);
    expect(() => topicMetrics(topic(), { name: 'a', meterProvider: {} as never })).to.throw(
      TypeError,
      /`meterProvider`/,
    );
  });
});
