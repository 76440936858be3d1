import { expect } from 'chai';
import { exportedTypes, members } from './support/option-types.ts';
import { type Options, settings } from './support/options.ts';

describe('the names of options', () => {
  for (const [what, row] of Object.entries(settings)) describe(what, () => knows(row));

  it('are tried for everything that the package exports with options', () => {
    const types = Object.values(settings).flatMap(({ type }) => type ?? []);
    expect(types.sort()).to.deep.equal(exportedTypes().sort());
  });

  it('are all tried, as the types have them', () => {
    for (const { type, names } of Object.values(settings))
      if (type)
        expect(Object.keys(names).sort(), type).to.deep.equal(
          members(type)
            .map(({ name }) => name)
            .sort(),
        );
  });
});

function knows({ use, names, needed = {} }: Options): void {
  const known = Object.keys(names);

  it('are taken when they are right, also when what they name is not set', () => {
    for (const [name, value] of Object.entries(names)) use({ ...needed, [name]: value });
    for (const name of known) if (!(name in needed)) use({ ...needed, [name]: undefined });
  });

  it('are refused with the nearest one when they are misspelt', () => {
    for (const name of known)
      expect(() => use({ ...needed, [`${name}x`]: names[name] }), name).to.throw(
        TypeError,
        `got \`${name}x\`: did you mean \`${name}\`?`,
      );
  });

  it('are looked for in an instance of a class, which is refused when it has none', () => {
    class Logger {
      readonly write = console.log;
    }
    for (const other of [new Logger(), Promise.resolve({})])
      expect(() => use(other as never)).to.throw(TypeError, /^Expected `.+` to be .+, got `\w+` \(object\)/);
  });

  it('are refused with all that there are when they are nothing like these', () => {
    expect(() => use({ ...needed, '~': 1 })).to.throw(TypeError, 'got `~`: it has `');
    for (const name of known) expect(() => use({ ...needed, '~': 1 })).to.throw(`\`${name}\``);
  });
}
