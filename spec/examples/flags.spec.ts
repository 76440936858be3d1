import { expect } from 'chai';
import { numberOf, portOf, read, UsageError } from '../../examples/flags.ts';

const options = { port: { type: 'string' }, speed: { type: 'string' }, slow: { type: 'boolean' } } as const;

describe('examples: flags', () => {
  for (const args of [['--prot', '1'], ['--port'], ['--slow=1'], ['--port', '-1'], ['word']])
    it(`has no use for ${args.join(' ')}`, () => {
      expect(() => read(options, args)).to.throw(UsageError);
    });

  for (const text of ['', ' ', 'many', '1x', 'NaN', 'Infinity', '-Infinity', '1e999', '-1', '0.5'])
    it(`does not take '${text}' for a number from 1 up`, () => {
      const expected = `Expected --speed to be a number from 1 up, got '${text.trim()}'`;
      expect(() => numberOf({ speed: text }, 'speed', 1)).to.throw(UsageError, expected);
    });

  for (const [text, number] of [
    ['1', 1],
    ['1.5', 1.5],
    [' 20 ', 20],
    ['1e3', 1000],
  ] as const)
    it(`takes '${text}' for a number`, () => {
      expect(numberOf({ speed: text }, 'speed', 1)).to.equal(number);
    });

  for (const text of ['65536', '1.5', '-1', 'http', ''])
    it(`does not take '${text}' for a port`, () => {
      expect(() => portOf({ port: text }, 'port')).to.throw(UsageError, /^Expected --port to be /);
    });

  for (const port of [0, 1, 65_535])
    it(`takes ${port} for a port`, () => {
      expect(portOf({ port: String(port) }, 'port')).to.equal(port);
    });
});
