/** What the page says of Nest by itself, and of its interceptors. */
import 'reflect-metadata';
import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  Module,
  type NestInterceptor,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { GrpcMethod, type MicroserviceOptions, Transport } from '@nestjs/microservices';
import { map } from 'rxjs';
import { Client, done, same } from './check.ts';
import { LeatStrategy } from './strategy.ts';

@Controller()
class RouteGuide {
  @GrpcMethod('RouteGuide')
  async *listFeatures() {
    yield { name: 'one' };
    yield { name: 'two' };
  }
}

@Module({ controllers: [RouteGuide] })
class AppModule {}

const seen: string[] = [];
class Looking implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler) {
    return next.handle().pipe(
      map(value => {
        seen.push(Object.prototype.toString.call(value));
        return value;
      }),
    );
  }
}

const url = String(process.env.ADDRESS);
const options = { package: 'routeguide', protoPath: 'route_guide.proto', url };
const namesOf = async () => {
  const client = new Client(url);
  await client.ready();
  const { messages } = await client.ask('ListFeatures', [{}]).told;
  client.close();
  return messages.map(({ name }) => name);
};

const bare = await NestFactory.createMicroservice<MicroserviceOptions>(AppModule, {
  transport: Transport.GRPC,
  options,
});
await bare.listen();
same('Nest sends a generator as one message', await namesOf(), ['']);
await bare.close();

const ours = await NestFactory.createMicroservice(AppModule, { strategy: new LeatStrategy(options, []) });
ours.useGlobalInterceptors(new Looking());
await ours.listen();
same('under an interceptor of Nest, the same', await namesOf(), ['']);
same('which is handed the generator', seen, ['[object AsyncGenerator]']);
await ours.close();

const without = await NestFactory.createMicroservice(AppModule, { strategy: new LeatStrategy(options, []) });
await without.listen();
same('without one, all messages', await namesOf(), ['one', 'two']);
await without.close();
done();
