// What publishing a key version would change, worked out without writing anything: every sheet of every task that goes by
// the key is scored by the version that would come, and compared with the result of record.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { KeyImpact } from '../../shared/protocol/key.ts';
import { applyCorrections } from '../../shared/review.ts';
import { type Answered, oddQuestions } from '../../shared/scoring/odd-questions.ts';
import { listFor, scorer } from '../../shared/scoring/score.ts';
import type { Database } from '../adapters/database.ts';
import type { User } from '../auth/sessions.ts';
import { correctionsOfSheets } from '../corrections/read.ts';
import { findKey } from './keys.ts';
import { readFromRow } from './score-batch.ts';

const MOST_MOVES = 20;
const SHEETS_A_READ = 1000;

const round = (points: number): number => Math.round(points * 1e6) / 1e6;
const mean = (sum: number, n: number): number | null => (n === 0 ? null : round(sum / n));

export async function impactOf(
  db: Database,
  user: User,
  key_id: string,
  version: number | undefined,
  cutScore: number | undefined,
): Promise<KeyImpact> {
  const key = await findKey(db, user, key_id, version);
  const by = scorer(key.content);
  const answered: Answered[] = [];
  const moves: (KeyImpact['biggest_moves'][number] & { size: number })[] = [];
  const sum = { before: 0, after: 0 };
  const n = { sheets: 0, changed: 0, before: 0, after: 0, passed: 0, failed: 0 };
  const most = { before: null as number | null, after: null as number | null };
  const passes = (score: number | null): boolean => score !== null && cutScore !== undefined && score >= cutScore;
  for (let after = -1; ; ) {
    const rows = await db.sql
      .selectFrom('results')
      .innerJoin('marks', 'marks.sheet_id', 'results.sheet_id')
      .innerJoin('tasks', 'tasks.task_id', 'results.task_id')
      .selectAll('marks')
      .select(['results.batch_id', 'score', 'max_score', 'results.key_id as scored_by', 'unscored'])
      .where('tasks.key_id', '=', key_id)
      .where('results.sheet_id', '>', after)
      .orderBy('results.sheet_id')
      .limit(SHEETS_A_READ)
      .execute();
    const last = rows.at(-1);
    if (!last) break;
    after = last.sheet_id;
    const corrections = await correctionsOfSheets(
      db.sql,
      rows.map(({ sheet_id }) => sheet_id),
    );
    for (const row of rows) {
      const { marks, void: isVoid } = applyCorrections(readFromRow(row), corrections.get(row.sheet_id) ?? []);
      const scored = by.score(marks);
      const { list } = listFor(key.content, marks.variant);
      if (list !== null && scored.score !== null) answered.push({ list, score: scored.score, values: marks.values });
      // What is held back for a suspicion stays so until it is judged anew: its score to come is nobody's to see.
      const next = row.unscored === 'suspect-key' || isVoid ? null : scored.score;
      const before = row.score;
      n.sheets++;
      if (before !== null) {
        n.before++;
        sum.before += before;
        most.before = Math.max(most.before ?? 0, row.max_score ?? 0);
      }
      if (next !== null) {
        n.after++;
        sum.after += next;
        most.after = Math.max(most.after ?? 0, scored.max_score ?? 0);
      }
      if (before === next) continue;
      n.changed++;
      if (!passes(before) && passes(next)) n.passed++;
      if (passes(before) && !passes(next)) n.failed++;
      const size = before === null || next === null ? 0 : Math.abs(next - before);
      moves.push({
        sheet_id: String(row.sheet_id),
        batch_id: row.batch_id,
        roll: row.roll,
        before,
        after: next,
        size,
      });
    }
    if (moves.length > 50 * MOST_MOVES) keepBiggest(moves);
    await nextTurn();
  }
  keepBiggest(moves);
  const [before, next] = [mean(sum.before, n.before), mean(sum.after, n.after)];
  return {
    key_id,
    version: key.version,
    sheets: n.sheets,
    sheets_changed: n.changed,
    mean_before: before,
    mean_after: next,
    mean_shift: before === null || next === null ? null : round(next - before),
    max_before: most.before,
    max_after: most.after,
    newly_passed: cutScore === undefined ? null : n.passed,
    newly_failed: cutScore === undefined ? null : n.failed,
    biggest_moves: moves.map(({ size: _, ...move }) => move),
    anomalies: oddQuestions(key.content, answered),
  };
}

function keepBiggest(moves: { size: number; sheet_id: string }[]): void {
  moves.sort((a, b) => b.size - a.size || Number(a.sheet_id) - Number(b.sheet_id));
  moves.length = Math.min(moves.length, MOST_MOVES);
}
