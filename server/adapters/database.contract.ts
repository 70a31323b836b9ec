// What every database must do, whichever it is. Each adapter's test registers this suite against a real one that starts
// out empty.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AnswersTable, Database, Schema, Tx } from './database.ts';
import { MIGRATIONS } from './migrations.ts';
import { PRIMARY_KEYS } from './rows.ts';

/** Text that a careless charset, escape or collation would change. */
const AWKWARD = 'Zoë, "B"\\N\r\n\t日本 𝄞 \'x\' 100% ';

const LATE = 4_102_444_800_000; // beyond 32 bits
const ROWS: Schema = {
  settings: { name: 's', value: AWKWARD },
  centres: { centre_id: 'c', name: 'Área 51' },
  exams: { exam_id: 'e', name: 'Física' },
  users: {
    user_id: 'u',
    username: 'zoë',
    password_hash: 'h',
    role: 'admin',
    must_change_password: 1,
    disabled: 0,
    created_at: LATE,
  },
  user_centres: { user_id: 'u', centre_id: 'c' },
  sessions: {
    session_id: 's',
    user_id: 'u',
    device: AWKWARD,
    address: '2001:db8::1',
    created_at: 1,
    last_used_at: LATE,
    revoked_at: null,
  },
  refresh_tokens: { token_hash: 'h', session_id: 's', created_at: 1, used_at: LATE },
  login_failures: { scope: 'name:x', failures: 3, last_at: LATE, blocked_until: 0 },
  templates: { template_id: 't', version: 2, content: '{}', created_by: null, created_at: 1 },
  answer_keys: {
    key_id: 'k',
    version: 1,
    state: 'draft',
    content: '{}',
    rev: 1,
    created_by: 'u',
    edited_by: 'u',
    published_by: null,
    created_at: 1,
    edited_at: LATE,
    published_at: null,
  },
  tasks: {
    task_id: '00000001',
    exam_id: 'e',
    centre_id: 'c',
    packet: null,
    template_id: 't',
    template_version: 2,
    key_id: null,
    expected_count: 0,
    rev: 1,
    created_at: 1,
  },
  batches: {
    batch_id: 'b',
    batch_no: 7,
    name: 'a'.repeat(255),
    upload_type: 'images',
    task_id: null,
    status: 'uploading',
    resume_status: null,
    stage: 'uploading',
    message: AWKWARD,
    progress_percentage: 33.333333333333336,
    error_details: null,
    size: 10 * 2 ** 30,
    uploaded_by: 'u',
    centre_id: null,
    created_at: LATE,
    first_byte_at: null,
    uploaded_at: null,
    processing_started_at: null,
    processing_completed_at: null,
    deleted_at: null,
    directory_known: 1,
    total_pages: 1,
    covers: 2,
    blank_pages: 3,
    done_pages: 4,
    failed_sheets: 5,
    doubtful_sheets: 6,
    total_answers: 7,
    event_seq: 8,
    rev: 9,
  },
  uploads: {
    upload_id: 'up',
    batch_id: 'b',
    client_upload_id: 'cu',
    owner: 'u',
    token_hash: 'h',
    name: 'scans.zip',
    upload_type: 'zip_with_qr',
    size: 10 * 2 ** 30,
    chunk_size: 50 * 2 ** 20,
    files: null,
    grouping: AWKWARD,
    state: 'open',
    sealing_at: null,
    reason: null,
    epoch: 1,
    created_at: 1,
    last_byte_at: null,
  },
  chunks: {
    upload_id: 'up',
    chunk_index: 3,
    state: 'landing',
    landed: 12,
    sha256: 'f'.repeat(64),
    epoch: 1,
    contested: 0,
    lease_id: null,
    lease_until: null,
    verified_at: null,
  },
  stages: { batch_id: 'b', stage: 'extracting', enqueued_at: null, started_at: 1, finished_at: null },
  sheet_groups: {
    batch_id: 'b',
    group_index: 0,
    task_id: null,
    cover_page: 0,
    first_page: 1,
    sheets: 2,
    failed_sheets: 0,
    state: 'ok',
    suspicion: AWKWARD,
    confirmed_key: null,
  },
  pages: {
    sheet_id: 7_000_001,
    batch_id: 'b',
    page_index: 1,
    name: `${'folder/'.repeat(200)}1.jpg`,
    file_offset: 9 * 2 ** 30,
    file_end: 9 * 2 ** 30 + 70_000,
    compressed_size: 1,
    size: 2,
    method: -1,
    crc32: 2 ** 32 - 1,
    part: 2,
    state: 'waiting',
    kind: null,
    attempts: 0,
    started_at: null,
    finished_at: null,
    duration_ms: 12.5,
    error_message: null,
    group_index: null,
    task_id: null,
  },
  readings: {
    sheet_id: 7_000_001,
    engine_version: 1,
    template_id: null,
    template_version: null,
    image_sha256: '0'.repeat(64),
    content: JSON.stringify({ fills: 'x'.repeat(100_000), text: AWKWARD }),
    created_at: 1,
  },
  marks: {
    sheet_id: 7_000_001,
    roll: null,
    variant: '',
    questions: 3,
    choices: ' A|C |',
    doubtful: 0,
    variant_doubtful: 1,
    notes: 'q1:40:d',
    risk: 0.25,
  },
  results: {
    sheet_id: 7_000_001,
    batch_id: 'b',
    task_id: null,
    key_id: null,
    key_version: null,
    roll: '0001',
    variant: '',
    score: -0.25,
    max_score: 0.1,
    correct: 1,
    wrong: 2,
    blank: 3,
    multiple: 4,
    doubtful: 5,
    unscored: null,
  },
  answers: {
    sheet_id: 7_000_001,
    question: 1,
    value: '',
    confidence: 0.1 + 0.2,
    flags: '',
  },
  rescores: { batch_id: 'b', reason: AWKWARD, user_id: null, requested_at: LATE },
  events: { batch_id: 'b', seq: 1, type: 'progress', data: AWKWARD, at: LATE },
  corrections: {
    correction_id: 'co',
    batch_id: 'b',
    sheet_id: 7_000_001,
    field: 'q1',
    value: null,
    previous: 'A|B',
    reason: null,
    user_id: 'u',
    role: 'reviewer',
    client_id: 'c',
    base_rev: 1,
    rev: 2,
    created_at: 1,
  },
  sequences: { scope: 'row', seq: LATE },
  changes: { scope: 'all', entity_type: 'batch', entity_id: 'b', seq: 1, deleted: 0 },
  sync_clients: { client_id: 'c', user_id: 'u', last_mid: LATE, seen_at: 1 },
  sync_outcomes: { client_id: 'c', mid: 1, outcome: AWKWARD },
  audit: {
    seq: 1,
    at: LATE,
    user_id: null,
    device: null,
    action: 'login',
    subject: 'u',
    before_value: null,
    after_value: AWKWARD,
    previous_hash: '',
    hash: 'h',
  },
};
const TABLES = Object.keys(ROWS) as (keyof Schema)[];

const ANSWER_COLUMNS = [
  'sheet_id',
  'question',
  'value',
  'confidence',
  'flags',
] as const satisfies readonly (keyof AnswersTable)[];

/** Answers of 200 sheets of 100 questions, with every kind of value a field may have. */
const answers = (firstSheet: number): AnswersTable[] =>
  Array.from({ length: 20_000 }, (_, i) => ({
    sheet_id: firstSheet + Math.floor(i / 100),
    question: (i % 100) + 1,
    value: ['A', '', 'A|C', 'a,"b"', '\\N', 'é日𝄞', 'two\nlines', 'NULL', ' x ', 'C:\\t\r'][i % 10] ?? '',
    confidence: i / 19_999,
    flags: i % 7 === 0 ? 'faint doubtful' : '',
  }));

const csv = (rows: readonly AnswersTable[], lineEnd: string): string => {
  const field = (value: string | number | null): string => {
    if (value === null) return '\\N';
    return typeof value === 'string' && /[",\r\n\\]/.test(value) ? `"${value.replaceAll('"', '""')}"` : String(value);
  };
  return rows.map((row) => ANSWER_COLUMNS.map((column) => field(row[column])).join(',') + lineEnd).join('');
};

/** Registers the suite. `open` connects to one and the same database, which is empty at first, as often as it is
 *  called. */
export function databaseContract(name: string, open: () => Promise<Database>): void {
  describe(`${name} as the database`, () => {
    let db: Database;
    let other: Database;
    let folder: string;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'sheaf-database-'));
      db = await open();
      other = await open();
      const third = await open();
      // At once and on an empty database: the first test looks at what came of it.
      await Promise.all([db.migrate(), other.migrate(), third.migrate()]);
      await third.close();
    });
    afterAll(async () => {
      await db?.close();
      await other?.close();
      await rm(folder, { recursive: true, force: true });
    });

    const sequence = async (scope: string): Promise<number | undefined> =>
      (await db.sql.selectFrom('sequences').select('seq').where('scope', '=', scope).executeTakeFirst())?.seq;
    const set = (tx: Tx, scope: string, seq: number) => tx.insertInto('sequences').values({ scope, seq }).execute();
    const file = async (text: string): Promise<string> => {
      const path = join(folder, 'rows.csv');
      await writeFile(path, text);
      return path;
    };

    describe('migrate', () => {
      test('three at once do every step once, and a fourth does nothing', async () => {
        await db.migrate();
        const { rows } = await sql<{ number: number }>`select number from migrations order by number`.execute(db.sql);
        expect(rows.map(({ number }) => number)).toEqual(MIGRATIONS.map(({ number }) => number));
      });

      test('a database from a newer version is refused', async () => {
        await db.write((tx) =>
          sql`insert into migrations (number, reason, applied_at) values (9999, 'the future', 0)`.execute(tx),
        );
        try {
          await expect(other.migrate()).rejects.toThrow(/newer Sheaf: its schema is number 9999/);
        } finally {
          await db.write((tx) => sql`delete from migrations where number = 9999`.execute(tx));
        }
      });
    });

    test.each(TABLES)('a row of %s comes back as it was written', async (table) => {
      await db.write((tx) => db.insertNew(tx, table, [ROWS[table]]));
      let query = other.sql.selectFrom(table).selectAll();
      for (const key of PRIMARY_KEYS[table]) {
        const value = Object.entries(ROWS[table]).find(([column]) => column === key)?.[1];
        query = query.where(sql.ref(key), '=', value);
      }
      expect(await query.execute()).toEqual([ROWS[table]]);
    });

    test.each(TABLES)('a second row of %s with the same key is refused', async (table) => {
      const again = db.write((tx) => tx.insertInto(table).values(ROWS[table]).execute());
      await expect(again).rejects.toThrow();
    });

    describe('what is declared unique', () => {
      test.each([
        ['users', { user_id: 'another' }],
        ['batches', { batch_id: 'another' }],
        ['uploads', { upload_id: 'another' }],
        ['pages', { sheet_id: 1 }],
      ] as const)('%s keep their second key unique, also against an upsert', async (table, change) => {
        const row = { ...ROWS[table], ...change };
        await expect(db.write((tx) => tx.insertInto(table).values(row).execute())).rejects.toThrow();
        await expect(db.write((tx) => db.upsert(tx, table, [row]))).rejects.toThrow();
        expect(await db.write((tx) => db.insertNew(tx, table, [row]))).toBe(0);
        expect(await db.sql.selectFrom(table).selectAll().execute()).toEqual([ROWS[table]]);
      });
    });

    test('ids that differ by case or accent are different', async () => {
      const rows = ['id-a', 'id-A', 'id-á'].map((scope) => ({ scope, seq: 1 }));
      expect(await db.write((tx) => db.insertNew(tx, 'sequences', rows))).toBe(3);
    });

    test('text in the column of a number is refused', async () => {
      const wrong = db.write((tx) => sql`insert into sequences (scope, seq) values ('wrong', 'many')`.execute(tx));
      await expect(wrong).rejects.toThrow();
    });

    test('sums and averages are numbers', async () => {
      await db.write((tx) =>
        db.insertNew(tx, 'sequences', [
          { scope: 'sum-1', seq: 1 },
          { scope: 'sum-2', seq: 2 },
        ]),
      );
      const { rows } =
        await sql`select sum(seq) as s, avg(seq) as a, count(*) as c from sequences where scope like 'sum-%'`.execute(
          db.sql,
        );
      expect(rows).toEqual([{ s: 3, a: 1.5, c: 2 }]);
    });

    describe('write', () => {
      test('what it returned is there for every connection', async () => {
        expect(await db.write((tx) => set(tx, 'kept', 1).then(() => 'done'))).toBe('done');
        expect(await other.sql.selectFrom('sequences').select('seq').where('scope', '=', 'kept').execute()).toEqual([
          { seq: 1 },
        ]);
      });

      test('when the work throws nothing of it stays, and the error is the one thrown', async () => {
        const failing = db.write(async (tx) => {
          await set(tx, 'lost', 1);
          throw new Error('half way');
        });
        await expect(failing).rejects.toThrow('half way');
        expect(await sequence('lost')).toBeUndefined();
      });

      test('when a statement fails nothing of it stays, and the next write works', async () => {
        const failing = db.write(async (tx) => {
          await set(tx, 'half', 1);
          await set(tx, 'half', 2);
        });
        await expect(failing).rejects.toThrow();
        expect(await sequence('half')).toBeUndefined();
        await db.write((tx) => set(tx, 'half', 3));
        expect(await sequence('half')).toBe(3);
      });

      test('reading beside an open transaction neither waits nor sees what is not committed', async () => {
        await db.write(async (tx) => {
          await set(tx, 'unseen', 1);
          expect(await sequence('unseen')).toBeUndefined();
          expect(await other.sql.selectFrom('sequences').where('scope', '=', 'unseen').selectAll().execute()).toEqual(
            [],
          );
        });
        expect(await sequence('unseen')).toBe(1);
      });

      test('one opened inside another is an error instead of a wait without end', async () => {
        const nested = db.write(() => db.write((tx) => set(tx, 'nested', 1)));
        await expect(nested).rejects.toThrow('inside another');
        await db.write((tx) => set(tx, 'not-nested', 1));
      });

      test('what is read for update and then written loses nothing under concurrency', async () => {
        await db.write((tx) => set(tx, 'counter', 0));
        const add = (on: Database) =>
          on.write(async (tx) => {
            const { seq } = await tx
              .selectFrom('sequences')
              .select('seq')
              .where('scope', '=', 'counter')
              .forUpdate()
              .executeTakeFirstOrThrow();
            await sleep(1);
            await tx
              .updateTable('sequences')
              .set({ seq: seq + 1 })
              .where('scope', '=', 'counter')
              .execute();
          });
        await Promise.all(Array.from({ length: 60 }, (_, i) => add(i % 2 === 0 ? db : other)));
        expect(await sequence('counter')).toBe(60);
      });

      test('an update says how many rows it met, changed or not', async () => {
        await db.write((tx) => set(tx, 'same', 5));
        const update = await db.write((tx) =>
          tx.updateTable('sequences').set({ seq: 5 }).where('scope', '=', 'same').executeTakeFirst(),
        );
        expect(update.numUpdatedRows).toBe(1n);
      });

      test('two that lock in opposite order both commit', async () => {
        await db.write((tx) =>
          db.insertNew(tx, 'sequences', [
            { scope: 'left', seq: 0 },
            { scope: 'right', seq: 0 },
          ]),
        );
        let runs = 0;
        const inOrder = (on: Database, first: string, second: string) =>
          on.write(async (tx) => {
            runs += 1;
            for (const scope of [first, second]) {
              await tx
                .updateTable('sequences')
                .set((eb) => ({ seq: eb('seq', '+', 1) }))
                .where('scope', '=', scope)
                .execute();
              // Long enough that on a server both hold their first row.
              await sleep(100);
            }
          });
        await Promise.all([inOrder(db, 'left', 'right'), inOrder(other, 'right', 'left')]);
        expect([await sequence('left'), await sequence('right')]).toEqual([2, 2]);
        // SQLite has one writer; a server finds the deadlock, and the loser ran again.
        if (db.kind === 'mysql') expect(runs).toBeGreaterThan(2);
        else expect(runs).toBe(2);
      });
    });

    describe('nextSeq', () => {
      test('counts from what it adds', async () => {
        expect(await db.write((tx) => db.nextSeq(tx, 'steps'))).toBe(1);
        expect(await db.write((tx) => db.nextSeq(tx, 'steps'))).toBe(2);
        expect(await db.write((tx) => db.nextSeq(tx, 'steps', 10))).toBe(12);
        expect(await db.write((tx) => db.nextSeq(tx, 'leap', 10))).toBe(10);
      });

      test('several in one transaction each have their own count', async () => {
        const taken = await db.write(async (tx) => [
          await db.nextSeq(tx, 'one', 5),
          await db.nextSeq(tx, 'two'),
          await db.nextSeq(tx, 'one'),
          await db.nextSeq(tx, 'two'),
        ]);
        expect(taken).toEqual([5, 1, 6, 2]);
      });

      test('a number that was rolled back is given again', async () => {
        await expect(
          db.write(async (tx) => {
            await db.nextSeq(tx, 'again');
            throw new Error('no');
          }),
        ).rejects.toThrow('no');
        expect(await db.write((tx) => db.nextSeq(tx, 'again'))).toBe(1);
      });

      test('[T1] commit order is sequence order: whoever sees a number sees all before it', async () => {
        const event = (on: Database) =>
          on.write(async (tx) => {
            const seq = await on.nextSeq(tx, 'log');
            await sleep(Math.random() * 3);
            await tx.insertInto('events').values({ batch_id: 'log', seq, type: 'x', data: '', at: 0 }).execute();
          });
        let writing = true;
        const all = Promise.all(Array.from({ length: 60 }, (_, i) => event(i % 2 === 0 ? db : other))).finally(() => {
          writing = false;
        });
        const looks: number[][] = [];
        while (writing) {
          const rows = await db.sql.selectFrom('events').select('seq').where('batch_id', '=', 'log').execute();
          looks.push(rows.map(({ seq }) => seq).sort((a, b) => a - b));
          await sleep(2);
        }
        await all;
        expect(looks.length).toBeGreaterThan(5);
        for (const seen of looks) expect(seen).toEqual(seen.map((_, i) => i + 1));
        expect(await sequence('log')).toBe(60);
      });
    });

    describe('insertNew', () => {
      test('counts the new rows and leaves the others alone', async () => {
        const rows = (seq: number, count: number) =>
          Array.from({ length: count }, (_, i) => ({ scope: `new-${i}`, seq }));
        expect(await db.write((tx) => db.insertNew(tx, 'sequences', rows(1, 1200)))).toBe(1200);
        expect(await db.write((tx) => db.insertNew(tx, 'sequences', rows(2, 1300)))).toBe(100);
        expect(await sequence('new-0')).toBe(1);
        expect(await sequence('new-1250')).toBe(2);
        expect(await db.write((tx) => db.insertNew(tx, 'sequences', []))).toBe(0);
      });

      test('is no excuse for a row that does not fit', async () => {
        const rows = [{ ...ROWS.results, sheet_id: 99, batch_id: null as unknown as string }];
        await expect(db.write((tx) => db.insertNew(tx, 'results', rows))).rejects.toThrow();
        expect(await db.sql.selectFrom('results').selectAll().where('sheet_id', '=', 99).execute()).toEqual([]);
      });
    });

    describe('upsert', () => {
      test('inserts what is new and overwrites what is there', async () => {
        const rows = (seq: number, count: number) =>
          Array.from({ length: count }, (_, i) => ({ scope: `up-${i}`, seq }));
        await db.write((tx) => db.upsert(tx, 'sequences', rows(1, 600)));
        await db.write((tx) => db.upsert(tx, 'sequences', rows(2, 601)));
        expect(await sequence('up-0')).toBe(2);
        expect(await sequence('up-600')).toBe(2);
      });

      test('a row that is nothing but its key stays one row', async () => {
        const row = { user_id: 'up', centre_id: 'up' };
        await db.write((tx) => db.upsert(tx, 'user_centres', [row, row]));
        await db.write((tx) => db.upsert(tx, 'user_centres', [row]));
        expect(await db.sql.selectFrom('user_centres').selectAll().where('user_id', '=', 'up').execute()).toEqual([
          row,
        ]);
      });
    });

    describe('bulkLoad', () => {
      const load = async (text: string, also: (tx: Tx) => Promise<unknown> = async () => {}): Promise<number> => {
        const path = await file(text);
        return db.write(async (tx) => {
          const loaded = await db.bulkLoad(tx, 'answers', ANSWER_COLUMNS, path);
          await also(tx);
          return loaded;
        });
      };
      const stored = (from: number) =>
        db.sql
          .selectFrom('answers')
          .selectAll()
          .where('sheet_id', '>=', from)
          .where('sheet_id', '<', from + 1000)
          .orderBy('sheet_id')
          .orderBy('question')
          .execute();

      test.each([
        ['LF', '\n', 10_000],
        ['CRLF', '\r\n', 20_000],
      ])('20,000 answers in lines that end in %s come back identical', async (_, lineEnd, sheet) => {
        const rows = answers(sheet);
        expect(await load(csv(rows, lineEnd))).toBe(rows.length);
        expect(await stored(sheet)).toEqual(rows);
      });

      test('an empty file is no rows', async () => {
        expect(await load('')).toBe(0);
      });

      test('NULL stays apart from empty text, and columns left out are NULL', async () => {
        const path = await file('70000,b,"",\\N,-0.333333333333333,0,0,0\n');
        const columns = ['sheet_id', 'batch_id', 'roll', 'variant', 'score', 'blank', 'multiple', 'doubtful'] as const;
        expect(await db.write((tx) => db.bulkLoad(tx, 'results', columns, path))).toBe(1);
        const row = await db.sql
          .selectFrom('results')
          .select(['roll', 'variant', 'score', 'max_score', 'key_id'])
          .where('sheet_id', '=', 70_000)
          .executeTakeFirst();
        expect(row).toEqual({ roll: '', variant: null, score: -0.333333333333333, max_score: null, key_id: null });
      });

      test('columns may come in another order', async () => {
        const path = await file('x,0.5,2,30000,""');
        const loaded = await db.write((tx) =>
          db.bulkLoad(tx, 'answers', ['value', 'confidence', 'question', 'sheet_id', 'flags'], path),
        );
        expect(loaded).toBe(1);
        expect(await stored(30_000)).toEqual([
          {
            sheet_id: 30_000,
            question: 2,
            value: 'x',
            confidence: 0.5,
            flags: '',
          },
        ]);
      });

      test('[P1] work that fails after a load leaves nothing of it', async () => {
        const failing = load(csv(answers(40_000), '\n'), async () => {
          throw new Error('later');
        });
        await expect(failing).rejects.toThrow('later');
        expect(await stored(40_000)).toEqual([]);
      });

      test.each([
        ['a key that is there twice', '50000,1,A,1,""\n50000,1,B,1,""\n'],
        ['NULL where there must be a value', '50000,1,\\N,1,""\n'],
        ['text where a number belongs', '50000,1,A,high,""\n'],
        ['nothing where a number belongs', '50000,1,A,,""\n'],
        ['a field too few', '50000,1,A,1,""\n50000,2,A,1\n'],
        ['a field too many', '50000,1,A,1,"",\n'],
        ['a quote that never closes', '50000,1,A,1,""\n50000,2,"A,1,""\n'],
      ])('a file with %s is refused whole', async (_, text) => {
        await expect(load(`50000,9,A,1,""\n${text}`)).rejects.toThrow();
        expect(await stored(50_000)).toEqual([]);
      });

      test('a file that is not there is an error, and the next write works', async () => {
        const missing = db.write((tx) => db.bulkLoad(tx, 'answers', ANSWER_COLUMNS, join(folder, 'none.csv')));
        await expect(missing).rejects.toThrow(/ENOENT|no such file/);
        await db.write((tx) => set(tx, 'after-missing', 1));
      });

      test('loads of two connections at once are both whole', async () => {
        const path = await file(csv(answers(60_000), '\n'));
        const second = join(folder, 'second.csv');
        await writeFile(second, csv(answers(70_000), '\n'));
        const loaded = await Promise.all([
          db.write((tx) => db.bulkLoad(tx, 'answers', ANSWER_COLUMNS, path)),
          other.write((tx) => other.bulkLoad(tx, 'answers', ANSWER_COLUMNS, second)),
        ]);
        expect(loaded).toEqual([20_000, 20_000]);
        expect((await stored(60_000)).length + (await stored(70_000)).length).toBe(40_000);
      });
    });
  });
}
