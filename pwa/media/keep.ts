// "Keep offline": brings what a person has to look at in a batch onto this device, under the budget, in the leader tab. The
// doubtful fields first, since a hundred of them are smaller than one page; then the pages they are on, with what was measured
// there. What is here already is never asked for again, so that it goes on where it was cut.
import type { GroupRow } from '../../shared/protocol/batch.ts';
import type { SheetLine } from '../../shared/protocol/sync.ts';
import { rulings } from '../../shared/review.ts';
import { unpackNotes } from '../../shared/scoring/notes.ts';
import { correctionsOf, pageOf as indexOf, waitingOn } from '../../shared/sheet-line.ts';
import type { Answer } from '../api.ts';
import { type Keeping, onChange, type UserDb, write } from '../db.ts';
import { keptPages } from '../sync/feed.ts';
import { createAlarm } from '../sync/nap.ts';
import type { PullDeps } from '../sync/pull.ts';
import { fetchPage, fetchReading, fetchSnippets, pageOf, questions, readingOf, snippetOf } from './pictures.ts';
import { BUDGET, keepPictures, keptOf, type NewPicture, nameOf, type PictureOf, picturesHere } from './store.ts';

/** Some 150 dpi: the whole page is to find one's way on, the doubtful fields are there by themselves and finer. */
export const KEPT_PX = 1200;
/** As long as a page may not fit any more, none is asked for. */
const PAGE_BYTES = 2 ** 20;
/** A batch that could not be kept whole is tried again without a reason. */
const AGAIN_MS = 60_000;
const FULL_MS = 10 * 60_000;
const GATHER_MS = 500;

/** Fields of a page that somebody has to look at, or has had to. */
export function fieldsToSee(line: SheetLine): string[] {
  const doubted = unpackNotes(line[13]).flatMap(({ label, flags }) => (flags.includes('doubtful') ? [label] : []));
  const waiting = [...waitingOn(line, rulings(correctionsOf(line)), [], null).keys()];
  return [...new Set([...doubted, ...waiting.filter((field) => /^(q\d+|roll|variant)$/.test(field))])];
}

/** Whether a person may have to see the page itself. */
function isPageToSee(line: SheetLine, groups: readonly GroupRow[]): boolean {
  const page = indexOf(line);
  if (line[2] === 'failed' || line[22] > 0 || fieldsToSee(line).length > 0) return true;
  if (line[3] === 'sheet' && line[23] !== null && line[23] !== 'no-key') return true;
  return groups.some(({ state, cover_page, first_page }) => state !== 'ok' && page === (cover_page ?? first_page));
}

/** What there is to keep of a batch: the fields, and then the pages. */
export function wantedOf(
  batch: string,
  { batch_no, lines, groups }: { batch_no: number; lines: readonly SheetLine[]; groups: readonly GroupRow[] },
): { fields: PictureOf[]; pages: PictureOf[] } {
  const seen = lines.filter((line) => isPageToSee(line, groups));
  return {
    fields: seen.flatMap((line) => fieldsToSee(line).flatMap((field) => snippetOf(batch, batch_no, line, field) ?? [])),
    pages: seen.flatMap((line) => [
      ...(line[3] === 'sheet' ? [readingOf(batch, batch_no, line)] : []),
      pageOf(batch, batch_no, line, KEPT_PX),
    ]),
  };
}

type Fetched = { pictures: NewPicture[]; none: string[] };

async function fetchAll(deps: PullDeps, [first, ...more]: PictureOf[], signal: AbortSignal): Promise<Answer<Fetched>> {
  if (!first) return { kind: 'ok', value: { pictures: [], none: [] } };
  const nothing: Answer<Fetched> = { kind: 'ok', value: { pictures: [], none: [nameOf(first)] } };
  // A scan that cannot be opened is said so again tomorrow.
  const isFinal = (answer: Answer<unknown>): boolean =>
    answer.kind === 'refused' &&
    answer.status >= 400 &&
    answer.status < 500 &&
    ![401, 404, 408, 429].includes(answer.status);
  if (first.what.kind === 'field') {
    const answer = await fetchSnippets(deps, [first, ...more], signal);
    if (answer.kind !== 'ok') return answer;
    return {
      kind: 'ok',
      value: { pictures: answer.value.pictures, none: answer.value.none.map(({ of }) => nameOf(of)) },
    };
  }
  if (first.what.kind === 'reading') {
    const answer = await fetchReading(deps, first);
    if (answer.kind !== 'ok') return isFinal(answer) ? nothing : answer;
    return answer.value ? { kind: 'ok', value: { pictures: [answer.value.picture], none: [] } } : nothing;
  }
  const answer = await fetchPage(deps, first, signal);
  if (answer.kind !== 'ok') return isFinal(answer) ? nothing : answer;
  return { kind: 'ok', value: { pictures: [answer.value], none: [] } };
}

async function note(user: UserDb, keeping: Keeping): Promise<void> {
  // Let go meanwhile.
  if (!(await user.get('kept', keeping.batch))?.pinned) return;
  await write(user, ['keeping'], (tx) => tx.objectStore('keeping').put(keeping));
}

/** Brings one batch's pictures here, as far as it goes. */
export async function keepOffline(
  deps: PullDeps,
  batch: string,
  signal: AbortSignal,
  budget = BUDGET,
): Promise<Keeping | null> {
  const { user, now } = deps;
  const pages = await keptPages(user.transaction(['feeds', 'parts']), batch);
  if (!pages) return null;
  const { fields, pages: whole } = wantedOf(batch, pages);
  const all = [...fields, ...whole];
  const names = new Set(all.map(nameOf));
  const before = await user.get('keeping', batch);
  const none = new Set((before?.none ?? []).filter((name) => names.has(name)));
  const here = await keptOf(user, all);
  const told = async (state: Keeping['state']): Promise<Keeping> => {
    const keeping: Keeping = { batch, wanted: all.length, here: here.size, none: [...none], state, at: now() };
    const same = before && (['wanted', 'here', 'state'] as const).every((part) => before[part] === keeping[part]);
    // What has not changed gives no screen a reason to look.
    if (!same || state !== 'whole') await note(user, keeping);
    return keeping;
  };
  const missing = (of: PictureOf): boolean => !here.has(nameOf(of)) && !none.has(nameOf(of));
  const asked = [...questions(fields.filter(missing)), ...whole.filter(missing).map((of) => [of])];
  for (const question of asked) {
    if (signal.aborted || !(await user.get('kept', batch))?.pinned) return null;
    if ((await picturesHere(user)).pinned_bytes + PAGE_BYTES > budget) return told('no-room');
    const answer = await fetchAll(deps, question, signal);
    if (answer.kind !== 'ok') return told('cut');
    const { pictures } = answer.value;
    const kept = await keepPictures(user, pictures, now(), budget);
    for (const name of await keptOf(
      user,
      pictures.map(({ of }) => of),
    ))
      here.add(name);
    for (const name of answer.value.none) none.add(name);
    if (kept < pictures.length) return told('no-room');
    await told('going');
  }
  return told('whole');
}

/** Keeps what is pinned until `signal`: at once when something is, and when pages of it change. */
export async function serveKeeping(deps: PullDeps, signal: AbortSignal): Promise<void> {
  const alarm = createAlarm();
  const stop = onChange((stores) => {
    if (stores.includes('kept') || stores.includes('parts')) alarm.wake();
  });
  try {
    while (!signal.aborted) {
      const who = await deps.session.identity();
      const pinned = (await deps.user.getAll('kept')).filter((one) => one.pinned);
      for (const { batch } of who?.signed_in ? pinned : []) {
        if (signal.aborted) return;
        const before = await deps.user.get('keeping', batch);
        // A full device stays full for a while: asking again and again would only cost the line.
        if (before?.state === 'no-room' && deps.now() - before.at < FULL_MS) continue;
        await keepOffline(deps, batch, signal);
      }
      await alarm.sleep(AGAIN_MS, signal);
      // A batch that is being read changes every second.
      await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
    }
  } finally {
    stop();
  }
}
