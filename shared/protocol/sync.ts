// The sync engine's two routes: what a device is told of a scope since it last asked, and what was done on it without a
// network.
import * as v from 'valibot';
import { BatchRow, GroupRow, UNSCORED } from './batch.ts';
import { CorrectedField, CorrectedValue, Correction } from './correction.ts';
import { KeyAnswer, KeyContent, NewTask, TaskAnswer } from './key.ts';

// ---- pull ----------------------------------------------------------------------------------------------------------

/** `office` (batches, keys, tasks, templates) or `batch:<id>` (its pages and groups). */
export const Scope = v.pipe(v.string(), v.regex(/^(office|batch:[\w-]{1,64})$/, 'office or batch:<id>'));
export const PullQuery = v.object({
  scope: Scope,
  /** of the last answer; without one, or with one that can no longer be resumed from, everything is told from the start */
  cursor: v.optional(v.pipe(v.string(), v.maxLength(300))),
});

/** Told of one page of a batch, as a list without names: a batch has thousands of them. */
export const SheetLine = v.strictTuple([
  v.number(), // 0 page_index, in file order
  v.string(), // 1 name of the file
  v.picklist(['waiting', 'read', 'failed']), // 2 status
  v.nullable(v.picklist(['sheet', 'cover', 'blank', 'foreign'])), // 3 kind
  v.nullable(v.number()), // 4 index of its group
  v.nullable(v.string()), // 5 task
  v.nullable(v.string()), // 6 why it failed
  v.nullable(v.string()), // 7 SHA-256 of the image
  v.nullable(v.string()), // 8 `template@version`
  v.nullable(v.string()), // 9 roll number as read
  v.nullable(v.string()), // 10 variant as read
  v.number(), // 11 questions
  v.string(), // 12 answers as read, packed (shared/scoring/marks.ts)
  v.string(), // 13 what somebody may have to look at, packed (shared/scoring/notes.ts)
  v.number(), // 14 wrong values to be expected among the rest
  v.nullable(v.string()), // 15 `key@version` that scored it
  v.nullable(v.number()), // 16 score
  v.nullable(v.number()), // 17 maximum
  v.nullable(v.number()), // 18 correct
  v.nullable(v.number()), // 19 wrong
  v.nullable(v.number()), // 20 blank
  v.nullable(v.number()), // 21 multiple
  v.number(), // 22 doubtful
  v.nullable(v.picklist(UNSCORED)), // 23 why there is no score
  v.picklist([0, 1]), // 24 held by the wrong-key detector
  v.array(Correction), // 25 what people decided, oldest first
]);
export type SheetLine = v.InferOutput<typeof SheetLine>;

export const SyncedKey = v.object({
  key_id: v.string(),
  /** the newest first, each with its content */
  versions: v.array(KeyAnswer),
  /** user names of whoever made, edited or published one of them, by user id */
  names: v.record(v.string(), v.string()),
  /** tasks that go by it */
  tasks: v.number(),
});
export type SyncedKey = v.InferOutput<typeof SyncedKey>;
export const SyncedTemplate = v.object({ template_id: v.string(), version: v.number(), content: v.string() });
export type SyncedTemplate = v.InferOutput<typeof SyncedTemplate>;

export const PullAnswer = v.object({
  scope: v.string(),
  /** what was kept of this scope is void: this is the first part of all there is. Show it when the last part has come. */
  reset: v.boolean(),
  /** a part of a first pull; otherwise all that has changed since the cursor */
  first: v.boolean(),
  more: v.boolean(),
  cursor: v.string(),
  /** for a batch: its pages' ids are this × 1,000,000 + page_index */
  batch_no: v.nullable(v.number()),
  batches: v.array(BatchRow),
  keys: v.array(SyncedKey),
  tasks: v.array(TaskAnswer),
  templates: v.array(SyncedTemplate),
  groups: v.array(GroupRow),
  sheets: v.array(SheetLine),
  /** `batch:<id>`, `key:<id>`, `task:<id>`, `group:<index>`, `sheet:<page index>`: no longer there, or not for this user */
  gone: v.array(v.string()),
});
export type PullAnswer = v.InferOutput<typeof PullAnswer>;

/** The part of a cursor that counts: `epoch.seq` or, within a first pull, `epoch.seq@place`. */
export const seqOf = (cursor: string): number => Number(/\.(\d+)(?:@|$)/.exec(cursor)?.[1] ?? 0);

// ---- push ----------------------------------------------------------------------------------------------------------

/** Decisions that stand or fall together: one page's, or the same for several pages. */
export const Correct = v.object({
  batch_id: v.pipe(v.string(), v.maxLength(64)),
  reason: v.optional(v.nullable(v.pipe(v.string(), v.maxLength(1000)))),
  items: v.pipe(
    v.array(
      v.object({
        sheet_id: v.pipe(v.string(), v.regex(/^\d{1,15}$/, 'a sheet id')),
        field: CorrectedField,
        /** null takes back what was decided */
        value: v.nullable(CorrectedValue),
        /** the newest correction of this page that was on the screen; 0: none */
        base_rev: v.pipe(v.number(), v.integer(), v.minValue(0)),
      }),
    ),
    v.minLength(1),
    v.maxLength(1000),
  ),
});
export type Correct = v.InferOutput<typeof Correct>;

/** `base`: the state that was edited, as an answer's `stamp` names it; null: there was none. */
const Base = v.nullable(v.pipe(v.string(), v.maxLength(64)));
export const SaveKey = v.object({
  key_id: v.pipe(v.string(), v.maxLength(191)),
  content: KeyContent,
  base: Base,
});
export const SaveTask = v.object({ task: NewTask, base: Base });

export const MUTATIONS = { correct: Correct, 'key.save': SaveKey, 'task.save': SaveTask } as const;
export type MutationName = keyof typeof MUTATIONS;
export type Mutation = { [N in MutationName]: { name: N; args: v.InferInput<(typeof MUTATIONS)[N]> } }[MutationName];

const Mid = v.pipe(v.number(), v.integer(), v.minValue(1));
export const PushForm = v.object({
  /** one user's outbox on one device, for as long as it lives there */
  client_id: v.pipe(v.string(), v.regex(/^[\w-]{16,64}$/, '16 to 64 letters and digits')),
  /** answers up to this one have been kept: the server may forget them */
  heard: v.pipe(v.number(), v.integer(), v.minValue(0)),
  /** in the order they were made, with growing `mid`. Each is checked by itself: one that is malformed is refused alone */
  mutations: v.pipe(v.array(v.object({ mid: Mid, name: v.string(), args: v.unknown() })), v.maxLength(200)),
});
export type PushForm = v.InferOutput<typeof PushForm>;

export const Outcome = v.variant('status', [
  v.object({
    mid: v.number(),
    status: v.literal('applied'),
    /** it shows in a scope from this number on: until then what the device made of it stays on the screen */
    covers: v.array(v.object({ scope: v.string(), seq: v.number() })),
    /** of the key or task as it is now */
    stamp: v.nullable(v.string()),
  }),
  v.object({ mid: v.number(), status: v.literal('rejected'), code: v.string(), detail: v.string() }),
]);
export type Outcome = v.InferOutput<typeof Outcome>;
export const PushAnswer = v.object({ last_mid: v.number(), outcomes: v.array(Outcome) });
export type PushAnswer = v.InferOutput<typeof PushAnswer>;

/** Names one state of a key or task: an edit of any other is a conflict. */
export const keyStamp = ({ version, rev, state }: Pick<KeyAnswer, 'version' | 'rev' | 'state'>): string =>
  `${version}.${rev}.${state}`;
export const taskStamp = ({ rev }: Pick<TaskAnswer, 'rev'>): string => String(rev);
