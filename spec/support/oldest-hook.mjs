export function resolve(specifier, context, next) {
  return next(specifier === '@grpc/grpc-js' ? 'grpc-js-oldest' : specifier, context);
}
