import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createFileRegistry, type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import { type FileDescriptorProto, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const main = createRequire(import.meta.url).resolve('@grpc/reflection');
const folder = join(dirname(main), '../proto');

/** What a server says of itself, asked as grpcurl asks: a service by its name, then what its file imports. */
export class Reflection {
  private readonly client: grpc.Client & { ServerReflectionInfo(): grpc.ClientDuplexStream<any, any> };

  constructor(address: string, version: 'v1' | 'v1alpha' = 'v1') {
    const file = `grpc/reflection/${version}/reflection.proto`;
    const loaded = loadSync(file, { includeDirs: [folder], keepCase: true, oneofs: true });
    const definition = loaded[`grpc.reflection.${version}.ServerReflection`] as grpc.ServiceDefinition;
    const Client = grpc.makeClientConstructor(definition, 'ServerReflection');
    this.client = new Client(address, grpc.credentials.createInsecure()) as any;
  }

  async services(): Promise<string[]> {
    const { list_services_response } = await this.ask({ list_services: '*' });
    return list_services_response.service.map(({ name }: { name: string }) => name);
  }

  /** A file and all it imports, of which the server may send more than was asked for. */
  async registryOf(symbol: string): Promise<FileRegistry> {
    const files = new Map<string, FileDescriptorProto>();
    const fetch = async (request: object): Promise<FileDescriptorProto> => {
      const { file_descriptor_response } = await this.ask(request);
      const received: FileDescriptorProto[] = file_descriptor_response.file_descriptor_proto.map(
        (bytes: Buffer) => fromBinary(FileDescriptorProtoSchema, bytes),
      );
      for (const file of received) files.set(file.name, file);
      return received[0] as FileDescriptorProto;
    };
    const root = await fetch({ file_containing_symbol: symbol });
    for (const file of files.values())
      for (const name of file.dependency) if (!files.has(name)) await fetch({ file_by_filename: name });
    return createFileRegistry(root, name => files.get(name));
  }

  close(): void {
    this.client.close();
  }

  /** One question, one answer. */
  private ask(request: object): Promise<any> {
    return new Promise((answered, failed) => {
      const stream = this.client.ServerReflectionInfo();
      stream.on('error', failed);
      stream.on('data', answer => {
        stream.end();
        const { error_response } = answer;
        if (error_response) failed(new Error(`${error_response.error_code} ${error_response.error_message}`));
        else answered(answer);
      });
      stream.write(request);
    });
  }
}
