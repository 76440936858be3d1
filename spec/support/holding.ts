/** A test that leaves a timer behind. */
describe('what holds a process', () => {
  it('passes', () => {
    setInterval(() => {}, 3_600_000);
  });
});
