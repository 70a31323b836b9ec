// `verify` on a batch that was really read and scored: silent while nothing was touched, and naming what was, whoever
// writes to the database or the files behind Sheaf's back.
import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { sql } from 'kysely';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AnswersTx, CorrectionsTable, Database, PagesTable, Schema, Tx } from '../server/adapters/database.ts';
import { openDatabase } from '../server/adapters/open-database.ts';
import { headFiles, NEWEST_HEAD } from '../server/audit/heads.ts';
import { auditHash } from '../server/audit.ts';
import type { DatabasePlace } from '../server/config.ts';
import { AuditList } from '../shared/protocol/audit.ts';
import type { KeyContent } from '../shared/protocol/key.ts';
import type { SheetReading } from '../shared/protocol/reading.ts';
import { PushAnswer } from '../shared/protocol/sync.ts';
import { UserRow } from '../shared/protocol/user.ts';
import { announceExam, drawExam, packZip } from './support/exam.ts';
import { eventually, ROOT, temporaryFolder } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

const SHEETS = 4;
const QUESTIONS = 40;

const Fault = v.object({ place: v.string(), what: v.string() });
const Report = v.object({
  chain: v.object({ rows: v.number(), heads: v.number(), unsigned: v.number() }),
  records: v.object({ users: v.number(), keys: v.number(), corrections: v.number() }),
  sheets: v.object({
    batches: v.number(),
    pages: v.number(),
    checked: v.number(),
    reread: v.number(),
    scored: v.number(),
    answers: v.number(),
  }),
  faults: v.array(Fault),
});

interface Said {
  code: number | null;
  text: string;
}

const mariadb = (): DatabasePlace => {
  const url = new URL(process.env.TEST_MARIADB_URL ?? '');
  url.pathname = `/sheaf_verify_${process.pid}`;
  return { kind: 'mysql', url: url.href };
};

describe.each(['SQLite', 'MariaDB'] as const)('verify on %s', (kind) => {
  let dataDir: string;
  let place: DatabasePlace;
  let db: Database;
  let correction: CorrectionsTable;
  let page: PagesTable;
  let uploadId: string;

  /** The command as an operator runs it. */
  function verify(...args: string[]): Promise<Said> {
    const child = spawn(process.execPath, [path.join(ROOT, 'dist', 'server', 'cli', 'verify.js'), ...args], {
      env: {
        PATH: process.env.PATH,
        SHEAF_DATA: dataDir,
        ...(place.kind === 'mysql' ? { DATABASE_URL: place.url } : {}),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => (text += bytes.toString()));
    return new Promise((resolve) => child.once('close', (code) => resolve({ code, text })));
  }
  async function report(): Promise<v.InferOutput<typeof Report> & { code: number | null }> {
    const { code, text } = await verify('--all', '--json');
    return { code, ...v.parse(Report, JSON.parse(text)) };
  }
  const faultsOf = async (): Promise<string[]> => {
    const { code, faults } = await report();
    expect(code).toBe(faults.length > 0 ? 1 : 0);
    return faults.map(({ place: where, what }) => `${where}: ${what}`);
  };

  async function runExam(sheaf: Sheaf): Promise<void> {
    const admin = await sheaf.client();
    const exam = await drawExam({ seed: 11, covers: 1, sheets: SHEETS, questions: QUESTIONS, dpi: 150 });
    await announceExam(admin, exam);
    const { batch_id } = await admin.send(await packZip(exam.scans), { name: 'scans.zip', upload_type: 'zip_with_qr' });
    expect((await admin.waitForBatch(batch_id, 240_000)).status).toBe('completed');
    await admin.text(`/api/batches/${batch_id}/export?format=wide`);
    await admin.call(UserRow, 'POST', '/api/users', {
      username: 'rita',
      password: 'quiet river under stones',
      role: 'reviewer',
    });
    page = await db.sql
      .selectFrom('pages')
      .selectAll()
      .where('batch_id', '=', batch_id)
      .where('kind', '=', 'sheet')
      .orderBy('page_index')
      .limit(1)
      .executeTakeFirstOrThrow();
    const upload = await db.sql.selectFrom('uploads').select('upload_id').executeTakeFirstOrThrow();
    uploadId = upload.upload_id;
    const { outcomes } = await admin.call(PushAnswer, 'POST', '/api/sync/push', {
      client_id: 'a-tablet-of-the-office',
      heard: 0,
      mutations: [
        {
          mid: 1,
          name: 'correct',
          args: {
            batch_id,
            reason: 'read from the name on the sheet',
            items: [{ sheet_id: String(page.sheet_id), field: 'roll', value: '20412345', base_rev: 0 }],
          },
        },
      ],
    });
    expect(outcomes).toMatchObject([{ mid: 1, status: 'applied' }]);
    correction = await db.sql.selectFrom('corrections').selectAll().executeTakeFirstOrThrow();
    // While it runs, every row is signed within moments.
    await eventually('the newest row to be signed', async () => {
      const { items, head } = await admin.call(AuditList, 'GET', '/api/audit');
      return head?.seq === items[0]?.seq && items[0]?.action === 'correction.append';
    });
    const running = await report();
    expect(running).toMatchObject({ code: 0, faults: [] });
  }

  beforeAll(async () => {
    dataDir = temporaryFolder();
    place = kind === 'MariaDB' ? mariadb() : { kind: 'sqlite', file: path.join(dataDir, 'sheaf.sqlite') };
    const sheaf = await startSheaf({ dataDir, env: place.kind === 'mysql' ? { DATABASE_URL: place.url } : {} });
    try {
      db = await openDatabase(place);
      await runExam(sheaf);
    } finally {
      await sheaf.stop();
    }
  });
  afterAll(async () => {
    if (kind === 'MariaDB') await sql.raw(`drop database sheaf_verify_${process.pid}`).execute(db.sql);
    await db?.close();
    fs.rmSync(dataDir, { recursive: true, force: true });
  });

  const lastSeq = async (): Promise<number> => {
    const row = await db.sql.selectFrom('audit').select('seq').orderBy('seq', 'desc').executeTakeFirstOrThrow();
    return row.seq;
  };

  type Table =
    | 'audit'
    | 'corrections'
    | 'answer_keys'
    | 'answers'
    | 'results'
    | 'readings'
    | 'marks'
    | 'users'
    | 'tasks';
  /** Does something behind Sheaf's back, tells what verify says of it, and puts back what was in these tables. */
  async function tamper(tables: Table | Table[], work: () => Promise<unknown>): Promise<string[]> {
    const kept: [Table, Schema[Table][]][] = [];
    for (const table of [tables].flat()) kept.push([table, await db.sql.selectFrom(table).selectAll().execute()]);
    try {
      await work();
      return await faultsOf();
    } finally {
      for (const [table, rows] of kept) {
        const restore = async (tx: Tx | AnswersTx): Promise<void> => {
          await (tx as Tx).deleteFrom(table).execute();
          await db.insertNew(tx, table, rows);
        };
        await (table === 'answers' ? db.writeAnswers(restore) : db.write(restore));
      }
    }
  }

  test('an untouched system passes, and what was looked at is counted', async () => {
    const found = await report();
    expect(found).toMatchObject({
      code: 0,
      faults: [],
      chain: { unsigned: 0 },
      records: { users: 2, keys: 1, corrections: 1 },
      sheets: {
        batches: 1,
        pages: SHEETS + 1,
        checked: SHEETS + 1,
        reread: SHEETS + 1,
        scored: SHEETS,
        answers: SHEETS * QUESTIONS,
      },
    });
    expect(found.chain.rows).toBe(await lastSeq());
    expect(found.chain.heads).toBeGreaterThan(0);
    const { code, text } = await verify('--sample', '2');
    expect(code).toBe(0);
    expect(text).toMatch(/Sheets +1 finished batches .*; 2 of 5 pages hashed again/);
    expect(text).toMatch(/Nothing is wrong\.\n$/);
  });

  test('the private key is its owner’s alone', () => {
    const { privateKey } = headFiles(dataDir);
    expect(fs.statSync(privateKey).mode & 0o777).toBe(0o600);
    expect(fs.readFileSync(privateKey, 'utf8')).toContain('PRIVATE KEY');
  });

  test('one flipped bit in a page', async () => {
    const file = path.join(dataDir, 'blobs', uploadId);
    const at = Math.floor((page.file_offset + page.file_end) / 2);
    const flip = (): void => {
      const bytes = fs.readFileSync(file);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      fs.writeFileSync(file, bytes);
    };
    flip();
    try {
      const faults = await faultsOf();
      expect(faults).toHaveLength(1);
      expect(faults[0]).toMatch(
        new RegExp(`^page ${page.page_index + 1} \\(.*sheet ${page.sheet_id}\\).*bytes were changed`),
      );
    } finally {
      flip();
    }
  });

  test('an edited correction, and one that was taken away', async () => {
    const { correction_id } = correction;
    const edited = await tamper('corrections', () =>
      db.write((tx) => tx.updateTable('corrections').set({ value: '20412346' }).execute()),
    );
    const scored = expect.stringMatching(/its roll is 20412345 in the results, and \S+ when it is scored again/);
    expect(edited).toEqual([
      expect.stringMatching(new RegExp(`^correction ${correction_id} .*roll.*was changed after`)),
      scored,
    ]);
    const removed = await tamper('corrections', () => db.write((tx) => tx.deleteFrom('corrections').execute()));
    expect(removed).toEqual([expect.stringMatching(new RegExp(`^correction:${correction_id}: it is missing`)), scored]);
  });

  test('an edited version of an answer key', async () => {
    const faults = await tamper('answer_keys', async () => {
      const row = await db.sql.selectFrom('answer_keys').selectAll().executeTakeFirstOrThrow();
      const content = JSON.parse(row.content) as KeyContent;
      for (const list of Object.values(content.answers)) list[0] = list[0] === 'A' ? 'B' : 'A';
      await db.write((tx) =>
        tx
          .updateTable('answer_keys')
          .set({ content: JSON.stringify(content) })
          .execute(),
      );
    });
    expect(faults[0]).toMatch(/^answer key key-\d{8}, version 1 \(published\): its content was changed/);
    // … and the scores that do not follow from it any more.
    for (const fault of faults.slice(1)) expect(fault).toMatch(/^page \d.*when it is scored again$/);
  });

  test('an edited answer, and one that was taken away', async () => {
    const where = { sheet_id: page.sheet_id, question: 7 };
    const faults = await tamper('answers', () =>
      db.writeAnswers(async (tx) => {
        const { sheet_id, question } = where;
        await tx
          .updateTable('answers')
          .set({ value: 'ZZ' })
          .where('sheet_id', '=', sheet_id)
          .where('question', '=', question)
          .execute();
        await tx
          .deleteFrom('answers')
          .where('sheet_id', '=', sheet_id)
          .where('question', '=', question + 1)
          .execute();
      }),
    );
    expect(faults).toEqual([
      expect.stringMatching(new RegExp(`^page .*sheet ${page.sheet_id}.*answer to question 7 is 'ZZ'`)),
      expect.stringMatching(/answer to question 8 is missing$/),
    ]);
  });

  test('an edited score, and a score that was taken away', async () => {
    const edited = await tamper('results', () =>
      db.write((tx) => tx.updateTable('results').set({ score: 99.5 }).where('sheet_id', '=', page.sheet_id).execute()),
    );
    expect(edited).toEqual([expect.stringMatching(/its score is 99\.5 in the results, and [\d.-]+ when/)]);
    const removed = await tamper('results', () =>
      db.write((tx) => tx.deleteFrom('results').where('sheet_id', '=', page.sheet_id).execute()),
    );
    expect(removed).toEqual([expect.stringMatching(/has no result$/)]);
  });

  test('an edited reading, with everything that follows from it edited alike', async () => {
    const faults = await tamper(['readings', 'marks'], async () => {
      const { sheet_id } = page;
      const row = await db.sql
        .selectFrom('readings')
        .selectAll()
        .where('sheet_id', '=', sheet_id)
        .executeTakeFirstOrThrow();
      const reading = JSON.parse(row.content) as SheetReading;
      const field = reading.fields.find(({ label }) => label === 'roll');
      const roll = '99999999';
      if (field) field.value = roll;
      await db.write(async (tx) => {
        await db.upsert(tx, 'readings', [{ ...row, content: JSON.stringify(reading) }]);
        // Its result stays: a person's word for the roll number stands over what was read.
        await tx.updateTable('marks').set({ roll }).where('sheet_id', '=', sheet_id).execute();
      });
    });
    expect(faults).toEqual([
      expect.stringMatching(/its reading is not what the page shows: roll is stored as '99999999', and read as '\d+'/),
    ]);
  });

  test('a page that was exchanged, its hash and its reading with it', async () => {
    const [, other] = await db.sql
      .selectFrom('readings')
      .innerJoin('pages', 'pages.sheet_id', 'readings.sheet_id')
      .select(['readings.sheet_id', 'image_sha256', 'content'])
      .where('kind', '=', 'sheet')
      .orderBy('page_index')
      .execute();
    const faults = await tamper('readings', () =>
      db.write((tx) =>
        tx
          .updateTable('readings')
          .set({ image_sha256: other?.image_sha256 ?? '', content: other?.content ?? '' })
          .where('sheet_id', '=', page.sheet_id)
          .execute(),
      ),
    );
    expect(faults[0]).toMatch(
      /^batch .* \(scans\.zip\): its pages, or their stored hashes, are not those it was loaded/,
    );
  });

  test('marks that would change the next scoring', async () => {
    const faults = await tamper('marks', () =>
      db.write((tx) => tx.updateTable('marks').set({ variant: 'Z' }).where('sheet_id', '=', page.sheet_id).execute()),
    );
    expect(faults).toEqual([expect.stringMatching(/the marks it is scored by are not those of its reading$/)]);
  });

  test('rights that somebody gave themself, and a task that was given another key', async () => {
    const rights = await tamper('users', () =>
      db.write((tx) => tx.updateTable('users').set({ role: 'admin' }).where('username', '=', 'rita').execute()),
    );
    expect(rights).toEqual([expect.stringMatching(/^user rita: role is "admin", and "reviewer" by the last entry/)]);
    const key = await tamper('tasks', () => db.write((tx) => tx.updateTable('tasks').set({ key_id: null }).execute()));
    expect(key).toEqual([expect.stringMatching(/^task \d{8}: key_id is null, and "key-\d{8}" by the last entry/)]);
  });

  test('an edited audit row', async () => {
    const faults = await tamper('audit', () =>
      db.write((tx) => tx.updateTable('audit').set({ user_id: randomUUID() }).where('seq', '=', 3).execute()),
    );
    expect(faults).toEqual([
      expect.stringMatching(/^audit row 3 .*: it was changed: its content does not fit its hash$/),
    ]);
  });

  test('an edited audit row, with every hash after it worked out anew', async () => {
    const faults = await tamper('audit', async () => {
      const rows = await db.sql.selectFrom('audit').selectAll().orderBy('seq').execute();
      let previous_hash = '';
      for (const row of rows) {
        row.previous_hash = previous_hash;
        if (row.seq === 3) row.device = 'another device';
        const { hash: _, ...rest } = row;
        row.hash = auditHash(rest);
        previous_hash = row.hash;
      }
      await db.write((tx) => db.upsert(tx, 'audit', rows));
    });
    expect(faults.length).toBeGreaterThan(0);
    for (const fault of faults) expect(fault).toMatch(/^audit row \d+ .*: it is not the row that was signed/);
  });

  test('a removed audit row in the middle', async () => {
    const faults = await tamper('audit', () =>
      db.write((tx) => tx.deleteFrom('audit').where('action', '=', 'batch.export').execute()),
    );
    expect(faults).toEqual([expect.stringMatching(/^audit row \d+: it is missing$/)]);
  });

  test('a removed audit row at the end, with every trace of it in the database', async () => {
    const seq = await lastSeq();
    const heads = fs.readFileSync(headFiles(dataDir).heads, 'utf8').trim().split('\n');
    const former = heads
      .map((line) => ({ line, seq: (JSON.parse(line) as { seq: number }).seq }))
      .findLast((head) => head.seq < seq);
    const kept = await db.sql.selectFrom('settings').selectAll().where('name', '=', NEWEST_HEAD).execute();
    const corrections = await db.sql.selectFrom('corrections').selectAll().execute();
    try {
      const faults = await tamper('audit', () =>
        db.write(async (tx) => {
          await tx.deleteFrom('audit').where('seq', '=', seq).execute();
          await tx.deleteFrom('corrections').execute();
          await tx
            .updateTable('sequences')
            .set({ seq: seq - 1 })
            .where('scope', '=', 'audit')
            .execute();
          await tx
            .updateTable('settings')
            .set({ value: former?.line ?? '' })
            .where('name', '=', NEWEST_HEAD)
            .execute();
        }),
      );
      expect(former).toBeDefined();
      expect(faults).toEqual([
        `audit row ${seq}: it is missing`,
        expect.stringMatching(new RegExp(`^the end of the audit log: row ${seq} was there and signed`)),
        expect.stringContaining('when it is scored again'),
      ]);
    } finally {
      await db.write(async (tx) => {
        await tx.updateTable('sequences').set({ seq }).where('scope', '=', 'audit').execute();
        await db.upsert(tx, 'settings', kept);
        await db.insertNew(tx, 'corrections', corrections);
      });
    }
  });

  test('the file of heads cut off, or a head in it that the server did not sign', async () => {
    const { heads } = headFiles(dataDir);
    const text = fs.readFileSync(heads, 'utf8');
    const lines = text.trim().split('\n');
    try {
      fs.writeFileSync(heads, `${lines.slice(0, -1).join('\n')}\n`);
      expect(await faultsOf()).toEqual(
        expect.arrayContaining([
          expect.stringMatching(/heads\.jsonl: the head of audit row \d+, signed .* is missing/),
        ]),
      );
      const forged = { ...(JSON.parse(lines[0] ?? '{}') as object), hash: 'f'.repeat(64) };
      fs.writeFileSync(heads, `${[JSON.stringify(forged), ...lines.slice(1)].join('\n')}\n`);
      expect(await faultsOf()).toEqual([expect.stringMatching(/^line 1 of .*heads\.jsonl: this is no head/)]);
      fs.rmSync(heads);
      expect((await faultsOf()).join()).toMatch(/there is no signed head/);
    } finally {
      fs.writeFileSync(heads, text);
    }
  });

  test('after all that was put back nothing is wrong, and a wrong argument is told', async () => {
    expect(await faultsOf()).toEqual([]);
    const { code, text } = await verify('--everything');
    expect(code).toBe(2);
    expect(text).toMatch(/Usage: npm run -s verify/);
  });
});

test('a folder without a Sheaf is told, and nothing is made in it', () => {
  const folder = temporaryFolder();
  try {
    const { status, stderr } = spawnSync(process.execPath, [path.join(ROOT, 'dist', 'server', 'cli', 'verify.js')], {
      env: { PATH: process.env.PATH, SHEAF_DATA: folder },
      encoding: 'utf8',
    });
    expect(status).toBe(2);
    expect(stderr).toBe(`There is no Sheaf in ${folder}: name its data folder with SHEAF_DATA=folder.\n`);
    expect(fs.readdirSync(folder)).toEqual([]);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
});
