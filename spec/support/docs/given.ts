/** What the pages of docs have from the tutorial: all blocks see these names, and none runs with them. */
import type { Server } from '@grpc/grpc-js';
import type { ProtoGrpcType as Logs } from '../../../proto/generated/log_service.ts';
import type { ProtoGrpcType as Numbers } from '../../../proto/generated/number_service.ts';

export declare const server: Server;
export declare const LogService: Logs['example']['LogService'];
export declare const NumberService: Numbers['tutorial']['NumberService'];
