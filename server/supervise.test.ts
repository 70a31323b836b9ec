import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { delayAfter, supervise } from './supervise.ts';

test('the wait before the next start doubles from a quarter of a second up to ten seconds', () => {
  expect([1, 2, 3, 4, 5, 6, 7, 50].map(delayAfter)).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
});

const node = (code: string) => () => spawn(process.execPath, ['-e', code], { stdio: 'ignore' });

test('what ends at once is started again until patience is over', async () => {
  const ends: (number | null)[] = [];
  let starts = 0;
  const over = new Promise<void>((resolve) => {
    supervise({
      spawn: node('process.exit(3)'),
      onStart: () => starts++,
      onEnd(how, nextMs) {
        expect(how).toBe('exit code 3');
        ends.push(nextMs);
        if (nextMs === null) resolve();
      },
      keepTrying: (failures) => failures < 2,
    });
  });
  await over;
  expect(ends).toEqual([250, null]);
  expect(starts).toBe(2);
});

test('a program that does not exist is an end like any other', async () => {
  const how = await new Promise<string>((resolve) => {
    supervise({
      spawn: () => spawn('/no/such/program'),
      onStart: () => expect.unreachable('it cannot start'),
      onEnd: resolve,
      keepTrying: () => false,
    });
  });
  expect(how).toContain('ENOENT');
});

test('what cannot even be started, since a log has no room, is tried again', async () => {
  const ends: string[] = [];
  let tries = 0;
  const started = await new Promise<ReturnType<typeof supervise>>((resolve) => {
    const kept = supervise({
      spawn() {
        if (++tries < 3) throw new Error('no room for its log');
        return spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
      },
      onStart: () => resolve(kept),
      onEnd: (how) => ends.push(how),
      keepTrying: () => true,
    });
  });
  expect(ends).toEqual(['no room for its log', 'no room for its log']);
  await started.stop(10_000);
});

test('who does not listen to SIGTERM is killed when the grace is over, and not started again', async () => {
  let starts = 0;
  const child = spawn(process.execPath, [
    '-e',
    "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('deaf')",
  ]);
  const deaf = supervise({
    spawn: () => child,
    onStart: () => starts++,
    onEnd: () => expect.unreachable('it was told to end'),
    keepTrying: () => true,
  });
  await once(child.stdout, 'data');
  const asked = Date.now();
  await deaf.stop(300);
  expect(Date.now() - asked).toBeGreaterThanOrEqual(290);
  expect(starts).toBe(1);
  expect(deaf.pid).toBeUndefined();
});
