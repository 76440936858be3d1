import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import * as leat from '../lib/index.ts';
import * as protobufEs from '../lib/protobuf-es/index.ts';

describe('the surface of leat', () => {
  it('has these names, and a new one is put here on purpose', () => {
    expect(Object.keys(leat).sort()).to.deep.equal([
      'StatusError',
      'all',
      'broadcast',
      'callOf',
      'compose',
      'configure',
      'counters',
      'drain',
      'drainOn',
      'interceptor',
      'key',
      'mount',
      'only',
      'options',
      'plain',
      'produce',
      'serverOptions',
      'wrap',
    ]);
  });

  it('has these names in leat/protobuf-es', () => {
    expect(Object.keys(protobufEs).sort()).to.deep.equal(['clientClass', 'definition']);
    expect(typesOf('protobuf-es/index.ts')).to.deep.equal([
      'Client',
      'ClientClass',
      'ClientMethod',
      'Definition',
      'MethodDefinition',
    ]);
  });

  it('has these types', () => {
    expect(typesOf('index.ts')).to.deep.equal([
      'Answer',
      'AnswerHandler',
      'AuthContext',
      'Call',
      'ConfigureOptions',
      'ConnectionInfo',
      'Counters',
      'Detail',
      'DrainOnOptions',
      'DrainOptions',
      'Drainable',
      'EndReason',
      'Handler',
      'Items',
      'Key',
      'Kind',
      'Layer',
      'Method',
      'Methods',
      'Middleware',
      'Mountable',
      'Mounted',
      'MountedAnswer',
      'ObservableLike',
      'Outcome',
      'Plain',
      'ReadableStreamLike',
      'Requests',
      'Sink',
      'Source',
      'Stats',
      'StatusErrorOptions',
      'Values',
      'Wait',
    ]);
  });

  it('tells whoever uses a name of before what it is now', () => {
    expect(() => leat.all()).to.throw(TypeError, '`all()` is `compose()` now');
    expect(() => leat.options()).to.throw(TypeError, '`options()` is `configure()` now');
  });

  it('counts what it absorbs under these names', () => {
    expect(Object.keys(leat.counters()).sort()).to.deep.equal([
      'droppedMetadata',
      'lateEnds',
      'lateMessages',
      'orphans',
    ]);
  });
});

/** The names of the types that a file of lib exports. */
function typesOf(file: string): string[] {
  const source = readFileSync(new URL(`../lib/${file}`, import.meta.url), 'utf8');
  return [...source.matchAll(/export (type )?\{([^}]*)\}/g)]
    .flatMap(([, all, list]) =>
      (list as string)
        .split(',')
        .map(name => name.trim())
        .filter(name => name && (all || name.startsWith('type ')))
        .map(name => name.replace(/^type /, '')),
    )
    .sort();
}
