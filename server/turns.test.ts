import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createTurns } from './turns.ts';

const nobodyGoes = new AbortController().signal;
/** Work that lasts until it is told to end. */
function work(name: string, begun: string[]) {
  let [end, fail] = [(): void => {}, (_: Error): void => {}];
  const done = new Promise<string>((resolve, reject) => {
    end = () => resolve(name);
    fail = reject;
  });
  const run = (): Promise<string> => {
    begun.push(name);
    return done;
  };
  return { run, end, fail };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('no more than the places are at work, the others come in order, and a failure frees its place', async () => {
  const turns = createTurns(2);
  const begun: string[] = [];
  const [a, b, c, d] = [work('a', begun), work('b', begun), work('c', begun), work('d', begun)];
  const first = turns(nobodyGoes, a.run);
  const rest = [b, c, d].map(({ run }) => turns(nobodyGoes, run));
  await settled();
  expect(begun).toEqual(['a', 'b']);
  a.fail(new Error('the scan is gone'));
  await expect(first).rejects.toThrow('the scan is gone');
  await settled();
  expect(begun).toEqual(['a', 'b', 'c']);
  for (const { end } of [b, c, d]) end();
  expect(await Promise.all(rest)).toEqual(['b', 'c', 'd']);
});

test('whoever goes away while waiting is not waited for, and takes nobody’s place', async () => {
  const turns = createTurns(1);
  const begun: string[] = [];
  const [a, b, c] = [work('a', begun), work('b', begun), work('c', begun)];
  const gone = new AbortController();
  const first = turns(nobodyGoes, a.run);
  const second = turns(gone.signal, b.run);
  const third = turns(nobodyGoes, c.run);
  gone.abort(new Error('gone'));
  await expect(second).rejects.toThrow('gone');
  a.end();
  c.end();
  expect(await Promise.all([first, third])).toEqual(['a', 'c']);
  expect(begun).toEqual(['a', 'c']);
  await expect(turns(gone.signal, b.run)).rejects.toThrow('gone');
  const last = work('d', begun);
  last.end();
  expect(await turns(nobodyGoes, last.run)).toBe('d');
});

test('whatever comes, goes and fails: never more than the places, and in the end all who stayed were served', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.array(fc.record({ steps: fc.nat(4), goesAfter: fc.option(fc.nat(6)), fails: fc.boolean() }), {
        maxLength: 12,
      }),
      async (places, all) => {
        const turns = createTurns(places);
        let [now, most, served] = [0, 0, 0];
        const outcomes = await Promise.allSettled(
          all.map(async ({ steps, goesAfter, fails }) => {
            const gone = new AbortController();
            const going = (async () => {
              if (goesAfter === null) return;
              for (let i = 0; i < goesAfter; i++) await settled();
              gone.abort(new Error('gone'));
            })();
            try {
              await turns(gone.signal, async () => {
                most = Math.max(most, ++now);
                for (let i = 0; i < steps; i++) await settled();
                now--;
                served++;
                if (fails) throw new Error('failed');
              });
            } finally {
              await going;
            }
          }),
        );
        const left = outcomes.filter((one) => one.status === 'rejected' && (one.reason as Error).message === 'gone');
        expect(most).toBeLessThanOrEqual(places);
        expect([now, served]).toEqual([0, all.length - left.length]);
        for (const [i, { goesAfter }] of all.entries()) if (goesAfter === null) expect(left).not.toContain(outcomes[i]);
      },
    ),
    { numRuns: 100 },
  );
});
