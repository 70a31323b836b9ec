// `bench -- sync [--sheets 11404] [--json]`: one big batch kept on a device, in real Chromium against the built server.
// cold_s: from "keep it" until it can be shown; cold_mb: what travelled, packed; idb_write_s: writing it alone, as the app
// does; incremental_ms: from the server's yes to somebody's correction until it is stored here, the question asked at once;
// push_ms: a correction's way to the server and back; filter_ms: doubtful sheets by score, from what the screen holds.
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Page } from 'playwright-core';
import * as v from 'valibot';
import type { Database } from '../../server/adapters/database.ts';
import { openSqlite } from '../../server/adapters/sqlite.ts';
import type { Client } from '../../server/cli/client.ts';
import { seeded } from '../../shared/corpus/random.ts';
import { PullAnswer, PushAnswer } from '../../shared/protocol/sync.ts';
import { packNotes } from '../../shared/scoring/notes.ts';
import { openApp, openTablet, signIn } from '../browser.ts';
import { startSheaf } from '../support/sheaf.ts';
import { type StoredExam, storeExam } from '../support/stored-exam.ts';

const QUESTIONS = 150;
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const round = (value: number, digits = 3): number => Math.round(value * 10 ** digits) / 10 ** digits;

/** What a real batch has and a simulated one lacks: a hash for each image, doubts on one question in a hundred. */
async function wear(db: Database, { sheet_ids }: StoredExam): Promise<void> {
  const random = seeded(5);
  const hex = () => Array.from({ length: 64 }, () => random.pick([...'0123456789abcdef'])).join('');
  await db.write(async (tx) => {
    await db.upsert(
      tx,
      'readings',
      sheet_ids.map((sheet_id) => ({
        sheet_id,
        engine_version: 1,
        template_id: `sheaf-${QUESTIONS}`,
        template_version: 1,
        image_sha256: hex(),
        content: '{}',
        created_at: 1,
      })),
    );
    const marks = await tx.selectFrom('marks').selectAll().execute();
    const doubts = marks.map(() =>
      Array.from({ length: QUESTIONS }, (_, i) => i + 1)
        .filter(() => random.chance(0.01))
        .map((question) => ({
          label: `q${question}`,
          confidence: Math.round(random.between(30, 90)) / 100,
          flags: ['faint' as const, 'doubtful' as const],
        })),
    );
    await db.upsert(
      tx,
      'marks',
      marks.map((row, i) => ({
        ...row,
        doubtful: doubts[i]?.length ?? 0,
        notes: packNotes(doubts[i] ?? []),
        risk: Math.round(random.between(0.01, 0.2) * 1e4) / 1e4,
      })),
    );
    const results = await tx.selectFrom('results').selectAll().execute();
    await db.upsert(
      tx,
      'results',
      results.map((row, i) => ({
        ...row,
        score: random.pick([80, 97, 111, 120.5]),
        max_score: QUESTIONS,
        correct: 100,
        wrong: 50,
        unscored: null,
        doubtful: doubts[i]?.length ?? 0,
      })),
    );
  });
}

/** All parts of a first pull, as a device gets them. @returns megabytes on the wire and seconds */
async function coldPull(client: Client, scope: string): Promise<{ mb: number; seconds: number; sheets: number }> {
  const began = performance.now();
  let [bytes, sheets] = [0, 0];
  for (let cursor = ''; ; ) {
    const asked = new URLSearchParams({ scope, ...(cursor ? { cursor } : {}) });
    // `fetch` would unpack it silently: the length of what travels stands in the header.
    const response = await client.request('GET', `/api/sync/pull?${asked}`, undefined, { 'accept-encoding': 'gzip' });
    bytes += Number(response.headers.get('content-length') ?? Number.NaN);
    const answer = v.parse(PullAnswer, await response.json());
    sheets += answer.sheets.length;
    cursor = answer.cursor;
    if (!answer.more) break;
  }
  return { mb: bytes / 1e6, seconds: (performance.now() - began) / 1000, sheets };
}

/** Tells the app's leader that a batch is to be kept, as its screens do. */
const keep = (page: Page, batch: string): Promise<void> =>
  page.evaluate(async (id) => {
    const [{ name = '' } = {}] = (await indexedDB.databases()).filter((one) => /^sheaf-(?!queue)/.test(one.name ?? ''));
    const db = await new Promise<IDBDatabase>((resolve, reject) => {
      const opening = indexedDB.open(name);
      opening.onsuccess = () => resolve(opening.result);
      opening.onerror = () => reject(opening.error);
    });
    const tx = db.transaction('kept', 'readwrite');
    tx.objectStore('kept').put({ batch: id, pinned: true, at: Date.now() });
    await new Promise((resolve) => {
      tx.oncomplete = resolve;
    });
    Object.assign(globalThis, { benchDb: db });
    new BroadcastChannel('sheaf-changes').postMessage(['kept']);
  }, batch);

/** Milliseconds from now until the batch is stored up to the number `seq`. */
const storedUpTo = (page: Page, scope: string, seq: number, poke: boolean): Promise<number> =>
  page.evaluate(
    async ([of, least, ask]) => {
      const { benchDb: db } = globalThis as unknown as { benchDb: IDBDatabase };
      const began = performance.now();
      if (ask) new BroadcastChannel('sheaf-changes').postMessage(['kept']);
      for (;;) {
        const got = db
          .transaction('feeds')
          .objectStore('feeds')
          .get(of as string);
        const feed = await new Promise<{ cursor: string | null } | undefined>((resolve) => {
          got.onsuccess = () => resolve(got.result);
        });
        const has = Number(/\.(\d+)$/.exec(feed?.cursor ?? '')?.[1] ?? -1);
        if (has >= (least as number)) return performance.now() - began;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
    [scope, seq, poke] as const,
  );

/** Reads the kept batch, writes it anew into a database of its own, and filters it. */
const inThePage = (page: Page, scope: string) =>
  page.evaluate(async (of) => {
    type Line = [number, ...unknown[]] & { 16: number | null; 22: number };
    const { benchDb: db } = globalThis as unknown as { benchDb: IDBDatabase };
    const readBegan = performance.now();
    const reading = db
      .transaction('parts')
      .objectStore('parts')
      .getAll(IDBKeyRange.bound([of], [of, []]));
    const parts = await new Promise<{ part: number; lines: Line[] }[]>((resolve) => {
      reading.onsuccess = () => resolve(reading.result);
    });
    const read_ms = performance.now() - readBegan;
    const scratch = await new Promise<IDBDatabase>((resolve) => {
      const opening = indexedDB.open('bench-scratch', 1);
      opening.onupgradeneeded = () =>
        opening.result.createObjectStore('parts', { keyPath: ['scope', 'generation', 'part'] });
      opening.onsuccess = () => resolve(opening.result);
    });
    const writeBegan = performance.now();
    // Five pieces of 200 pages are one answer, and one transaction.
    for (let from = 0; from < parts.length; from += 5) {
      const tx = scratch.transaction('parts', 'readwrite');
      for (const part of parts.slice(from, from + 5)) tx.objectStore('parts').put(part);
      await new Promise((resolve) => {
        tx.oncomplete = resolve;
      });
    }
    const write_ms = performance.now() - writeBegan;
    scratch.close();
    indexedDB.deleteDatabase('bench-scratch');
    const lines = parts.flatMap((part) => part.lines);
    const filters: number[] = [];
    let found = 0;
    for (let run = 0; run < 9; run++) {
      const began = performance.now();
      const doubtful = lines
        .filter((line) => line[22] > 0)
        .sort((a, b) => (b[16] ?? -1) - (a[16] ?? -1) || a[0] - b[0]);
      filters.push(performance.now() - began);
      found = doubtful.length;
    }
    return { read_ms, write_ms, filters, lines: lines.length, found };
  }, scope);

export async function run(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: { sheets: { type: 'string', default: '11404' }, json: { type: 'boolean', default: false } },
  });
  const sheets = Number(values.sheets);
  const sheaf = await startSheaf();
  try {
    say(`storing ${sheets} sheets of ${QUESTIONS} questions`);
    const db = await openSqlite(path.join(sheaf.dataDir, 'sheaf.sqlite'));
    const exam = await storeExam(db, { seed: 11, sheets, packet: 30, questions: QUESTIONS, booklets: 4, batch_no: 1 });
    await wear(db, exam);
    const admin = await db.sql.selectFrom('users').select('user_id').executeTakeFirstOrThrow();
    await db.write((tx) => tx.updateTable('batches').set({ uploaded_by: admin.user_id }).execute());
    const scope = `batch:${exam.batch_id}`;
    const client = await sheaf.client();

    const wire = await coldPull(client, scope);
    if (wire.sheets !== sheets) throw new Error(`${wire.sheets} sheets were told of ${sheets}`);
    say(`wire: ${wire.mb.toFixed(2)} MB in ${wire.seconds.toFixed(2)} s`);

    const browser = await openTablet(sheaf.url);
    try {
      const page = await openApp(browser.context, sheaf.url);
      await signIn(page, sheaf.admin);
      await page.waitForTimeout(3000);
      const began = performance.now();
      await keep(page, exam.batch_id);
      await storedUpTo(page, scope, 0, false);
      const cold_s = (performance.now() - began) / 1000;
      say(`cold: ${cold_s.toFixed(2)} s`);

      const pushes: number[] = [];
      const news: number[] = [];
      for (let mid = 1; mid <= 11; mid++) {
        const sheet_id = String(exam.sheet_ids[mid * 37]);
        const args = { batch_id: exam.batch_id, items: [{ sheet_id, field: 'q1', value: 'B', base_rev: 0 }] };
        const form = { client_id: 'bench-of-the-sync', heard: 0, mutations: [{ mid, name: 'correct', args }] };
        const asked = performance.now();
        const { outcomes } = await client.call(PushAnswer, 'POST', '/api/sync/push', form);
        pushes.push(performance.now() - asked);
        const [outcome] = outcomes;
        if (outcome?.status !== 'applied') throw new Error(`the correction was ${JSON.stringify(outcome)}`);
        news.push(await storedUpTo(page, scope, outcome.covers[0]?.seq ?? 0, true));
      }
      const inPage = await inThePage(page, scope);
      if (inPage.lines !== sheets) throw new Error(`${inPage.lines} sheets are stored of ${sheets}`);
      return {
        sheets,
        questions: QUESTIONS,
        cold_s: round(cold_s),
        cold_mb: round(wire.mb),
        wire_s: round(wire.seconds),
        idb_write_s: round(inPage.write_ms / 1000),
        idb_read_ms: round(inPage.read_ms, 1),
        incremental_ms: round(median(news), 1),
        push_ms: round(median(pushes), 1),
        filter_ms: round(median(inPage.filters), 1),
      };
    } finally {
      await browser.close();
      await db.close();
    }
  } finally {
    await sheaf.stop();
  }
}
