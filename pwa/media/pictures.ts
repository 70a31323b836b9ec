// Pictures for screens: from the store when they are kept, from the server when it can be asked, and then kept. Fields that
// are wanted at about the same time are asked for together, so that a grid of a hundred snippets is a few requests.
import * as v from 'valibot';
import { fromBase64 } from '../../shared/omr/base64.ts';
import { SheetReading } from '../../shared/protocol/reading.ts';
import { MOST_SNIPPET_SHEETS, MOST_SNIPPETS } from '../../shared/protocol/snippet.ts';
import type { SheetLine } from '../../shared/protocol/sync.ts';
import type { Answer, Api } from '../api.ts';
import type { Picture, UserDb } from '../db.ts';
import type { Session } from '../session.ts';
import { keepPictures, type NewPicture, nameOf, type PictureOf, takePicture } from './store.ts';

/** `away`: not kept here, and the server cannot be asked. `none`: the server has none, and says why. */
export type Shown =
  | { at: 'here'; blob: Blob; raster: Picture['raster'] }
  | { at: 'away' }
  | { at: 'none'; why: string };

export const sheetIdOf = (batch_no: number, page: number): string => String(batch_no * 1_000_000 + page);

/** The picture of one field of a page as the feed tells it; null when the page was not read as a sheet. */
export function snippetOf(batch: string, batch_no: number, line: SheetLine, field: string): PictureOf | null {
  const [page, , , kind, , , , image, template] = line;
  if (kind !== 'sheet' || template === null) return null;
  return { batch, sheet_id: sheetIdOf(batch_no, page), image, what: { kind: 'field', field, template } };
}

/** What was measured on a page. */
export const readingOf = (batch: string, batch_no: number, line: SheetLine): PictureOf => ({
  ...pageOf(batch, batch_no, line, null),
  what: { kind: 'reading' },
});

/** The picture of a whole page. @param width in pixels; null: the scan itself */
export const pageOf = (batch: string, batch_no: number, line: SheetLine, width: number | null): PictureOf => ({
  batch,
  sheet_id: sheetIdOf(batch_no, line[0]),
  image: line[7],
  what: { kind: 'page', width },
});

export interface PictureDeps {
  api: Api;
  session: Session;
  /** ms since 1970 */
  now: () => number;
}

/** What is asked for within this is asked for together, ms. */
const GATHER_MS = 20;

interface Wanted {
  user: UserDb;
  of: PictureOf;
  tell: (shown: Shown) => void;
}

/** Sheets and fields of one question, no more than the server takes at once. */
export function questions(wanted: readonly PictureOf[]): PictureOf[][] {
  const asked: PictureOf[][] = [];
  let current: PictureOf[] = [];
  const sheets = new Set<string>();
  const inOrder = [...wanted].sort((a, b) => a.batch.localeCompare(b.batch) || Number(a.sheet_id) - Number(b.sheet_id));
  for (const of of inOrder) {
    const full = current.length >= MOST_SNIPPETS || (!sheets.has(of.sheet_id) && sheets.size >= MOST_SNIPPET_SHEETS);
    if (current.length > 0 && (full || current[0]?.batch !== of.batch)) {
      asked.push(current);
      current = [];
      sheets.clear();
    }
    current.push(of);
    sheets.add(of.sheet_id);
  }
  return current.length > 0 ? [...asked, current] : asked;
}

const fieldOf = ({ what }: PictureOf): string => (what.kind === 'field' ? what.field : '');

/** `1000012.q3.q7,1000013.roll` */
function queryOf(wanted: readonly PictureOf[]): string {
  const fields = new Map<string, string[]>();
  for (const of of wanted) fields.set(of.sheet_id, [...(fields.get(of.sheet_id) ?? []), fieldOf(of)]);
  return [...fields].map(([sheet, own]) => [sheet, ...own].join('.')).join(',');
}

/** Asks for the fields of one question. What comes is not kept yet. */
export async function fetchSnippets(
  { api, session }: PictureDeps,
  wanted: readonly PictureOf[],
  signal?: AbortSignal,
): Promise<Answer<{ pictures: NewPicture[]; none: { of: PictureOf; why: string }[] }>> {
  const [first] = wanted;
  if (!first) return { kind: 'ok', value: { pictures: [], none: [] } };
  const answer = await session.ask((token) => api.snippets(token, first.batch, queryOf(wanted), signal));
  if (answer.kind !== 'ok') return answer;
  const pictures: NewPicture[] = [];
  const none: { of: PictureOf; why: string }[] = [];
  for (const of of wanted) {
    const item = answer.value.items.find(({ sheet_id }) => sheet_id === of.sheet_id);
    const found = item?.snippets.find(({ field }) => field === fieldOf(of));
    if (!found) none.push({ of, why: item?.problem ?? 'its template has no such field' });
    else pictures.push({ of, bytes: fromBase64(found.jpeg).slice().buffer, type: 'image/jpeg', raster: null });
  }
  return { kind: 'ok', value: { pictures, none } };
}

/** Asks for a page. What comes is not kept yet. */
export async function fetchPage(
  { api, session }: PictureDeps,
  of: PictureOf,
  signal?: AbortSignal,
): Promise<Answer<NewPicture>> {
  const width = of.what.kind === 'page' ? of.what.width : null;
  const answer = await session.ask((token) => api.image(token, of.batch, of.sheet_id, width, signal));
  if (answer.kind !== 'ok') return answer;
  const { blob, raster } = answer.value;
  return { kind: 'ok', value: { of, bytes: await blob.arrayBuffer(), type: blob.type, raster } };
}

/** Asks for what was measured on a page. What comes is not kept yet; null: it was not read as a sheet. */
export async function fetchReading(
  { api, session }: PictureDeps,
  of: PictureOf,
): Promise<Answer<{ reading: SheetReading; picture: NewPicture } | null>> {
  const answer = await session.ask((token) => api.sheet(token, of.batch, of.sheet_id));
  if (answer.kind !== 'ok') return answer;
  const { reading } = answer.value;
  if (reading?.kind !== 'sheet') return { kind: 'ok', value: null };
  const bytes = new TextEncoder().encode(JSON.stringify(reading)).slice().buffer;
  return { kind: 'ok', value: { reading, picture: { of, bytes, type: 'application/json', raster: null } } };
}

const shownOf = ({ bytes, type, raster }: NewPicture): Shown => ({
  at: 'here',
  blob: new Blob([bytes], { type }),
  raster,
});

/** An answer that is no picture, for a screen. */
const missing = (answer: Exclude<Answer<unknown>, { kind: 'ok' }>): Shown =>
  answer.kind === 'refused' && answer.status !== 401 && answer.status < 500
    ? { at: 'none', why: answer.detail }
    : { at: 'away' };

export function createPictures(deps: PictureDeps) {
  let waiting: Wanted[] = [];
  const under = new Map<string, Promise<Shown>>();

  async function keep(user: UserDb, pictures: readonly NewPicture[]): Promise<void> {
    // Shown all the same when it cannot be kept: a sign-out has closed the database.
    await keepPictures(user, pictures, deps.now()).catch(() => {});
  }

  async function askNow(): Promise<void> {
    const now = waiting;
    waiting = [];
    const tellers = new Map(now.map((one) => [nameOf(one.of), one]));
    for (const question of questions(now.map(({ of }) => of))) {
      const own = question.flatMap((of) => tellers.get(nameOf(of)) ?? []);
      const answer = await fetchSnippets(deps, question).catch(() => null);
      if (answer?.kind !== 'ok') {
        for (const { tell } of own) tell(answer ? missing(answer) : { at: 'away' });
        continue;
      }
      const { pictures, none } = answer.value;
      const user = own[0]?.user;
      if (user) await keep(user, pictures);
      for (const picture of pictures) tellers.get(nameOf(picture.of))?.tell(shownOf(picture));
      for (const { of, why } of none) tellers.get(nameOf(of))?.tell({ at: 'none', why });
    }
  }

  async function find(user: UserDb, of: PictureOf): Promise<Shown> {
    const kept = await takePicture(user, of, deps.now()).catch(() => null);
    if (kept) return { at: 'here', ...kept };
    if (of.what.kind === 'page') {
      const answer = await fetchPage(deps, of);
      if (answer.kind !== 'ok') return missing(answer);
      await keep(user, [answer.value]);
      return shownOf(answer.value);
    }
    return new Promise((tell) => {
      if (waiting.length === 0) setTimeout(() => void askNow(), GATHER_MS);
      waiting.push({ user, of, tell });
    });
  }

  return {
    /** The picture, from the store or from the server. The same one that is already asked for is waited for. */
    async show(user: UserDb, of: PictureOf): Promise<Shown> {
      const name = `${user.name} ${nameOf(of)}`;
      const finding = under.get(name) ?? find(user, of).finally(() => under.delete(name));
      under.set(name, finding);
      return finding;
    },

    /** What was measured on a page: the kept one at once, the server's when it answers. @param tell null: there is none here */
    async measured(user: UserDb, of: PictureOf, tell: (reading: SheetReading | null) => void): Promise<void> {
      const kept = await takePicture(user, of, deps.now()).catch(() => null);
      const parsed = kept && v.safeParse(SheetReading, JSON.parse(await kept.blob.text()));
      if (parsed?.success) tell(parsed.output);
      const answer = await fetchReading(deps, of);
      if (answer.kind !== 'ok') return parsed?.success ? undefined : tell(null);
      if (answer.value) await keep(user, [answer.value.picture]);
      tell(answer.value?.reading ?? null);
    },
  };
}
export type Pictures = ReturnType<typeof createPictures>;
