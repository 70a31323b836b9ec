// The only file that opens IndexedDB. Two kinds of database: `sheaf-queue` holds what this device still has to send and
// who uses it; `sheaf-<user id>` holds what one user may see. Writes are announced to every tab and the service worker,
// because screens show what is stored here and nothing else.
import { type DBSchema, deleteDB, type IDBPDatabase, type IDBPTransaction, openDB, type StoreNames } from 'idb';
import type { InferOutput } from 'valibot';
import type { Me } from '../shared/protocol/auth.ts';
import type { BatchDetail, BatchRow, GroupRow, SheetRow } from '../shared/protocol/batch.ts';
import type {
  KeyAnswer,
  KeyContent,
  KeyImpact,
  KeyList,
  KeyValidation,
  KeyVersions,
  TaskAnswer,
} from '../shared/protocol/key.ts';
import type { BatchProgress, LoggedEvent, ProgressEvent } from '../shared/protocol/stream.ts';
import type { Correct, PullAnswer, SheetLine, SyncedTemplate } from '../shared/protocol/sync.ts';
import type { PageCorrection, UploadType } from '../shared/protocol/upload.ts';
import type { DeviceRow as SignedInDevice, UserRow } from '../shared/protocol/user.ts';

const QUEUE_NAME = 'sheaf-queue';

// ---- what the queue holds ------------------------------------------------------------------------------------------

export interface PickedFile {
  name: string;
  /** bytes */
  size: number;
}

/** How the server knows an upload. The token moves its bytes even after sign-out, and can do nothing else. */
export interface ServerSide {
  upload_id: string;
  batch_id: string;
  upload_token: string;
  epoch: number;
}

export type IncompleteReason = 'interrupted' | 'no-room' | 'damaged' | 'file-changed' | 'server-lost';
export type WaitReason = 'no-network' | 'busy' | 'server-full' | 'sign-in' | 'other-user' | 'password';

/** Why nothing is sent of an upload for now. Times in ms since 1970. */
export interface Wait {
  why: WaitReason;
  detail: string;
  /** the server asked to be left alone until then */
  not_before: number;
  /** our own patience: a timer waits for it, a reason to try again (a network, a tap, a sync event) does not */
  again_at: number;
  /** how long that patience was, ms: the next one grows from it */
  patience_ms: number;
}

/** Where an upload stands. Whether it is being sent at this moment is not here but in the sender's lease. */
export type Step =
  /** its bytes are being copied to this device; the tab that copies holds the Web Lock `stage:<id>` */
  | { at: 'staging' }
  /** the copying stopped: what was copied is safe, the rest must be picked again */
  | { at: 'incomplete'; why: IncompleteReason }
  /** all bytes were copied, and what the server has not verified yet is on this device */
  | { at: 'queued' }
  /** larger than what this device lets us keep: chunks are copied, sent and freed while the tab that copies lives, under
   *  the same lock as `staging` */
  | { at: 'passing'; wait: Wait | null }
  | ({ at: 'waiting' } & Wait)
  /** the server said no for good; a person must look, the bytes stay */
  | { at: 'parked'; code: string; detail: string }
  | { at: 'sent'; sealed_at: string };

export interface Upload {
  /** the `client_upload_id`, made when the form was opened: two taps are one upload */
  id: string;
  owner: { user_id: string; username: string };
  upload_type: UploadType;
  name: string;
  /** bytes of all files together */
  size: number;
  chunk_size: number;
  task_id: string | null;
  files: PickedFile[];
  /** what a person said of its groups before it was sent */
  grouping?: PageCorrection[];
  created_at: string;
  step: Step;
  server: ServerSide | null;
  /** a person wants nothing more of it to be sent for now; wherever it stands, it goes on from there */
  paused?: boolean;
}

/** A row exists only once the bytes it speaks of were durable; it stays after they were sent or lost, as proof of the file. */
export interface Chunk {
  upload: string;
  index: number;
  size: number;
  sha256: string;
  /** bytes that the server said it has of this chunk; the last word is its `verified` */
  landed: number;
  /** `lost`: neither this device nor the server has the bytes any more */
  state: 'staged' | 'sent' | 'lost';
}

/** Who can move bytes: the worker of an open page, the service worker, the browser's own Background Fetch. */
export const SENDERS = ['page', 'sw', 'fetch'] as const;
export type Sender = (typeof SENDERS)[number];

export type DeviceRow =
  | { key: 'identity'; me: Me; signed_in: boolean }
  /** a sign-out that the server has not heard of yet */
  | { key: 'logout-pending' }
  /** what real requests said about the network; times in ms since 1970 */
  | { key: 'link'; state: 'online' | 'offline'; since: number; last_ok: number | null }
  /** who holds the right to send and what is in hand; stale when `beat` (ms since 1970) is older than 20 s. `flying`: bytes
   *  of parts under way that have left; `rate`: bytes a second, null until it was measured */
  | { key: 'sender'; by: Sender; upload: string | null; beat: number; flying: number; rate: number | null }
  /** uploads that were removed here and that the server still has to hear of, with whose they are */
  | { key: 'cancelled'; uploads: { upload_id: string; user_id: string }[] }
  /** the senders that may move bytes; without this row all of them */
  | { key: 'senders'; on: Sender[] };

interface QueueSchema extends DBSchema {
  uploads: { key: string; value: Upload };
  chunks: { key: [string, number]; value: Chunk };
  /** a chunk is one Blob, or buffers under a third number where the browser cannot keep Blobs */
  bytes: { key: [string, number] | [string, number, number]; value: Blob | ArrayBuffer };
  device: { key: string; value: DeviceRow };
}
export type QueueDb = IDBPDatabase<QueueSchema>;

// ---- what a user may see -------------------------------------------------------------------------------------------

/** `true_at`: when the server said so, ms since 1970. */
export type Kept<T> = T & { true_at: number };

export interface StoredEvent {
  batch: string;
  /** the event's place in the log: the whole part of its id */
  seq: number;
  event: LoggedEvent;
}

export interface Cursor {
  batch: string;
  /** resume the stream from here */
  last_event_id: string | null;
  /** the end (see `versionOf` in pull.ts) for which log, groups and sheets are all stored; null when they are not */
  whole_for: string | null;
  /** whether its stream is open now, as the tab knows that follows it; older records do not say */
  line?: 'open' | 'lost';
  /** when something was last heard on it, ms since 1970 */
  heard_at?: number;
}

// ---- the office: answer keys, tasks, users, and what was changed here ----------------------------------------------

/** A key as the list tells it, its newest version in full, the others by name, and what the published ones say: sheets are
 *  scored by them on this device. */
export type KeptKey = Kept<{
  key_id: string;
  row: InferOutput<typeof KeyList>['items'][number];
  newest: KeyAnswer;
  versions: InferOutput<typeof KeyVersions>['items'];
  published?: { version: number; content: KeyContent }[];
  /** user names by user id; older records have none */
  names?: Record<string, string>;
}>;

/** What the server said of one revision of a draft, when it was asked. */
export type KeyReport = Kept<{
  key_id: string;
  version: number;
  rev: number;
  validation: InferOutput<typeof KeyValidation>;
  impact: KeyImpact;
  cut_score: number | null;
}>;

export type TaskFields = Omit<TaskAnswer, 'rev' | 'template_version'>;

/** Always the whole new content: the last edit of a thing says all that the ones before it said. */
export type Change =
  | { kind: 'key'; key_id: string; content: KeyContent }
  | { kind: 'task'; task: TaskFields }
  /** decisions about pages, which stand or fall together */
  | { kind: 'correct'; batch_id: string; items: Correct['items']; reason: string | null };

/** What an edit was made upon: a thing that did not exist, one as the server had it, or the edit before this one. */
export type Base = { on: 'nothing' } | { on: 'seen'; stamp: string } | { on: 'previous' };

export interface Edit {
  /** counts up and is never given twice: edits are sent in this order */
  n: number;
  /** its number on the wire, given when it is first sent; it keeps it, however often it is sent */
  mid?: number;
  /** `key:<id>`, `task:<id>` or `sheet:<sheet id>` */
  subject: string;
  made_at: string;
  change: Change;
  base: Base;
  state:
    | { at: 'waiting' }
    | { at: 'refused'; code: string; detail: string }
    /** the server has it, and shows it in these scopes from these numbers on: until then it is shown from here */
    | { at: 'answered'; covers: { scope: string; seq: number }[]; stamp: string | null };
}

/** What the outbox is called on the wire, and how far it has come. */
export interface Client {
  key: 'client';
  client_id: string;
  /** the last `mid` given, and the last whose answer is kept */
  given: number;
  heard: number;
}

/** How far a scope has been pulled. */
export interface Feed {
  scope: string;
  /** of the parts that are shown; null: none yet */
  cursor: string | null;
  generation: number;
  /** the first pull under way, which is shown when it is whole; `complete`: only what changed meanwhile is missing */
  building: { cursor: string; generation: number; complete: boolean; next_part: number } | null;
  batch_no: number | null;
  true_at: number;
}

/** A piece of a pulled scope: some pages of a batch in file order, its groups, or an answer about the office. */
export interface FeedPart {
  scope: string;
  generation: number;
  /** pages: their index ÷ PAGES_A_PART; groups: -1; the office: counting up */
  part: number;
  lines: SheetLine[];
  groups: GroupRow[];
  office: PullAnswer | null;
}

/** What is shown of a thing while edits of it have not arrived. `n`: of the edit that it is. */
export interface Overlay {
  subject: string;
  n: number;
  change: Change;
}

/** A picture that is kept: which it is, and what keeps it. */
export interface Picture {
  /** see `nameOf` in media/store.ts */
  name: string;
  batch: string;
  /** SHA-256 of its bytes */
  hash: string;
  type: string;
  /** bytes */
  size: number;
  /** when somebody saw it last, ms since 1970, to the minute */
  used_at: number;
  /** of the raster that the page was read on, where the picture is a smaller one */
  raster: { width: number; height: number } | null;
}

/** What "keep offline" has brought of a batch. It goes on where it was cut: what is kept already is not asked for again. */
export interface Keeping {
  batch: string;
  /** pictures that there are to keep */
  wanted: number;
  /** of these, the ones that are here */
  here: number;
  /** of these, the ones that the server has not (a scan that cannot be opened), by name: not asked for again */
  none: string[];
  /** `no-room`: the rest does not fit under the budget or on the device; `cut`: the server could not be asked */
  state: 'going' | 'whole' | 'no-room' | 'cut';
  /** when that was so, ms since 1970 */
  at: number;
}

export interface UserSchema extends DBSchema {
  batches: { key: string; value: Kept<BatchRow> };
  details: { key: string; value: Kept<BatchDetail> };
  /** `version`: of the batch when they were fetched (sync/pull.ts) */
  groups: { key: string; value: Kept<{ batch: string; items: GroupRow[]; version?: string }> };
  sheets: { key: [string, number]; value: SheetRow & { batch: string } };
  events: { key: [string, number]; value: StoredEvent };
  snapshots: { key: string; value: { batch: string; progress?: ProgressEvent; items?: BatchProgress } };
  cursors: { key: string; value: Cursor };
  /** batches that a person opened here, and when (ms since 1970) */
  wanted: { key: string; value: { batch: string; at: number } };
  /** the list as a whole */
  lists: { key: string; value: { key: 'batches'; total: number; true_at: number } };
  keys: { key: string; value: KeptKey };
  reports: { key: string; value: KeyReport };
  tasks: { key: string; value: Kept<TaskAnswer> };
  users: { key: string; value: Kept<UserRow> };
  devices: { key: string; value: Kept<{ user_id: string; items: SignedInDevice[] }> };
  /** ids to choose from */
  choices: { key: string; value: Kept<{ key: 'templates' | 'centres' | 'exams'; items: string[] }> };
  outbox: { key: number; value: Edit };
  overlays: { key: string; value: Overlay };
  sync: { key: string; value: Client };
  feeds: { key: string; value: Feed };
  parts: { key: [string, number, number]; value: FeedPart };
  /** batches whose pages are kept on this device; `pinned` ones until somebody lets them go. `at`: last opened, ms since 1970 */
  kept: { key: string; value: { batch: string; pinned: boolean; at: number } };
  templates: { key: [string, number]; value: SyncedTemplate };
  /** pictures of pages and fields, without their bytes; see media/store.ts */
  pictures: { key: string; value: Picture; indexes: { batch: string; hash: string } };
  /** bytes by their SHA-256: WebKit does not keep Blobs */
  picture_bytes: { key: string; value: ArrayBuffer };
  /** how far the pictures of a batch are that somebody keeps offline */
  keeping: { key: string; value: Keeping };
  /** which place of the office was looked at last, and when (ms since 1970) */
  looks: { key: string; value: { place: string; at: number } };
  /** when that place was fetched as a whole */
  pulls: { key: string; value: { place: string; true_at: number } };
}
export type UserDb = IDBPDatabase<UserSchema>;

// ---- migrations ----------------------------------------------------------------------------------------------------

/** One step of a schema, forward only. `version` counts from 1 without gaps. */
export interface Migration<S extends DBSchema> {
  version: number;
  reason: string;
  run(db: IDBPDatabase<S>, tx: IDBPTransaction<S, StoreNames<S>[], 'versionchange'>): void;
}

const QUEUE_MIGRATIONS: Migration<QueueSchema>[] = [
  {
    version: 1,
    reason:
      'uploads; the digest of each chunk apart from its bytes, so that lists never touch bytes; who uses the device',
    run(db) {
      db.createObjectStore('uploads', { keyPath: 'id' });
      db.createObjectStore('chunks', { keyPath: ['upload', 'index'] });
      db.createObjectStore('bytes');
      db.createObjectStore('device', { keyPath: 'key' });
    },
  },
];

const USER_MIGRATIONS: Migration<UserSchema>[] = [
  {
    version: 1,
    reason: 'batches with their detail, log, groups and sheets, to be read without a network',
    run(db) {
      db.createObjectStore('batches', { keyPath: 'batch_id' });
      db.createObjectStore('details', { keyPath: 'batch_id' });
      db.createObjectStore('groups', { keyPath: 'batch' });
      db.createObjectStore('sheets', { keyPath: ['batch', 'page_index'] });
      db.createObjectStore('events', { keyPath: ['batch', 'seq'] });
      db.createObjectStore('snapshots', { keyPath: 'batch' });
      db.createObjectStore('cursors', { keyPath: 'batch' });
      db.createObjectStore('wanted', { keyPath: 'batch' });
      db.createObjectStore('lists', { keyPath: 'key' });
    },
  },
  {
    version: 2,
    reason: 'answer keys, tasks and users; the outbox of edits, and beside it what the edited things look like',
    run(db) {
      db.createObjectStore('keys', { keyPath: 'key_id' });
      db.createObjectStore('reports', { keyPath: 'key_id' });
      db.createObjectStore('tasks', { keyPath: 'task_id' });
      db.createObjectStore('users', { keyPath: 'user_id' });
      db.createObjectStore('devices', { keyPath: 'user_id' });
      db.createObjectStore('choices', { keyPath: 'key' });
      db.createObjectStore('outbox', { keyPath: 'n', autoIncrement: true });
      db.createObjectStore('overlays', { keyPath: 'subject' });
      db.createObjectStore('looks', { keyPath: 'place' });
      db.createObjectStore('pulls', { keyPath: 'place' });
    },
  },
  {
    version: 3,
    reason: 'the change feed: how far each scope is pulled, the pages of kept batches, and what the outbox is called',
    run(db) {
      db.createObjectStore('sync', { keyPath: 'key' });
      db.createObjectStore('feeds', { keyPath: 'scope' });
      db.createObjectStore('parts', { keyPath: ['scope', 'generation', 'part'] });
      db.createObjectStore('kept', { keyPath: 'batch' });
      db.createObjectStore('templates', { keyPath: ['template_id', 'version'] });
    },
  },
  {
    version: 4,
    reason: 'pictures of pages and fields, their bytes apart from what is known of them, to be seen without a network',
    run(db) {
      const pictures = db.createObjectStore('pictures', { keyPath: 'name' });
      pictures.createIndex('batch', 'batch');
      pictures.createIndex('hash', 'hash');
      db.createObjectStore('picture_bytes');
      db.createObjectStore('keeping', { keyPath: 'batch' });
    },
  },
];

/** The stored schema was written by a newer Sheaf: this one must not touch it. */
export class NewerSchema extends Error {
  override readonly name = 'NewerSchema';
}

/**
 * Opens a database and runs the migrations it lacks, all in one transaction.
 * @throws NewerSchema when the stored version is above the last migration.
 */
export async function openMigrated<S extends DBSchema>(
  name: string,
  migrations: readonly Migration<S>[],
): Promise<IDBPDatabase<S>> {
  const gap = migrations.findIndex((step, i) => step.version !== i + 1);
  if (gap >= 0) throw new Error(`migration ${gap + 1} of ${name} is missing`);
  try {
    return await openDB<S>(name, migrations.length, {
      upgrade(db, stored, _target, tx) {
        // When a step fails it is the opening that rejects; this promise would only do so unheard.
        tx.done.catch(() => {});
        for (const step of migrations) if (step.version > stored) step.run(db, tx);
      },
      // Another tab wants a newer schema: let go, so that it is not kept waiting; this tab is told to reload.
      blocking(_current, _blocked, event) {
        (event.target as IDBDatabase).close();
        announce([gone(name)]);
      },
      // The browser closed it (site data cleared, disk failed): pages reload and open it anew.
      terminated() {
        announce([gone(name)]);
      },
    });
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'VersionError')
      throw new NewerSchema(`${name} was written by a newer Sheaf`, { cause });
    throw cause;
  }
}

export const openQueue = (): Promise<QueueDb> => openMigrated(QUEUE_NAME, QUEUE_MIGRATIONS);
export const openUser = (userId: string): Promise<UserDb> => openMigrated(`sheaf-${userId}`, USER_MIGRATIONS);

/** Edits that have not arrived, what they look like, and the numbers they were sent under. */
const UNSENT: readonly UserStore[] = ['outbox', 'overlays', 'sync'];

/**
 * Forgets what a user saw on this device. The queue is another database and stays; so do edits that have not arrived,
 * and nothing but them.
 */
export const forgetUser = async (userId: string): Promise<void> => {
  const user = await openUser(userId);
  const unsent = await user.count('outbox');
  if (unsent > 0) {
    const seen = [...user.objectStoreNames].filter((store) => !UNSENT.includes(store));
    await write(user, seen, async (tx) => {
      for (const store of seen) await tx.objectStore(store).clear();
    });
  }
  user.close();
  if (unsent === 0) await deleteDB(`sheaf-${userId}`, { blocked() {} });
};

// ---- changes -------------------------------------------------------------------------------------------------------

export type QueueStore = StoreNames<QueueSchema>;
export type UserStore = StoreNames<UserSchema>;
/** Not stores: a database was closed under whoever reads it, by a newer Sheaf, a sign-out or the browser. */
export type Gone = 'queue-gone' | 'user-gone';
export type Changed = QueueStore | UserStore | Gone;
const gone = (name: string): Gone => (name === QUEUE_NAME ? 'queue-gone' : 'user-gone');

const CHANNEL = 'sheaf-changes';
const here = new Set<(stores: readonly Changed[]) => void>();
let outward: BroadcastChannel | undefined;

function channel(): BroadcastChannel {
  if (outward) return outward;
  outward = new BroadcastChannel(CHANNEL);
  outward.onmessage = (event: MessageEvent<Changed[]>) => {
    for (const listener of here) listener(event.data);
  };
  return outward;
}

function announce(stores: readonly Changed[]): void {
  for (const listener of here) listener(stores);
  channel().postMessage(stores);
}

/** Calls back with the names of stores that changed, here or in another tab. Returns the way out. */
export function onChange(listener: (stores: readonly Changed[]) => void): () => void {
  channel();
  here.add(listener);
  return () => here.delete(listener);
}

/** Ends what this module holds open besides the databases themselves: for tests. */
export function closeChannel(): void {
  outward?.close();
  outward = undefined;
}

/**
 * One transaction: runs `work`, waits until it is complete (with `strict`: until it is on the disk), tells everybody.
 * `work` must await nothing but its own transaction, or that would end before it is done.
 */
export async function write<S extends DBSchema, const N extends StoreNames<S>[], R>(
  db: IDBPDatabase<S>,
  stores: N,
  work: (tx: IDBPTransaction<S, N, 'readwrite'>) => Promise<R> | R,
  durability: 'strict' | 'relaxed' = 'relaxed',
): Promise<R> {
  const tx = db.transaction(stores, 'readwrite', { durability });
  let result: R;
  try {
    result = await work(tx);
  } catch (error) {
    // Swallowed here only: `done` rejects because we abort, and the caller gets the error itself.
    tx.done.catch(() => {});
    try {
      tx.abort();
    } catch {
      // It had failed by itself.
    }
    throw error;
  }
  await tx.done;
  announce(stores as unknown as Changed[]);
  return result;
}
