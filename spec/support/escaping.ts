/** What the guard is there to find; run by a test, never with the others. */
describe('a test', () => {
  it('lets a rejection escape', async () => {
    void Promise.reject(new Error('nobody waits for this'));
    await new Promise(resolve => setImmediate(resolve));
  });
});
