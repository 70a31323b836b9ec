// How many checks passed and how many failed, out of vitest's JSON report.
import * as v from 'valibot';

const Report = v.object({
  numPassedTests: v.number(),
  numFailedTests: v.number(),
  testResults: v.array(
    v.object({
      name: v.string(),
      status: v.string(),
      assertionResults: v.array(v.object({ status: v.string() })),
    }),
  ),
});

export interface Tally {
  passed: number;
  failed: number;
}

/** A file that fails without a failed test of its own (it does not load, or a hook of it throws) is one failure, and so
 *  is a run that ends badly although no test failed. `report` null: there is none. */
export function tallyOf(report: string | null, exitCode: number): Tally {
  if (report === null) return { passed: 0, failed: 1 };
  const { numPassedTests, numFailedTests, testResults } = v.parse(Report, JSON.parse(report));
  const brokenFiles = testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((assertion) => assertion.status === 'failed'),
  );
  const failed = numFailedTests + brokenFiles.length;
  return { passed: numPassedTests, failed: failed === 0 && exitCode !== 0 ? 1 : failed };
}
