// Pictures of pages and fields on this device, in the database of whoever saw them, so that they go with everything else at
// sign-out. Bytes lie under their SHA-256: the same picture is kept once, whoever names it. A byte budget holds; what
// nobody has seen for longest goes first, and pictures of batches that are kept offline do not go at all.
import type { IDBPTransaction } from 'idb';
import { type Picture, type UserDb, type UserSchema, write } from '../db.ts';

/** Some 25,000 snippets, or 1,000 pages. What is still to be sent has all the rest of the device. */
export const BUDGET = 256 * 2 ** 20;
/** A picture that is looked at is written down at most this often. */
const SEEN_MS = 60_000;

/** What of which page. The scan's own hash is part of it: a page that was sent anew is another picture. */
export interface PictureOf {
  batch: string;
  sheet_id: string;
  /** SHA-256 of the scan; null when the page could not be read */
  image: string | null;
  what:
    | { kind: 'field'; field: string /** `template@version` */; template: string }
    /** the page, `width` pixels wide; null: the scan itself */
    | { kind: 'page'; width: number | null }
    /** what the engine measured on it, as JSON: what is drawn over the page */
    | { kind: 'reading' };
}

export function nameOf({ sheet_id, image, what }: PictureOf): string {
  const part =
    what.kind === 'field'
      ? [what.template, what.field]
      : what.kind === 'page'
        ? ['page', what.width ?? 'scan']
        : ['reading'];
  return [sheet_id, image ?? '', ...part].join('|');
}

export interface NewPicture {
  of: PictureOf;
  bytes: ArrayBuffer;
  type: string;
  raster: Picture['raster'];
}

export interface KeptPicture {
  blob: Blob;
  raster: Picture['raster'];
}

const STORES = ['pictures', 'picture_bytes'] as const;
type Tx = IDBPTransaction<UserSchema, (typeof STORES)[number][], 'readwrite'>;

async function hashOf(bytes: ArrayBuffer): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Bytes of these pictures; those that share theirs count once. */
const sizeOf = (pictures: Iterable<Picture>): number => {
  const sizes = new Map<string, number>();
  for (const { hash, size } of pictures) sizes.set(hash, size);
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
};

/** @returns bytes that are free now */
async function remove(tx: Tx, all: Map<string, Picture>, picture: Picture): Promise<number> {
  all.delete(picture.name);
  await tx.objectStore('pictures').delete(picture.name);
  if ([...all.values()].some(({ hash }) => hash === picture.hash)) return 0;
  await tx.objectStore('picture_bytes').delete(picture.hash);
  return picture.size;
}

/** Lets the longest unseen go until `room` bytes are free under `budget`. @returns whether they are */
async function makeRoom(
  tx: Tx,
  all: Map<string, Picture>,
  pinned: ReadonlySet<string>,
  room: number,
  budget: number,
): Promise<boolean> {
  let used = sizeOf(all.values());
  if (used + room <= budget) return true;
  const stays = [...all.values()].filter(({ batch }) => pinned.has(batch));
  // Not one is let go for what would not fit all the same.
  if (sizeOf(stays) + room > budget) return false;
  const goes = [...all.values()].filter(({ batch }) => !pinned.has(batch)).sort((a, b) => a.used_at - b.used_at);
  for (const picture of goes) {
    if (used + room <= budget) break;
    used -= await remove(tx, all, picture);
  }
  return used + room <= budget;
}

/** Not part of the transactions that change pictures: whoever waits for a batch to be kept would be told of each of them. */
const pinnedBatches = async (user: UserDb): Promise<Set<string>> =>
  new Set((await user.getAll('kept')).filter(({ pinned }) => pinned).map(({ batch }) => batch));

/**
 * Keeps pictures, in one transaction. @returns how many of them are here now: fewer than were given when the budget is full of
 * pictures that stay, or the device is
 */
export async function keepPictures(
  user: UserDb,
  pictures: readonly NewPicture[],
  now: number,
  budget = BUDGET,
): Promise<number> {
  const rows = await Promise.all(
    pictures.map(async ({ of, bytes, type, raster }) => ({
      bytes,
      picture: {
        name: nameOf(of),
        batch: of.batch,
        hash: await hashOf(bytes),
        type,
        size: bytes.byteLength,
        used_at: now,
        raster,
      } satisfies Picture,
    })),
  );
  const pinned = await pinnedBatches(user);
  const put = (): Promise<number> =>
    write(user, [...STORES], async (tx) => {
      const all = new Map((await tx.objectStore('pictures').getAll()).map((one) => [one.name, one]));
      let kept = 0;
      for (const { picture, bytes } of rows) {
        const before = all.get(picture.name);
        if (before) await remove(tx, all, before);
        const known = [...all.values()].some(({ hash }) => hash === picture.hash);
        if (!known && !(await makeRoom(tx, all, pinned, picture.size, budget))) continue;
        if (!known) await tx.objectStore('picture_bytes').put(bytes, picture.hash);
        await tx.objectStore('pictures').put(picture);
        all.set(picture.name, picture);
        kept++;
      }
      return kept;
    });
  try {
    return await put();
  } catch (error) {
    if (!(error instanceof Error && error.name === 'QuotaExceededError')) throw error;
    // The device is fuller than our own budget: what is not promised to anybody goes, and then it fits or not.
    await forgetPictures(user, null);
    return put().catch((again: unknown) => {
      if (again instanceof Error && again.name === 'QuotaExceededError') return 0;
      throw again;
    });
  }
}

/** A picture, when it is kept; from now on it is one that was seen lately. */
export async function takePicture(user: UserDb, of: PictureOf, now: number): Promise<KeptPicture | null> {
  const name = nameOf(of);
  const tx = user.transaction(['pictures', 'picture_bytes']);
  const picture = await tx.objectStore('pictures').get(name);
  const bytes = picture && (await tx.objectStore('picture_bytes').get(picture.hash));
  if (!picture || !bytes) return null;
  if (now - picture.used_at >= SEEN_MS) await seen(user, name, now);
  return { blob: new Blob([bytes], { type: picture.type }), raster: picture.raster };
}

const seen = (user: UserDb, name: string, now: number): Promise<void> =>
  write(user, ['pictures'], async (tx) => {
    const picture = await tx.objectStore('pictures').get(name);
    if (picture) await tx.objectStore('pictures').put({ ...picture, used_at: now });
  });

/** Which of these are kept. */
export async function keptOf(user: UserDb, wanted: readonly PictureOf[]): Promise<Set<string>> {
  const here = new Set(await user.getAllKeys('pictures'));
  return new Set(wanted.map(nameOf).filter((name) => here.has(name)));
}

/** Forgets the pictures of a batch; null: of all that are not kept offline. */
export async function forgetPictures(user: UserDb, batch: string | null): Promise<void> {
  const pinned = await pinnedBatches(user);
  await write(user, [...STORES], async (tx) => {
    const all = new Map((await tx.objectStore('pictures').getAll()).map((one) => [one.name, one]));
    for (const picture of [...all.values()])
      if (batch === null ? !pinned.has(picture.batch) : picture.batch === batch) await remove(tx, all, picture);
  });
}

/** How much is kept, and how much of it because somebody keeps its batch offline. */
export async function picturesHere(user: UserDb): Promise<{ pictures: number; bytes: number; pinned_bytes: number }> {
  const all = await user.getAll('pictures');
  const pinned = await pinnedBatches(user);
  const bytes = sizeOf(all);
  return { pictures: all.length, bytes, pinned_bytes: sizeOf(all.filter(({ batch }) => pinned.has(batch))) };
}
