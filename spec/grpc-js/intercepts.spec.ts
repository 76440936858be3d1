import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import { expect } from 'chai';
import { interceptor } from '../../lib/index.ts';
import { definition, type Handler, quiet, start, stopAll } from '../support/harness.ts';
import { narrow } from '../support/lifecycle.ts';

describe('messages that go through interceptors of others', () => {
  afterEach(stopAll);

  intercepts();
});

function intercepts(): void {
  it('S11 acknowledges every message of an interceptor that sends several at once', async () => {
    const several: ServerInterceptor = (_method, call) => {
      class Several extends ServerInterceptingCall {
        override sendMessage(message: unknown, callback: () => void): void {
          super.sendMessage(message, callback);
          super.sendMessage('one', () => {});
          super.sendMessage('more', () => {});
        }
      }
      return new Several(call);
    };
    const handler: Handler = async call => {
      for (let i = 0; i < 3; i++) await new Promise(resolve => call.write(i, resolve));
      call.end();
    };
    const server = await start(given => given.addService(definition, { stream: handler }), {
      interceptors: [interceptor(quiet, narrow), several],
    });
    const { code, messages } = await server.call({}, { deadline: Date.now() + 1000 });
    expect({ code, messages }).to.deep.equal({
      code: 0,
      messages: [0, 'one', 'more', 1, 'one', 'more', 2, 'one', 'more'],
    });
  });
}
