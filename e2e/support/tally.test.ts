import { expect, test } from 'vitest';
import { tallyOf } from './tally.ts';

const report = (passed: number, failed: number, files: { status: string; tests: string[] }[]): string =>
  JSON.stringify({
    numPassedTests: passed,
    numFailedTests: failed,
    testResults: files.map(({ status, tests }) => ({
      name: 'x.test.ts',
      status,
      assertionResults: tests.map((of) => ({ status: of })),
    })),
  });

test('tests are counted', () => {
  const files = [{ status: 'failed', tests: ['passed', 'passed', 'failed'] }];
  expect(tallyOf(report(2, 1, files), 1)).toEqual({ passed: 2, failed: 1 });
});

test('a file that does not load is a failure, although no test of it ran', () => {
  expect(tallyOf(report(2, 0, [{ status: 'failed', tests: [] }]), 1)).toEqual({ passed: 2, failed: 1 });
});

test('a run that ends badly is a failure, whatever its tests say', () => {
  expect(tallyOf(report(2, 0, [{ status: 'passed', tests: ['passed', 'passed'] }]), 1)).toEqual({
    passed: 2,
    failed: 1,
  });
  expect(tallyOf(null, 0)).toEqual({ passed: 0, failed: 1 });
});
