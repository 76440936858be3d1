import { expect } from 'chai';
import { Broken, Witness } from '../../examples/scale-out/oracle.ts';

/** What one watcher took, `|` for a resume, and `!` for one that is not as it was published, and what is stored. */
function broken(taken: string, stored: number[]): Partial<Broken> {
  const count = new Broken();
  const witness = new Witness(count);
  for (const word of taken.split(' '))
    if (word === '|') witness.resumed();
    else witness.take(Number.parseInt(word, 10), !word.endsWith('!'));
  witness.judge(stored);
  return Object.fromEntries(Object.entries(count).filter(([, times]) => times > 0));
}

describe('The judge of scale-out', () => {
  const every = [1, 2, 3, 4, 5, 6];
  const ofATopic = [3, 6, 9, 12, 15];

  it('finds nothing where all came once and in order, from the first that came', () => {
    expect(broken('1 2 3 4 5 6', every)).to.deep.equal({});
    expect(broken('3 4 | 5 6', every)).to.deep.equal({});
    expect(broken('| 1 2 | | 3 4', every)).to.deep.equal({});
  });

  it('knows the numbers of a topic among others', () => {
    expect(broken('3 6 | 9 12 15', ofATopic)).to.deep.equal({});
    expect(broken('3 6 12 15', ofATopic)).to.deep.equal({ reliable: 1 });
    expect(broken('3 6 | 12 15', ofATopic)).to.deep.equal({ reliable: 1, resumable: 1 });
  });

  it('counts what is lost, within a call and between two', () => {
    expect(broken('1 4 5', every)).to.deep.equal({ reliable: 2 });
    expect(broken('1 2 | 5', every)).to.deep.equal({ reliable: 2, resumable: 1 });
  });

  it('tells what came twice from what came late', () => {
    expect(broken('1 2 2 3', every)).to.deep.equal({ unique: 1 });
    expect(broken('1 3 2 4', every)).to.deep.equal({ ordered: 1 });
  });

  it('knows a resume that does not go on where it was', () => {
    expect(broken('1 2 3 | 3 4', every)).to.deep.equal({ unique: 1, bookmarkable: 1, resumable: 1 });
    expect(broken('1 2 3 | 2 4', every)).to.deep.equal({ ordered: 1, bookmarkable: 1, resumable: 1 });
  });

  it('does not take what nobody published', () => {
    expect(broken('1 2! 3', every)).to.deep.equal({ atomic: 1 });
    expect(broken('3 4 6', ofATopic)).to.deep.equal({ atomic: 1 });
    expect(broken('3 6 7', ofATopic)).to.deep.equal({ atomic: 1 });
    expect(broken('3 4 9', ofATopic)).to.deep.equal({ atomic: 1, reliable: 1 });
  });

  it('says nothing of one to whom nothing came', () => {
    const count = new Broken();
    new Witness(count).judge(every);
    expect(count.total).to.equal(0);
  });
});
