// Keys, tasks and what follows from them, on a real database: from a draft to scores, again and again. Registered by
// server/keys/*.test.ts for each kind of database.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database, ResultsTable } from '../../server/adapters/database.ts';
import type { User } from '../../server/auth/sessions.ts';
import { findVisible, listGroups, listSheets, sheetDetail } from '../../server/batches/queries.ts';
import { parseCsv } from '../../server/cli/csv.ts';
import { writeExport } from '../../server/exports/csv.ts';
import { confirmKey, groupFit } from '../../server/keys/fit.ts';
import { impactOf } from '../../server/keys/impact.ts';
import {
  createKey,
  editDraft,
  findKey,
  listKeys,
  listVersions,
  publishKey,
  validateVersion,
} from '../../server/keys/keys.ts';
import { rescoreAsked } from '../../server/keys/rescore.ts';
import { editTask, findTask, listTasks, saveTask } from '../../server/keys/tasks.ts';
import type { KeyContent } from '../../shared/protocol/key.ts';
import { scoreSheet } from '../../shared/scoring/score.ts';
import { type StoredExam, type StoreOptions, storeExam } from './stored-exam.ts';

/** Registers the suite. `open` opens an empty database, another one for each number. */
export function keysContract(name: string, open: (number: number) => Promise<Database>): void {
  describe(`${name}: keys and tasks`, () => {
    let folder: string;
    let db: Database;
    let batchNo = 0;
    const person = (name: string, role: User['role'] = 'admin', centres: string[] = []): User => ({
      user_id: name,
      username: name,
      role,
      centres,
      must_change_password: false,
      session_id: `session of ${name}`,
      device: 'desk',
    });
    const ada = person('ada');
    const bea = person('bea');

    beforeAll(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'sheaf-keys-'));
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));
    beforeEach(async () => {
      batchNo++;
      db = await open(batchNo);
      await db.migrate();
      await addUser(ada);
      return async () => {
        await db.close();
      };
    });
    const addUser = (user: User) =>
      db.write((tx) =>
        tx
          .insertInto('users')
          .values({
            user_id: user.user_id,
            username: user.username,
            password_hash: '',
            role: user.role,
            must_change_password: 0,
            disabled: 0,
            created_at: 1,
          })
          .execute(),
      );

    const marks = { correct: 4, wrong: -1, blank: 0 };
    const simple = (answers: string, rest: Partial<KeyContent> = {}): KeyContent => ({
      answers: { '': [...answers] },
      marks,
      ...rest,
    });
    const small = { seed: 5, sheets: 24, packet: 8, questions: 40, booklets: 2 };
    const store = (options: Partial<StoreOptions> = {}): Promise<StoredExam> =>
      storeExam(db, { ...small, batch_no: batchNo, readings: true, answersIn: folder, ...options });
    const makeTasks = async (exam: StoredExam, key_id: string | null, only = exam.task_ids): Promise<void> => {
      for (const task_id of only) {
        const { template_id } = exam;
        const { batches } = await saveTask(db, ada, { task_id, exam: 'Exam', centre: 'North', template_id, key_id });
        await rescoreAsked(db, batches);
      }
    };
    const publish = async (key_id: string, content: KeyContent, by = ada) => {
      await createKey(db, by, key_id, content);
      const { key, batches } = await publishKey(db, by, key_id, {});
      return { key, ...(await rescoreAsked(db, batches)) };
    };
    const results = (): Promise<ResultsTable[]> =>
      db.sql.selectFrom('results').selectAll().orderBy('sheet_id').execute();
    const audited = async (action: string) =>
      (await db.sql.selectFrom('audit').selectAll().where('action', '=', action).orderBy('seq').execute()).map(
        (row) => ({
          ...row,
          after: JSON.parse(row.after_value ?? 'null') as Record<string, unknown>,
        }),
      );

    describe('a key from draft to published', () => {
      test('a draft is edited at its revision, and an edit that began before another is refused', async () => {
        const draft = await createKey(db, ada, 'physics', simple('ABC'));
        expect(draft).toMatchObject({ version: 1, state: 'draft', rev: 1, edited_by: 'ada' });
        const edited = await editDraft(db, ada, 'physics', simple('ABD'), 1);
        expect(edited).toMatchObject({ version: 1, rev: 2 });
        await expect(editDraft(db, ada, 'physics', simple('ABE'), 1)).rejects.toMatchObject({ code: 'CONFLICT' });
        // the answer to this very edit was lost: it is not a conflict
        expect(await editDraft(db, ada, 'physics', simple('ABD'), 1)).toMatchObject({ rev: 2 });
      });

      test('a published version never changes: an edit is refused, new content is the next version', async () => {
        await publish('physics', simple('ABC'));
        await expect(editDraft(db, ada, 'physics', simple('ABD'), 1)).rejects.toMatchObject({ code: 'CONFLICT' });
        expect(await createKey(db, ada, 'physics', simple('ABC'))).toMatchObject({ version: 1, state: 'published' });
        expect(await createKey(db, ada, 'physics', simple('ABD'))).toMatchObject({ version: 2, state: 'draft' });
        await expect(createKey(db, ada, 'physics', simple('ABE'))).rejects.toMatchObject({ code: 'CONFLICT' });
        expect((await findKey(db, ada, 'physics', 1)).content).toEqual(simple('ABC'));
        expect((await listVersions(db, ada, 'physics')).items.map(({ version, state }) => [version, state])).toEqual([
          [2, 'draft'],
          [1, 'published'],
        ]);
        expect((await listKeys(db, ada, { search: 'PHYS', page: 1 })).items).toMatchObject([
          { key_id: 'physics', published: 1, draft: 2, tasks: 0 },
        ]);
      });

      test('whoever edited last cannot publish while there is somebody else', async () => {
        await addUser(bea);
        await createKey(db, ada, 'physics', simple('ABC'));
        await expect(publishKey(db, ada, 'physics', {})).rejects.toMatchObject({ code: 'SECOND_PERSON' });
        await editDraft(db, bea, 'physics', simple('ABD'), 1);
        await expect(publishKey(db, bea, 'physics', {})).rejects.toMatchObject({ code: 'SECOND_PERSON' });
        await expect(publishKey(db, ada, 'physics', { rev: 1 })).rejects.toMatchObject({ code: 'CONFLICT' });
        const { key } = await publishKey(db, ada, 'physics', { rev: 2 });
        expect(key).toMatchObject({ state: 'published', edited_by: 'bea', published_by: 'ada' });
        expect((await audited('key.publish'))[0]?.after).toMatchObject({ alone: false });
        // asked twice it is published once
        await publishKey(db, ada, 'physics', {});
        expect(await audited('key.publish')).toHaveLength(1);
      });

      test('the only one who could publishes alone, and the audit says so', async () => {
        await addUser(person('ole', 'operator'));
        await publish('physics', simple('ABC'));
        expect((await audited('key.publish'))[0]?.after).toMatchObject({ alone: true });
      });

      test('a key with errors is not published, and each is named', async () => {
        const exam = await store();
        await createKey(db, ada, 'physics', { ...simple('ABFD'), template_id: exam.template_id });
        expect((await validateVersion(db, ada, 'physics')).problems[0]).toMatchObject({
          code: 'option-unknown',
          question: 3,
          message: 'question 3: option F of A–E.',
        });
        await expect(publishKey(db, ada, 'physics', {})).rejects.toMatchObject({
          code: 'VALIDATION_FAILED',
          message: expect.stringContaining('option F of A–E'),
        });
        await createKey(db, ada, 'long', simple('A'.repeat(41), { template_id: exam.template_id }));
        expect((await validateVersion(db, ada, 'long')).problems).toMatchObject([
          { code: 'question-beyond-sheet', question: 41 },
        ]);
      });
    });

    describe('tasks', () => {
      test('are listed, searched and edited in part, at their revision', async () => {
        const { template_id } = await store();
        const task = { exam: 'Exam', centre: 'North', template_id, key_id: null };
        await saveTask(db, ada, { ...task, task_id: '12345678', packet: 'seal 99' });
        await saveTask(db, ada, { ...task, task_id: '87654321', centre: 'South' });
        expect((await listTasks(db, ada, { search: 'SEAL', page: 1 })).items).toMatchObject([{ task_id: '12345678' }]);
        expect((await listTasks(db, ada, { search: '', page: 1, centre: 'South' })).total).toBe(1);
        const { task: edited } = await editTask(db, ada, '12345678', { expected_count: 30, base_rev: 1 });
        expect(edited).toMatchObject({ packet: 'seal 99', expected_count: 30, centre: 'North', rev: 2 });
        await expect(editTask(db, ada, '12345678', { packet: null, base_rev: 1 })).rejects.toMatchObject({
          code: 'CONFLICT',
        });
      });

      test('a supervisor makes tasks of their centres, and knows of no others', async () => {
        const { template_id } = await store();
        const sue = person('sue', 'supervisor', ['North']);
        const task = { task_id: '12345678', exam: 'Exam', template_id, key_id: null };
        await saveTask(db, sue, { ...task, centre: 'North' });
        await expect(saveTask(db, sue, { ...task, centre: 'South' })).rejects.toMatchObject({ code: 'FORBIDDEN' });
        await expect(findTask(db, person('sam', 'supervisor', ['South']), '12345678')).rejects.toMatchObject({
          code: 'NOT_FOUND',
        });
      });

      test('sheets of an unknown task wait, and score the moment the task and its key are there', async () => {
        const exam = await store();
        expect(new Set((await results()).map(({ unscored }) => unscored))).toEqual(new Set(['no-task']));
        await makeTasks(exam, null);
        expect(new Set((await results()).map(({ unscored }) => unscored))).toEqual(new Set(['no-key']));
        expect((await listGroups(db, await findVisible(db, ada, exam.batch_id))).map(({ state }) => state)).toEqual([
          'ok',
          'ok',
          'ok',
        ]);
        await publish('physics', exam.key);
        const { batches } = await editTask(db, ada, exam.task_ids[1]!, { key_id: 'physics' });
        await rescoreAsked(db, batches);
        const scored = (await results()).map(({ score, task_id }) => [task_id, score !== null]);
        expect(scored).toEqual(scored.map(([task_id]) => [task_id, task_id === exam.task_ids[1]]));
      });

      test('a key that is published after its tasks scores them all', async () => {
        const exam = await store();
        await createKey(db, ada, 'physics', exam.key);
        await makeTasks(exam, 'physics');
        expect((await results()).every(({ unscored }) => unscored === 'no-key')).toBe(true);
        const { batches } = await publishKey(db, ada, 'physics', {});
        expect(await rescoreAsked(db, batches)).toEqual({ batches: 1, sheets: 24 });
        expect((await results()).every(({ score, key_version }) => score !== null && key_version === 1)).toBe(true);
      });
    });

    describe('scoring again', () => {
      test('the next version changes only what it changes, tells the feed and the audit, and old results are reproduced', async () => {
        const exam = await store();
        await publish('physics', exam.key);
        await makeTasks(exam, 'physics');
        const first = await results();
        const next = structuredClone(exam.key);
        next.items = [{ variant: 'A', question: 7, kind: 'void' }];
        const seen = await db.sql.selectFrom('changes').select('seq').where('entity_type', '=', 'sheet').execute();
        const last = Math.max(...seen.map(({ seq }) => seq));
        const { sheets } = await publish('physics', next);
        const second = await results();
        // every row carries the new version, so every row is told of
        expect(sheets).toBe(24);
        const told = await db.sql
          .selectFrom('changes')
          .selectAll()
          .where('entity_type', '=', 'sheet')
          .where('seq', '>', last)
          .orderBy('seq')
          .execute();
        expect(told.map(({ entity_id }) => Number(entity_id))).toEqual(exam.sheet_ids);
        expect((await audited('batch.rescore')).at(-1)).toMatchObject({
          user_id: 'ada',
          subject: `batch:${exam.batch_id}`,
          after: { because: 'key:physics@2', sheets: 24, changed: 24 },
        });
        // any past result follows from the reading and the version it carries
        for (const [version, rows] of [
          [1, first],
          [2, second],
        ] as const) {
          const { content } = await findKey(db, ada, 'physics', version);
          rows.forEach((row, i) => {
            const again = scoreSheet(exam.reading(i), content);
            expect(row).toMatchObject({
              key_version: version,
              score: again.score,
              max_score: again.max_score,
              correct: again.correct,
              wrong: again.wrong,
              blank: again.blank,
            });
          });
        }
        expect(second.filter(({ max_score }) => max_score === 39)).toHaveLength(12);
      });

      test('[P1] asked for twice it writes nothing the second time', async () => {
        const exam = await store();
        await publish('physics', exam.key);
        await makeTasks(exam, 'physics');
        const { batches } = await publishKey(db, ada, 'physics', {});
        expect(await rescoreAsked(db, batches)).toEqual({ batches: 1, sheets: 0 });
        expect(await rescoreAsked(db)).toEqual({ batches: 0, sheets: 0 });
      });

      test('[P1] what a crash left asked for is done by whoever looks next', async () => {
        const exam = await store();
        await publish('physics', exam.key);
        await makeTasks(exam, 'physics');
        await createKey(db, ada, 'physics', { ...exam.key, marks: { ...marks, correct: 9 } });
        await publishKey(db, ada, 'physics', {}); // and the process ends here
        expect((await results())[0]).toMatchObject({ key_version: 1 });
        expect(await rescoreAsked(db)).toEqual({ batches: 1, sheets: 24 });
        expect((await results())[0]).toMatchObject({ key_version: 2 });
      });

      test('a batch that is not loaded yet keeps the request until it is', async () => {
        const exam = await store();
        const status = (to: string, finished_at: number | null) =>
          db.write(async (tx) => {
            await tx.updateTable('batches').set({ status: to }).execute();
            await tx.updateTable('stages').set({ finished_at }).execute();
          });
        await status('processing', null);
        await publish('physics', exam.key);
        await makeTasks(exam, 'physics');
        expect((await results())[0]).toMatchObject({ score: null });
        await status('completed', 1);
        await rescoreAsked(db);
        expect((await results())[0]?.score).not.toBeNull();
      });
    });

    test('screens, exports and the score of record agree on every sheet and answer', async () => {
      const exam = await store();
      const key: KeyContent = {
        ...exam.key,
        marks,
        sections: [{ name: 'second half', from: 21, to: 40, marks: { correct: 2, wrong: -0.5 } }],
        items: [
          { variant: 'A', question: 3, kind: 'void' },
          { variant: 'B', question: 4, kind: 'bonus' },
        ],
      };
      await publish('physics', key);
      await makeTasks(exam, 'physics');
      const batch = await findVisible(db, ada, exam.batch_id);
      const exported = async (format: 'wide' | 'long') => {
        const out = new PassThrough();
        const [body] = await Promise.all([
          text(out),
          writeExport(db, batch, format, out, new AbortController().signal),
        ]);
        return parseCsv(body);
      };
      const [wide, long] = [await exported('wide'), await exported('long')];
      const { items } = await listSheets(db, batch, { page: 1, limit: 100 });
      expect(items).toHaveLength(24);
      for (const [i, row] of items.entries()) {
        const own = scoreSheet(exam.reading(i), key);
        const detail = await sheetDetail(db, batch, row.sheet_id);
        const lines = long.filter(({ sheet_id }) => sheet_id === row.sheet_id);
        const line = wide.find(({ sheet_id }) => sheet_id === row.sheet_id);
        expect(row).toMatchObject({
          score: own.score,
          max_score: own.max_score,
          correct: own.correct,
          wrong: own.wrong,
        });
        expect([line?.score, line?.max_score, line?.wrong]).toEqual([own.score, own.max_score, own.wrong].map(String));
        expect(detail.answers).toMatchObject(own.answers);
        const sum = (points: (number | null)[]) => points.reduce<number>((a, b) => a + (b ?? 0), 0);
        expect(sum(detail.answers.map(({ points }) => points))).toBeCloseTo(own.score!, 6);
        expect(sum(lines.map(({ points }) => Number(points)))).toBeCloseTo(own.score!, 6);
        expect(lines.map(({ outcome }) => outcome)).toEqual(own.answers.map(({ outcome }) => outcome));
        if (row.variant === 'A') expect(line?.Q03).toBe('V');
      }
    });

    test('the impact of a draft is what publishing then does', async () => {
      const exam = await store({ sheets: 120, ability: 1 });
      await publish('physics', exam.key);
      await makeTasks(exam, 'physics');
      const next = structuredClone(exam.key);
      const wrong = next.answers.A![4] === 'A' ? 'B' : 'A';
      const right = next.answers.A![4]!;
      next.answers.A![4] = wrong;
      await createKey(db, ada, 'physics', next);
      const before = await results();
      const cut = 25;
      const impact = await impactOf(db, ada, 'physics', undefined, cut);
      expect(await results()).toEqual(before);
      const { batches } = await publishKey(db, ada, 'physics', {});
      await rescoreAsked(db, batches);
      const after = await results();
      const moved = after.filter(({ score }, i) => score !== before[i]!.score);
      const mean = (rows: ResultsTable[]) => rows.reduce((sum, { score }) => sum + score!, 0) / rows.length;
      const passing = (rows: ResultsTable[]) => rows.map(({ score }) => score! >= cut);
      const [passed, passes] = [passing(before), passing(after)];
      expect(moved.length).toBeGreaterThan(10);
      expect(impact).toMatchObject({
        version: 2,
        sheets: 120,
        sheets_changed: moved.length,
        mean_before: expect.closeTo(mean(before), 5),
        mean_after: expect.closeTo(mean(after), 5),
        newly_passed: passes.filter((now, i) => now && !passed[i]).length,
        newly_failed: passes.filter((now, i) => !now && passed[i]).length,
      });
      expect(impact.biggest_moves).toHaveLength(20);
      // the slip that was made is what it points at
      expect(impact.anomalies).toMatchObject([{ variant: 'A', question: 5, accepted: wrong, chosen: right }]);
    });

    describe('a packet that goes by the wrong booklet', () => {
      const SWAPPED = 4;
      const store30 = () =>
        store({
          sheets: 300,
          packet: 30,
          marked: ({ packet, booklet }) => (packet === SWAPPED ? (booklet === 'A' ? 'B' : 'A') : booklet),
        });

      test('has no scores before anybody sees them, says why, and has them once a supervisor lets them stand', async () => {
        const exam = await store30();
        await publish('physics', exam.key);
        await makeTasks(exam, 'physics');
        const batch = await findVisible(db, ada, exam.batch_id);
        const groups = await listGroups(db, batch);
        expect(groups.filter(({ state }) => state === 'suspect-key').map(({ index }) => index)).toEqual([SWAPPED]);
        expect(groups[SWAPPED]?.suspicion).toContain('booklet B of key physics version 1 fits better');
        const held = (rows: ResultsTable[]) => rows.filter(({ unscored }) => unscored === 'suspect-key');
        const suspects = held(await results());
        expect(suspects.map(({ sheet_id }) => sheet_id)).toEqual(
          exam.sheet_ids.filter((_, i) => exam.candidates[i]!.packet === SWAPPED),
        );
        expect(suspects.every(({ score, max_score, correct }) => (score ?? max_score ?? correct) === null)).toBe(true);
        // nor can they be added up from their answers
        const detail = await sheetDetail(db, batch, String(suspects[0]!.sheet_id));
        expect(detail.answers.every(({ points, accepted }) => points === null && accepted === null)).toBe(true);

        const group_id = groups[SWAPPED]!.group_id;
        const fit = await groupFit(db, batch, group_id);
        expect(fit.suspect?.whole_group).toBe(true);
        expect(fit.booklets.map(({ variant, fits }) => [variant, fits[0]?.list])).toEqual([
          ['A', 'B'],
          ['B', 'A'],
        ]);
        expect(await confirmKey(db, ada, batch, group_id, 'the labels were swapped on purpose')).toBe(true);
        await rescoreAsked(db);
        expect(held(await results())).toEqual([]);
        expect((await listGroups(db, batch))[SWAPPED]).toMatchObject({ state: 'ok', suspicion: null });
        expect((await audited('group.confirm-key'))[0]?.after).toMatchObject({ confirmed_key: 'physics@1' });

        // the next version is judged anew
        await publish('physics', { ...exam.key, marks: { ...marks, correct: 5 } });
        expect(held(await results())).toHaveLength(30);
      });

      test('and one whose task names another key of the exam too', async () => {
        const exam = await store({ sheets: 300, packet: 30, booklets: 1, onePerPacket: true });
        const other = simple([...exam.key.answers.A!].reverse().join(''));
        await publish('morning', { ...exam.key, answers: { '': exam.key.answers.A! } });
        await publish('evening', other);
        await makeTasks(exam, 'morning', exam.task_ids.slice(0, 9));
        await makeTasks(exam, 'evening', exam.task_ids.slice(9));
        const groups = await listGroups(db, await findVisible(db, ada, exam.batch_id));
        expect(groups.filter(({ state }) => state === 'suspect-key').map(({ index }) => index)).toEqual([9]);
        expect(groups[9]?.suspicion).toContain('key morning version 1 fits better');
        // given its right key, its scores appear
        const { batches } = await editTask(db, ada, exam.task_ids[9]!, { key_id: 'morning' });
        await rescoreAsked(db, batches);
        expect((await results()).every(({ score }) => score !== null)).toBe(true);
      });
    });
  });
}
