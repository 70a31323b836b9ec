// Two hundred damaged and hostile files through the built command line; `npm run -s bench -- hostile` takes a thousand.
import { expect, test } from 'vitest';
import { runHostile } from './hostile/run.ts';

/** Of a page 256 MB of pixels may be held, and while they are decoded twice as much. */
const MOST_MEMORY_MB = 1200;

test('[P2] every damaged or hostile file ends as a reading or as a failure with a reason, in bounded memory', async () => {
  const seen = await runHostile(200, 7);
  console.log(JSON.stringify(seen));
  expect(seen.unsaid).toEqual([]);
  expect(seen.unnamed).toEqual([]);
  // some are whole enough to be read, some are not, and the command says so
  expect(seen.exit_code).toBe(1);
  expect(seen.read.sheet).toBeGreaterThan(20);
  expect(seen.failed).toBeGreaterThan(50);
  if (seen.most_memory_mb !== null) expect(seen.most_memory_mb).toBeLessThan(MOST_MEMORY_MB);
}, 900_000);
