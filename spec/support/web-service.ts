import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { loadSync, type Options } from '@grpc/proto-loader';

/** One message that has a field of every kind, and a method of every kind. */
export const proto = `syntax = "proto3";
package spec.web;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

service Everything {
  rpc One(Thing) returns (Thing);
  rpc Look(Thing) returns (Thing) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Many(Thing) returns (stream Thing);
  rpc Upload(stream Thing) returns (Thing);
  rpc Chat(stream Thing) returns (stream Thing);
}

enum Color { RED = 0; GREEN = 1; BLUE = -2; }

message Thing {
  int32 some_count = 1;
  uint32 u32 = 2;
  sint32 s32 = 3;
  fixed32 f32 = 4;
  sfixed32 sf32 = 5;
  int64 i64 = 6;
  uint64 u64 = 7;
  sint64 s64 = 8;
  fixed64 f64 = 9;
  sfixed64 sf64 = 10;
  float flt = 11;
  double dbl = 12;
  bool flag = 13;
  string text = 14;
  bytes data = 15;
  Color color = 16;
  Inner inner = 17;
  repeated int32 numbers = 18;
  repeated string words = 19;
  repeated Inner inners = 20;
  repeated Color colors = 21;
  map<string, int64> sizes = 22;
  map<int32, Inner> by_number = 23;
  map<bool, Color> by_flag = 24;
  oneof pick { string name = 25; int32 id = 26; Inner deep = 27; }
  optional int32 maybe = 28;
  google.protobuf.Timestamp at = 29;
  google.protobuf.Duration took = 30;
  google.protobuf.Struct fields = 31;
  google.protobuf.Value value = 32;
  google.protobuf.ListValue list = 33;
  google.protobuf.Int64Value boxed_long = 34;
  google.protobuf.StringValue boxed_text = 35;
  google.protobuf.BoolValue boxed_flag = 36;
  google.protobuf.BytesValue boxed_data = 37;
  google.protobuf.DoubleValue boxed_double = 38;
  google.protobuf.Empty nothing = 39;
  google.protobuf.Any any = 40;
  repeated google.protobuf.Timestamp times = 41;

  message Inner { string label = 1; Thing thing = 2; }
}
`;

const folder = mkdtempSync(join(tmpdir(), 'leat-web-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'everything.proto');
writeFileSync(file, proto);

type Method = MethodDefinition<any, any>;

export function everything(
  options: Options = {},
): ServiceDefinition & Record<'One' | 'Look' | 'Many', Method> {
  return loadSync(file, options)['spec.web.Everything'] as never;
}
