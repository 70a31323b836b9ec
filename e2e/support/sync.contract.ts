// The feed, the push and what corrections come to, on a real database. Registered by server/sync/*.test.ts for each kind.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { BatchesTable, Database, ResultsTable } from '../../server/adapters/database.ts';
import { NEWEST_HEAD, signHeads } from '../../server/audit/heads.ts';
import type { User } from '../../server/auth/sessions.ts';
import { binBatch, purgeBatch, restoreBatch } from '../../server/batches/bin.ts';
import { tasksIn, tellOtherFiles } from '../../server/batches/other-files.ts';
import { findVisible, listGroups, sheetDetail } from '../../server/batches/queries.ts';
import { MOST_CHANGES, scopeOf, tellAll, tellChanges } from '../../server/changes.ts';
import { parseCsv } from '../../server/cli/csv.ts';
import { writeExport } from '../../server/exports/csv.ts';
import { createKey, publishKey } from '../../server/keys/keys.ts';
import { rescoreAsked } from '../../server/keys/rescore.ts';
import { saveTask } from '../../server/keys/tasks.ts';
import { PART, pull } from '../../server/sync/feed.ts';
import { beginAnewIfRestored, forgetTombstones } from '../../server/sync/horizon.ts';
import { push } from '../../server/sync/push.ts';
import type { KeyContent } from '../../shared/protocol/key.ts';
import { type Correct, type PullAnswer, type SheetLine, seqOf } from '../../shared/protocol/sync.ts';
import { rulings } from '../../shared/review.ts';
import { correctionsOf, waitingOn } from '../../shared/sheet-line.ts';
import { type StoredExam, storeExam } from './stored-exam.ts';

type Item = Correct['items'][number];

/** Registers the suite. `open` opens an empty database, another one for each number. */
export function syncContract(name: string, open: (number: number) => Promise<Database>): void {
  describe(`${name}: feed, push and corrections`, { timeout: 180_000 }, () => {
    let folder: string;
    let db: Database;
    let exam: StoredExam;
    let scope: string;
    let batchNo = 0;
    const person = (username: string, role: User['role'], centres: string[] = []): User => ({
      user_id: username,
      username,
      role,
      centres,
      must_change_password: false,
      session_id: `session of ${username}`,
      device: 'desk',
    });
    const ada = person('ada', 'admin');
    const sue = person('sue', 'supervisor', ['North']);
    const rea = person('rea', 'reviewer', ['North']);
    const rob = person('rob', 'reviewer', ['North']);
    const ole = person('ole', 'operator', ['North']);
    const eve = person('eve', 'reviewer', ['South']);

    beforeAll(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'sheaf-sync-'));
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));
    beforeEach(async () => {
      batchNo++;
      db = await open(batchNo);
      await db.migrate();
      const users = [ada, sue, rea, rob, ole, eve].map(({ user_id, username, role }) => ({
        user_id,
        username,
        role,
        password_hash: '',
        must_change_password: 0 as const,
        // One may publish alone.
        disabled: username === 'sue' ? (1 as const) : (0 as const),
        created_at: 1,
      }));
      await db.write((tx) => db.insertNew(tx, 'users', users));
      exam = await storeExam(db, {
        seed: 5,
        sheets: 24,
        packet: 8,
        questions: 40,
        booklets: 2,
        batch_no: batchNo,
        readings: true,
        answersIn: folder,
      });
      scope = scopeOf(exam.batch_id);
      await db.write((tx) => tx.updateTable('batches').set({ uploaded_by: 'ole', centre_id: 'North' }).execute());
      await publish(exam.key);
      for (const task_id of exam.task_ids) {
        const task = { task_id, exam: 'Exam', centre: 'North', template_id: exam.template_id, key_id: 'key' };
        await rescoreAsked(db, (await saveTask(db, ada, task)).batches);
      }
      return () => db.close();
    });
    async function publish(content: KeyContent): Promise<void> {
      await createKey(db, ada, 'key', content);
      await rescoreAsked(db, (await publishKey(db, ada, 'key', {})).batches);
    }
    const item = (sheet: number, field: string, value: string | null, base_rev = 0): Item => ({
      sheet_id: String(exam.sheet_ids[sheet]),
      field,
      value,
      base_rev,
    });
    const mids = new Map<User, number>();
    const clientOf = (user: User): string => `client-of-${user.username}-${batchNo}`.padEnd(16, '-');
    async function correct(user: User, ...items: Item[]) {
      const mid = (mids.get(user) ?? 0) + 1;
      mids.set(user, mid);
      const args = { batch_id: exam.batch_id, items };
      const { answer, rescore } = await push(db, user, {
        client_id: clientOf(user),
        heard: 0,
        mutations: [{ mid, name: 'correct', args }],
      });
      await rescoreAsked(db, rescore);
      return answer.outcomes[0];
    }
    const resultOf = (sheet: number): Promise<ResultsTable> =>
      db.sql
        .selectFrom('results')
        .selectAll()
        .where('sheet_id', '=', exam.sheet_ids[sheet] ?? 0)
        .executeTakeFirstOrThrow();
    const lineOf = async (user: User, sheet: number): Promise<SheetLine | undefined> =>
      (await pullAll(user, scope)).sheets.find(([page]) => page === (exam.sheet_ids[sheet] ?? 0) % 1_000_000);
    /** The whole scope as a new device sees it. */
    async function pullAll(user: User, of: string): Promise<PullAnswer> {
      const first = await pull(db, user, of);
      for (let part = first; part.more; ) {
        part = await pull(db, user, of, part.cursor);
        for (const list of ['batches', 'keys', 'tasks', 'templates', 'groups', 'sheets'] as const)
          (first[list] as unknown[]).push(...part[list]);
        first.cursor = part.cursor;
      }
      return first;
    }

    describe('the feed', () => {
      test('[S2] a first pull is the state as it is, and the next one says that nothing has changed', async () => {
        const first = await pullAll(rea, scope);
        expect(first).toMatchObject({ reset: true, first: true, batch_no: batchNo });
        expect(first.sheets.map(([page]) => batchNo * 1_000_000 + page)).toEqual(exam.sheet_ids);
        expect(first.groups).toHaveLength(3);
        const { score, key_version } = await resultOf(3);
        expect(first.sheets[3]?.slice(15, 17)).toEqual([`key@${key_version}`, score]);
        const next = await pull(db, rea, scope, first.cursor);
        expect(next).toMatchObject({
          reset: false,
          first: false,
          more: false,
          sheets: [],
          groups: [],
          cursor: first.cursor,
        });
      });

      test('what changed since the cursor comes in one answer, and nothing else', async () => {
        const { cursor } = await pullAll(rea, scope);
        const outcome = await correct(rob, item(3, 'q1', 'A'), item(5, 'roll', '77'));
        const next = await pull(db, rea, scope, cursor);
        expect(next.sheets.map(([page]) => page)).toEqual(
          [3, 5].map((sheet) => (exam.sheet_ids[sheet] ?? 0) % 1_000_000),
        );
        expect(next.sheets[0]?.[25]).toMatchObject([{ field: 'q1', value: 'A', username: 'rob', rev: 1 }]);
        expect(outcome).toMatchObject({ status: 'applied', covers: [{ scope, seq: seqOf(next.cursor) }] });
        expect((await pull(db, rea, scope, next.cursor)).sheets).toEqual([]);
      });

      test('a pull that broke off goes on where it was, and hears what changed meanwhile', async () => {
        const extra = Array.from({ length: PART }, (_, i) => ({
          ...EMPTY_PAGE,
          sheet_id: batchNo * 1_000_000 + 1000 + i,
          batch_id: exam.batch_id,
          page_index: 1000 + i,
        }));
        await db.write((tx) => db.insertNew(tx, 'pages', extra));
        const first = await pull(db, rea, scope);
        expect(first).toMatchObject({ first: true, more: true });
        await correct(rob, item(0, 'q1', 'C'));
        const second = await pull(db, rea, scope, first.cursor);
        expect(second).toMatchObject({ reset: false, first: true, more: false });
        expect(first.sheets.length + second.sheets.length).toBe(24 + PART);
        const after = await pull(db, rea, scope, second.cursor);
        expect(after.sheets[0]?.[25]).toMatchObject([{ value: 'C' }]);
      });

      test('[T1] a cursor that cannot be resumed from is answered by a new beginning', async () => {
        const { cursor } = await pullAll(rea, scope);
        for (const odd of ['', 'nonsense', cursor.replace(/^\w+/, 'abcdef01'), cursor.replace(/\.\d+$/, '.99999')])
          expect(await pull(db, rea, scope, odd)).toMatchObject({ reset: true, first: true });
        await db.write((tx) => tellAll(db, tx, scope));
        expect(await pull(db, rea, scope, cursor)).toMatchObject({ reset: true, first: true });
        const { cursor: second } = await pullAll(rea, scope);
        const many = Array.from({ length: MOST_CHANGES }, (_, i) => batchNo * 1_000_000 + i);
        await db.write((tx) => tellChanges(db, tx, scope, 'sheet', many));
        expect(await pull(db, rea, scope, second)).toMatchObject({ reset: false, first: false });
        await db.write((tx) => tellChanges(db, tx, scope, 'sheet', [...many, 7]));
        expect(await pull(db, rea, scope, second)).toMatchObject({ reset: true });
      });

      test('a group hears that another file has its task too, and that it has no longer', async () => {
        const other = await storeExam(db, { seed: 6, sheets: 8, packet: 8, questions: 40, booklets: 2, batch_no: 77 });
        const task_id = exam.task_ids[1] ?? '';
        let { cursor } = await pullAll(rea, scope);
        const told = async () => {
          const next = await pull(db, rea, scope, cursor);
          cursor = next.cursor;
          return next.groups.map(({ index, notes }) => [index, notes]);
        };
        const [own] = (await db.sql.selectFrom('batches').selectAll().where('batch_no', '=', 77).execute()) as [
          BatchesTable,
        ];
        await db.write(async (tx) => {
          const before = await tasksIn(tx, other.batch_id);
          await tx.updateTable('sheet_groups').set({ task_id }).where('batch_id', '=', other.batch_id).execute();
          await tellOtherFiles(db, tx, other.batch_id, before, await tasksIn(tx, other.batch_id));
        });
        expect(await told()).toEqual([[1, ['other-files']]]);
        await binBatch(db, ada, own);
        expect(await told()).toEqual([[1, []]]);
        await restoreBatch(db, ada, own);
        expect(await told()).toEqual([[1, ['other-files']]]);
        const blobs = { remove: async () => undefined };
        await purgeBatch(db, blobs, ada, own);
        expect(await told()).toEqual([[1, []]]);
      });

      test('[T1] what has been gone for ninety days is forgotten, and who was away for longer begins anew', async () => {
        const DAY = 86_400_000;
        const now = Date.now();
        const { cursor: early } = await pullAll(ada, 'office');
        const [own] = (await db.sql.selectFrom('batches').selectAll().execute()) as [BatchesTable];
        await purgeBatch(db, { remove: async () => undefined }, ada, own);
        const { cursor: late } = await pullAll(ada, 'office');
        const tombstones = () =>
          db.sql.selectFrom('changes').select('entity_id').where('entity_type', '=', 'batch').execute();
        for (let day = 0; day <= 89; day++) await forgetTombstones(db, now + day * DAY);
        expect(await tombstones()).toEqual([{ entity_id: own.batch_id }]);
        expect(await pull(db, ada, 'office', early)).toMatchObject({ reset: false, gone: [`batch:${own.batch_id}`] });
        await forgetTombstones(db, now + 90 * DAY);
        expect(await tombstones()).toEqual([]);
        expect(await pull(db, ada, 'office', early)).toMatchObject({ reset: true, first: true });
        expect(await pull(db, ada, 'office', late)).toMatchObject({ reset: false, first: false });
      });

      test('[T1] a database that was put back to an earlier state gives its numbers in another epoch', async () => {
        const dataDir = await mkdtemp(path.join(folder, 'data-'));
        const started = async () => {
          const anew = await beginAnewIfRestored(db, dataDir);
          await (await signHeads(db, dataDir, fail)).stop();
          return anew;
        };
        const fail = (error: unknown) => {
          throw error;
        };
        expect(await started()).toBe(false);
        const { cursor } = await pullAll(rea, scope);
        const backup = await db.sql.selectFrom('audit').selectAll().orderBy('seq').execute();
        await correct(rob, item(0, 'q1', 'C'));
        expect(await started()).toBe(false);
        expect(await pull(db, rea, scope, cursor)).toMatchObject({ reset: false });
        await db.write(async (tx) => {
          await tx
            .deleteFrom('audit')
            .where('seq', '>', backup.at(-1)?.seq ?? 0)
            .execute();
          await tx.deleteFrom('settings').where('name', '=', NEWEST_HEAD).execute();
        });
        expect(await started()).toBe(true);
        expect(await pull(db, rea, scope, cursor)).toMatchObject({ reset: true, first: true });
        expect(await started()).toBe(false);
      });

      test('nobody is told of what they may not see, and what is no longer theirs is gone', async () => {
        await expect(pull(db, eve, scope)).rejects.toMatchObject({ code: 'NOT_FOUND' });
        expect(await pullAll(eve, 'office')).toMatchObject({ batches: [], keys: [], tasks: [] });
        const reviewers = await pullAll(rea, 'office');
        expect([reviewers.batches.length, reviewers.keys.length, reviewers.tasks.length]).toEqual([1, 1, 3]);
        expect(reviewers.keys[0]).toMatchObject({
          key_id: 'key',
          tasks: 3,
          versions: [{ version: 1, content: exam.key }],
        });
        expect((await pullAll(ole, 'office')).keys).toEqual([]);
        const task = { task_id: exam.task_ids[0] ?? '', exam: 'Exam', template_id: exam.template_id, key_id: 'key' };
        await saveTask(db, ada, { ...task, centre: 'South' });
        const next = await pull(db, rea, 'office', reviewers.cursor);
        expect(next.gone).toEqual([`task:${task.task_id}`]);
        expect(next.keys).toMatchObject([{ key_id: 'key' }]);
        expect((await pullAll(eve, 'office')).tasks).toHaveLength(1);
        // Other centres, another view: all is told anew.
        expect(await pull(db, { ...rea, centres: ['South'] }, 'office', next.cursor)).toMatchObject({ reset: true });
      });

      test('a key that somebody publishes and the scores it brings are told', async () => {
        const [office, batch] = [await pullAll(rea, 'office'), await pullAll(rea, scope)];
        await publish({ ...exam.key, marks: { correct: 9, wrong: 0, blank: 0 } });
        expect((await pull(db, rea, 'office', office.cursor)).keys[0]?.versions.map(({ version }) => version)).toEqual([
          2, 1,
        ]);
        const next = await pull(db, rea, scope, batch.cursor);
        expect(new Set(next.sheets.map((line) => line[15]))).toEqual(new Set(['key@2']));
        expect(next.sheets).toHaveLength(24);
      });
    });

    describe('corrections', () => {
      test('one is appended, scores its sheet, stands in the audit, and everybody reads whose word it is', async () => {
        const accepted = exam.key.answers[exam.candidates[2]?.booklet ?? '']?.[0] ?? '';
        const wrong = accepted === 'A' ? 'B' : 'A';
        await correct(rea, item(2, 'q1', wrong));
        const before = await resultOf(2);
        expect(await correct(rea, item(2, 'q1', accepted, 1))).toMatchObject({ status: 'applied' });
        const after = await resultOf(2);
        expect((after.correct ?? 0) - (before.correct ?? 0)).toBe(1);
        expect({ ...after, score: 0, correct: 0, wrong: 0 }).toEqual({ ...before, score: 0, correct: 0, wrong: 0 });
        const detail = await sheetDetail(db, await findVisible(db, ada, exam.batch_id), String(exam.sheet_ids[2]));
        expect(detail.answers[0]).toMatchObject({
          value: accepted,
          read: exam.candidates[2]?.values[0],
          source: 'reviewer',
          decided_by: 'rea',
          correct: true,
        });
        const audited = await db.sql
          .selectFrom('audit')
          .selectAll()
          .where('action', '=', 'correction.append')
          .execute();
        expect(audited.map(({ user_id, subject }) => [user_id, subject])).toEqual([
          ['rea', `correction:${clientOf(rea)}.${(mids.get(rea) ?? 0) - 1}.0`],
          ['rea', `correction:${clientOf(rea)}.${mids.get(rea)}.0`],
        ]);
        const out = new PassThrough();
        const batch = await findVisible(db, ada, exam.batch_id);
        const [csv] = await Promise.all([text(out), writeExport(db, batch, 'long', out, new AbortController().signal)]);
        const row = parseCsv(csv).find(
          (cells) => cells.sheet_id === String(exam.sheet_ids[2]) && cells.question === '1',
        );
        expect(row).toMatchObject({ value: accepted, source: 'reviewer', decided_by: 'rea' });
      });

      test('[S3] a key that changes and a batch that is loaded again leave what people decided', async () => {
        await correct(rea, item(2, 'q1', 'B|C'), item(2, 'roll', '123'), item(4, 'void', 'true'));
        await publish({ ...exam.key, marks: { correct: 2, wrong: 0, blank: 0 } });
        expect(await resultOf(2)).toMatchObject({ roll: '123', key_version: 2 });
        expect(await resultOf(4)).toMatchObject({ score: null, unscored: 'void' });
        // Read again: the machine's layer is written anew.
        await db.write(async (tx) => {
          await tx
            .updateTable('marks')
            .set({ roll: '999' })
            .where('sheet_id', '=', exam.sheet_ids[2] ?? 0)
            .execute();
          await db.upsert(tx, 'rescores', [
            { batch_id: exam.batch_id, reason: 'reprocess', user_id: null, requested_at: 1 },
          ]);
        });
        await rescoreAsked(db);
        expect(await resultOf(2)).toMatchObject({ roll: '123' });
        expect((await lineOf(rea, 2))?.[9]).toBe('999');
      });

      test('a sheet whose variant the key does not know is doubtful as long as the device has it waiting, and no longer', async () => {
        await db.write(async (tx) => {
          const own = tx.updateTable('marks').where('sheet_id', '=', exam.sheet_ids[2] ?? 0);
          await own.set({ variant: null }).execute();
          await db.upsert(tx, 'rescores', [
            { batch_id: exam.batch_id, reason: 'read again', user_id: null, requested_at: 1 },
          ]);
        });
        await rescoreAsked(db);
        const counted = async () => {
          const { doubtful_sheets } = await findVisible(db, ada, exam.batch_id);
          const line = (await lineOf(rea, 2)) as SheetLine;
          const waiting = waitingOn(line, rulings(correctionsOf(line)), [], () => ({
            key: exam.key,
            template_id: exam.template_id,
          }));
          const { doubtful, unscored } = await resultOf(2);
          return { doubtful_sheets, doubtful, told: line[22], waiting: [...waiting.keys()], unscored };
        };
        const unread = { doubtful: 1, told: 1, waiting: ['variant'], unscored: 'variant-unread', doubtful_sheets: 1 };
        const settled = { doubtful: 0, told: 0, waiting: [], doubtful_sheets: 0 };
        expect(await counted()).toEqual(unread);
        await correct(rea, item(2, 'variant', ''));
        expect(await counted()).toEqual({ ...settled, unscored: 'variant-unread' });
        await correct(rea, item(2, 'variant', null, 1));
        expect(await counted()).toEqual(unread);
        await correct(rea, item(2, 'void', 'true', 2));
        expect(await counted()).toEqual({ ...settled, unscored: 'void' });
        await correct(rea, item(2, 'void', null, 3), item(2, 'variant', exam.candidates[2]?.booklet ?? null, 3));
        expect(await counted()).toEqual({ ...settled, unscored: null });
      });

      test('two who did not see each other are in conflict, and a third settles it', async () => {
        await correct(rea, item(1, 'q2', 'A'));
        await correct(rob, item(1, 'q2', 'B'), item(1, 'q3', 'B'));
        const detail = async () =>
          (await sheetDetail(db, await findVisible(db, ada, exam.batch_id), String(exam.sheet_ids[1]))).answers;
        expect((await detail()).slice(1, 3)).toMatchObject([
          { value: 'A', decided_by: 'rea', conflict: true },
          { value: 'B', decided_by: 'rob', conflict: false },
        ]);
        expect((await resultOf(1)).doubtful).toBe(1);
        await correct(sue, item(1, 'q2', 'B', 3));
        expect((await detail())[1]).toMatchObject({
          value: 'B',
          decided_by: 'sue',
          source: 'supervisor',
          conflict: false,
        });
        expect((await resultOf(1)).doubtful).toBe(0);
        expect(await correct(rea, item(1, 'q2', 'A', 4))).toMatchObject({ status: 'rejected', code: 'FORBIDDEN' });
      });

      test('what a supervisor was asked is theirs to decide, and whoever asked may take it back', async () => {
        const forbidden = { status: 'rejected', code: 'FORBIDDEN' };
        expect(await correct(rea, item(1, 'ask:q1', 'true'))).toMatchObject({ status: 'applied' });
        const seen = 1;
        // Nobody of less weight answers it or takes another's question back, whoever asked answers no more than the others.
        expect(await correct(rob, item(1, 'q1', 'A', seen))).toMatchObject({
          ...forbidden,
          detail: expect.stringContaining('rea has asked a supervisor about'),
        });
        expect(await correct(rob, item(1, 'ask:q1', null, seen))).toMatchObject(forbidden);
        expect(await correct(rea, item(1, 'q1', 'A', seen))).toMatchObject(forbidden);
        expect((await lineOf(rea, 1))?.[25]).toMatchObject([{ field: 'ask:q1', value: 'true', username: 'rea' }]);
        // Any other field is everybody's.
        expect(await correct(rob, item(1, 'q2', 'A', seen))).toMatchObject({ status: 'applied' });
        expect(await correct(sue, item(1, 'q1', 'C', seen))).toMatchObject({ status: 'applied' });

        expect(await correct(rea, item(2, 'ask:q1', 'true'))).toMatchObject({ status: 'applied' });
        expect(await correct(rea, item(2, 'ask:q1', null, 1))).toMatchObject({ status: 'applied' });
        expect(await correct(rob, item(2, 'q1', 'A', 2))).toMatchObject({ status: 'applied' });
      });

      test('who decided without having seen the question is not refused, and the question stands', async () => {
        await correct(rea, item(1, 'ask:q1', 'true'));
        const { doubtful } = await resultOf(1);
        expect(await correct(rob, item(1, 'q1', 'A', 0))).toMatchObject({ status: 'applied' });
        expect((await resultOf(1)).doubtful).toBe(doubtful);
        await correct(sue, item(1, 'q1', 'A', 2));
        expect((await resultOf(1)).doubtful).toBe(doubtful - 1);
      });

      test('a page is put into another group and task, and back', async () => {
        const groups = async () =>
          (await listGroups(db, await findVisible(db, ada, exam.batch_id))).map(({ sheets }) => sheets);
        const page = (sheet: number) => String((exam.sheet_ids[sheet] ?? 0) % 1_000_000);
        const { cursor } = await pullAll(rea, scope);
        await correct(rea, item(0, 'group', page(20)));
        expect(await groups()).toEqual([7, 8, 9]);
        expect((await resultOf(0)).task_id).toBe(exam.task_ids[2]);
        const next = await pull(db, rea, scope, cursor);
        expect(next.groups.map(({ sheets }) => sheets)).toEqual([7, 8, 9]);
        expect(next.sheets.find(([index]) => String(index) === page(0))?.slice(4, 6)).toEqual([2, exam.task_ids[2]]);
        await correct(rea, item(0, 'task', '12345678', 1));
        expect(await resultOf(0)).toMatchObject({ task_id: '12345678', unscored: 'no-task' });
        await correct(rea, item(0, 'task', null, 2), item(0, 'group', null, 2));
        expect(await groups()).toEqual([8, 8, 8]);
        expect((await resultOf(0)).task_id).toBe(exam.task_ids[0]);
      });

      test('the task of an unreadable cover holds for the sheets behind it', async () => {
        const cover = {
          ...EMPTY_PAGE,
          sheet_id: batchNo * 1_000_000,
          batch_id: exam.batch_id,
          page_index: 0,
          kind: 'cover',
        };
        await db.write(async (tx) => {
          await db.insertNew(tx, 'pages', [{ ...cover, group_index: 0 }]);
          await tx
            .updateTable('sheet_groups')
            .set({ task_id: null, state: 'unreadable-cover' })
            .where('group_index', '=', 0)
            .execute();
          await tx.updateTable('pages').set({ task_id: null }).where('group_index', '=', 0).execute();
        });
        const said = { sheet_id: String(cover.sheet_id), field: 'task', base_rev: 0 };
        await correct(rea, { ...said, value: exam.task_ids[0] ?? '' });
        expect(await resultOf(0)).toMatchObject({ task_id: exam.task_ids[0], unscored: null });
        expect((await pullAll(rea, scope)).groups[0]).toMatchObject({ task_id: exam.task_ids[0], state: 'ok' });
        await correct(rea, { ...said, value: null, base_rev: 1 });
        expect(await resultOf(0)).toMatchObject({ task_id: null, unscored: 'no-task' });
        expect((await pullAll(rea, scope)).groups[0]).toMatchObject({ task_id: null, state: 'unreadable-cover' });
      });

      test('what does not fit is refused with its reason, and nothing of it is taken', async () => {
        const refused = async (user: User, ...items: Item[]) => correct(user, item(6, 'roll', '5'), ...items);
        expect(await refused(rea, item(6, 'q41', 'A'))).toMatchObject({
          status: 'rejected',
          code: 'VALIDATION_FAILED',
          detail: expect.stringMatching(/Question 41 of page 8 .*the sheet has 40 questions/),
        });
        expect(await refused(rea, { ...item(6, 'q1', 'A'), sheet_id: '1' })).toMatchObject({ code: 'NOT_FOUND' });
        expect(await refused(ole)).toMatchObject({ code: 'FORBIDDEN' });
        expect(await refused(eve)).toMatchObject({ code: 'NOT_FOUND' });
        expect(await db.sql.selectFrom('corrections').selectAll().execute()).toEqual([]);
        expect((await lineOf(rea, 6))?.[25]).toEqual([]);
      });
    });

    describe('the push', () => {
      const form = (client_id: string, ...mutations: { mid: number; name: string; args: unknown }[]) => ({
        client_id,
        heard: 0,
        mutations,
      });
      const one = (mid: number, sheet: number, value: string) => ({
        mid,
        name: 'correct',
        args: { batch_id: exam.batch_id, items: [item(sheet, 'q1', value)] },
      });
      const CLIENT = 'the-tablet-of-rea';
      const appended = async () =>
        (await db.sql.selectFrom('corrections').select('correction_id').orderBy('created_at').execute()).length;

      test('[S1] sent any number of times, by several senders at once, each is applied once and answered the same', async () => {
        const sent = form(CLIENT, one(1, 0, 'A'), one(2, 1, 'B'), {
          mid: 3,
          name: 'correct',
          args: { batch_id: 'x', items: [item(0, 'q1', 'A')] },
        });
        const answers = await Promise.all([1, 2, 3].map(() => push(db, rea, sent)));
        for (const { answer } of answers) expect(answer).toEqual(answers[0]?.answer);
        expect(answers[0]?.answer.outcomes.map(({ status }) => status)).toEqual(['applied', 'applied', 'rejected']);
        expect(await appended()).toBe(2);
        // What arrives late of an earlier sending changes nothing.
        await push(db, rea, form(CLIENT, one(4, 0, 'C')));
        expect((await push(db, rea, form(CLIENT, one(1, 0, 'A')))).answer.last_mid).toBe(4);
        expect(await appended()).toBe(3);
      });

      test('one that is malformed or unknown is refused alone, and what follows is taken', async () => {
        const { answer } = await push(
          db,
          rea,
          form(
            CLIENT,
            { mid: 1, name: 'correct', args: { batch_id: 7 } },
            { mid: 2, name: 'dance', args: null },
            one(5, 0, 'A'),
          ),
        );
        expect(answer.outcomes).toMatchObject([
          { mid: 1, status: 'rejected', code: 'VALIDATION_FAILED' },
          { mid: 2, status: 'rejected', detail: expect.stringContaining('no mutation dance') },
          { mid: 5, status: 'applied' },
        ]);
      });

      test('a failure that is no refusal leaves no trace, and the next sending is the first', async () => {
        const broken: Database = {
          ...db,
          insertNew: (tx, table, rows) => {
            if (table === 'corrections') throw new Error('the disk is full');
            return db.insertNew(tx, table, rows);
          },
        };
        await expect(push(broken, rea, form(CLIENT, one(1, 0, 'A')))).rejects.toThrow('the disk is full');
        expect((await push(db, rea, form(CLIENT, one(1, 0, 'A')))).answer.outcomes).toMatchObject([
          { status: 'applied' },
        ]);
        expect(await appended()).toBe(1);
      });

      test('answers are forgotten when the client has heard them, and another user’s outbox is not taken', async () => {
        await push(db, rea, form(CLIENT, one(1, 0, 'A'), one(2, 0, 'B')));
        await push(db, rea, { ...form(CLIENT), heard: 1 });
        expect(await db.sql.selectFrom('sync_outcomes').select('mid').execute()).toEqual([{ mid: 2 }]);
        await expect(push(db, rob, form(CLIENT, one(3, 0, 'A')))).rejects.toMatchObject({ code: 'FORBIDDEN' });
      });

      test('keys and tasks: what was made of another state is a conflict, and an answer that was lost is none', async () => {
        const save = (mid: number, content: KeyContent, base: string | null, key_id = 'new') => ({
          mid,
          name: 'key.save',
          args: { key_id, content, base },
        });
        const [a, b, c] = ['A', 'B', 'C'].map((value): KeyContent => ({ ...exam.key, answers: { '': [value] } }));
        const client = 'the-desk-of-sue--';
        const { answer } = await push(
          db,
          sue,
          form(client, save(1, a!, null), save(2, b!, '1.1.draft'), save(3, c!, '1.1.draft'), save(4, b!, null)),
        );
        expect(answer.outcomes).toMatchObject([
          { status: 'applied', stamp: '1.1.draft' },
          { status: 'applied', stamp: '1.2.draft' },
          { status: 'rejected', code: 'CONFLICT' },
          { status: 'applied', stamp: '1.2.draft' },
        ]);
        const task = {
          task_id: '55555555',
          exam: 'E',
          centre: 'North',
          template_id: exam.template_id,
          key_id: 'new',
          packet: null,
          expected_count: 3,
        };
        const tasks = await push(
          db,
          sue,
          form(
            client,
            ...[
              { task, base: null },
              { task: { ...task, expected_count: 4 }, base: '1' },
              { task: { ...task, expected_count: 5 }, base: '1' },
              { task: { ...task, centre: 'South' }, base: '2' },
              { task: { ...task, expected_count: 4 }, base: null },
            ].map((args, i) => ({ mid: 10 + i, name: 'task.save', args })),
          ),
        );
        expect(
          tasks.answer.outcomes.map((outcome) => (outcome.status === 'applied' ? outcome.stamp : outcome.code)),
        ).toEqual(['1', '2', 'CONFLICT', 'FORBIDDEN', '2']);
        const office = await pullAll(sue, 'office');
        expect(office.tasks.find(({ task_id }) => task_id === '55555555')).toMatchObject({ expected_count: 4, rev: 2 });
        expect((await push(db, rea, form('rea-who-is-none-', save(1, a!, null)))).answer.outcomes).toMatchObject([
          { code: 'FORBIDDEN' },
        ]);
      });
    });
  });
}

const EMPTY_PAGE = {
  name: 'x.jpg',
  file_offset: 0,
  file_end: 1,
  compressed_size: 1,
  size: 1,
  method: 0,
  crc32: 0,
  part: null,
  state: 'done',
  kind: 'blank',
  attempts: 1,
  started_at: 1,
  finished_at: 1,
  duration_ms: 1,
  error_message: null,
  group_index: null,
  task_id: null,
};
