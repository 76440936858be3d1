/** What fails by design, or is not ours; a list of the runner's patterns for each reason. */
export type Known = Readonly<Record<string, readonly string[]>>;

/** With hand-written handlers as well. */
export const server: Known = {
  'grpc-js looks neither at the format that a content-type names, nor at the HTTP method': [
    'gRPC Unexpected Requests/**/unexpected-codec',
    'gRPC Unexpected Requests/**/unexpected-verb',
  ],
  'grpc-js takes a message that is compressed by `identity`': [
    'gRPC Unexpected Requests/**/unexpected-compressed-message',
  ],
  'grpc-js answers an unknown encoding with INTERNAL': ['gRPC Unexpected Requests/**/unexpected-compression'],
};

/** With hand-written handlers alone. */
export const bare: Known = {
  'grpc-js takes a request that ends within a message for the end of the stream': [
    'gRPC Unexpected Requests/**/client-stream/incomplete-message',
    'gRPC Unexpected Requests/**/client-stream/incomplete-message-prefix',
  ],
};

/** Where an interceptor lies below handlers that are not ours. */
export const foreign: Known = {
  'an UNKNOWN that was said on purpose looks like the text of an error that was not meant for clients': [
    'Errors/*/*/*/*/*/unary/unknown',
    'Errors/*/*/*/*/*/server-stream/unknown',
  ],
};

export const client: Known = {
  'grpc-js takes a response that ends within a message for its end': [
    'gRPC Unexpected Responses/**/server-stream/incomplete-message',
    'gRPC Unexpected Responses/**/server-stream/incomplete-message-prefix',
  ],
};

/** What may fail, by the time things take. */
export const flaky: Known = {
  'in the client of grpc-js a status overtakes messages that came in the same read': [
    '**/server-stream/error-with-responses',
  ],
  'a server of grpc-go that is the first to see a deadline pass resets the stream': [
    'Timeouts/**/(grpc server impl)/server-stream',
  ],
};

/** Served to browsers. */
export const web: Known = {};
