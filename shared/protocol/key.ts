// Answer keys and tasks: what the office says is right, by which scheme it counts, and which sheets it holds for.
import * as v from 'valibot';
import { TaskId } from './upload.ts';

const Name = v.pipe(v.string(), v.minLength(1), v.maxLength(191));
const Points = v.pipe(v.number(), v.finite());
const Question = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000));
const Variant = v.pipe(v.string(), v.maxLength(8));

/**
 * What a question accepts. Alternatives are separated by a space, marks that belong together by `|`: `B` is B alone,
 * `B D` is B or D (any of), `A|C` is A and C together (all of), `A|C B` is either. '' accepts nothing, and leaves the
 * question outside the score. Under `tolerance` the alternatives are numbers. (A space is the one separator that no
 * option of a sheet can be.)
 */
const Accepted = v.pipe(v.string(), v.maxLength(64));

export const PARTIAL_RULES = ['subset', 'balance'] as const;
/** Credit for a part of several marks that belong together. Without `each` a right mark is worth its share of `correct`. */
const Partial = v.object({
  /** subset: right marks count, one wrong mark makes the answer wrong; balance: right marks less wrong ones, and
   *  nothing gained is wrong */
  rule: v.picklist(PARTIAL_RULES),
  /** points of one right mark, never more than `correct` in all */
  each: v.optional(Points),
});

/** Points of one question. `multiple` (several marks that are not the answer) is `wrong` where it is not said. */
const Marks = v.object({ correct: Points, wrong: Points, blank: Points, multiple: v.exactOptional(Points) });
const MarksChange = v.object({
  correct: v.exactOptional(Points),
  wrong: v.exactOptional(Points),
  blank: v.exactOptional(Points),
  multiple: v.exactOptional(Points),
});

/** Questions `from`–`to` of every booklet, under a name and marks of their own. */
export const KeySection = v.object({
  name: Name,
  from: Question,
  to: Question,
  marks: v.optional(MarksChange),
  partial: v.optional(Partial),
});

/** Where one question of one booklet differs from its section. */
export const KeyItem = v.object({
  variant: Variant,
  question: Question,
  /** void: leaves score and maximum; bonus: gives its points to everyone who handed in a sheet */
  kind: v.optional(v.picklist(['void', 'bonus'])),
  marks: v.optional(MarksChange),
  partial: v.optional(Partial),
  /** the answer is a number, right within this much of an accepted one */
  tolerance: v.optional(v.pipe(v.number(), v.finite(), v.minValue(0))),
});
export type KeyItem = v.InferOutput<typeof KeyItem>;

/** Accepted answer of each question, from the first on, by booklet variant; a variant `''` alone holds for every booklet. */
export const KeyContent = v.object({
  answers: v.record(Variant, v.pipe(v.array(Accepted), v.maxLength(1000))),
  marks: Marks,
  sections: v.optional(v.pipe(v.array(KeySection), v.maxLength(100))),
  items: v.optional(v.pipe(v.array(KeyItem), v.maxLength(20_000))),
  /** the sheet it was made for: how many questions there are, and which options */
  template_id: v.optional(Name),
});
export type KeyContent = v.InferOutput<typeof KeyContent>;

export const KEY_STATES = ['draft', 'published'] as const;
const KeyId = v.pipe(Name, v.regex(/^[^/\s?#][^/?#]*$/, 'without / ? and #'));
export const NewKey = v.object({ key_id: KeyId, content: KeyContent });
const keyEntries = {
  key_id: v.string(),
  version: v.number(),
  state: v.picklist(KEY_STATES),
  /** counts the edits of a draft: send it back as `base_rev` */
  rev: v.number(),
  created_by: v.nullable(v.string()),
  /** who changed it last: another supervisor has to publish it */
  edited_by: v.nullable(v.string()),
  published_by: v.nullable(v.string()),
  edited_at: v.string(),
  published_at: v.nullable(v.string()),
};
export const KeyAnswer = v.object({ ...keyEntries, content: KeyContent });
export type KeyAnswer = v.InferOutput<typeof KeyAnswer>;
/** `content` replaces the draft's; `base_rev` is the one that was edited. */
export const KeyEdit = v.object({ content: KeyContent, base_rev: v.number() });
/** Without `rev` whatever the draft is now; with it only what the publisher has looked at. */
export const KeyPublish = v.object({ rev: v.optional(v.number()) });
/** A batch that is being read takes the key when it gets there, and is not counted. */
export const PublishAnswer = v.object({
  ...KeyAnswer.entries,
  /** batches whose sheets were scored again, and sheets whose result changed */
  batches: v.number(),
  sheets: v.number(),
});

const QueryText = v.optional(v.pipe(v.string(), v.maxLength(191)), '');
const QueryPage = v.optional(
  v.pipe(v.string(), v.regex(/^[1-9]\d{0,5}$/, 'pages count from 1'), v.transform(Number)),
  '1',
);
export const KeyQuery = v.object({ search: QueryText, page: QueryPage });
/** One line a key: its newest published version and the draft that may follow it. */
export const KeyRow = v.object({
  key_id: v.string(),
  published: v.nullable(v.number()),
  draft: v.nullable(v.number()),
  edited_at: v.string(),
  tasks: v.number(),
});
export const KeyList = v.object({ items: v.array(KeyRow), total: v.number(), page: v.number(), pages: v.number() });
export const KeyVersions = v.object({
  key_id: v.string(),
  items: v.array(v.object(keyEntries)),
  /** user names of whoever made, edited or published one of them, by user id */
  names: v.record(v.string(), v.string()),
});

/** What is wrong with a key. An `error` keeps it from being published, a `warning` does not. */
export const KeyProblem = v.object({
  level: v.picklist(['error', 'warning']),
  code: v.picklist([
    'empty',
    'question-beyond-sheet',
    'question-missing',
    'question-duplicate',
    'option-unknown',
    'variant-unknown',
    'variant-missing',
    'number-unreadable',
    'section-overlap',
    'section-range',
    'item-duplicate',
    'item-unknown',
    'marks-odd',
    'line-unreadable',
  ]),
  variant: v.nullable(v.string()),
  question: v.nullable(v.number()),
  /** says it in words */
  message: v.string(),
});
export type KeyProblem = v.InferOutput<typeof KeyProblem>;
export const KeyValidation = v.object({ publishable: v.boolean(), problems: v.array(KeyProblem) });

/** Loose text, as typed or pasted from a document, or a key CSV. */
export const KeyPaste = v.object({
  text: v.pipe(v.string(), v.maxLength(1_000_000)),
  template_id: v.optional(Name),
});
export const KeyPasted = v.object({ content: v.nullable(KeyContent), problems: v.array(KeyProblem) });

/** `cut_score`: points from which on a sheet passes. */
export const ImpactQuestion = v.object({ cut_score: v.optional(v.number()) });
const Mean = v.nullable(v.number());
export const KeyImpact = v.object({
  key_id: v.string(),
  version: v.number(),
  /** sheets of tasks that go by this key */
  sheets: v.number(),
  sheets_changed: v.number(),
  /** over the sheets that have a score before, after, or both */
  mean_before: Mean,
  mean_after: Mean,
  mean_shift: Mean,
  max_before: Mean,
  max_after: Mean,
  newly_passed: v.nullable(v.number()),
  newly_failed: v.nullable(v.number()),
  /** the largest first, at most twenty */
  biggest_moves: v.array(
    v.object({
      sheet_id: v.string(),
      batch_id: v.string(),
      roll: v.nullable(v.string()),
      before: v.nullable(v.number()),
      after: v.nullable(v.number()),
    }),
  ),
  /** questions whose accepted answer does not look like one: the best candidates chose another */
  anomalies: v.array(
    v.object({
      variant: v.string(),
      question: v.number(),
      accepted: v.string(),
      /** what the best 27 % of candidates chose most */
      chosen: v.string(),
      /** shares of those candidates, 0 to 1 */
      accepted_share: v.number(),
      chosen_share: v.number(),
    }),
  ),
});
export type KeyImpact = v.InferOutput<typeof KeyImpact>;

/** How well a group's answers fit a list of accepted answers. */
export const KeyFit = v.object({
  key_id: v.string(),
  key_version: v.number(),
  /** the list's booklet */
  list: v.string(),
  /** sheets compared */
  sheets: v.number(),
  /** answers that are the accepted ones, over answers with one mark */
  matched: v.number(),
  answered: v.number(),
  /** log Bayes factor against the list that scores those sheets now; 0 for that list itself */
  evidence: v.number(),
});
export const GroupFit = v.object({
  group_id: v.string(),
  state: v.string(),
  suspect: v.nullable(
    v.object({
      /** the whole group, or single sheets of it */
      sheets: v.array(v.string()),
      whole_group: v.boolean(),
      message: v.string(),
    }),
  ),
  booklets: v.array(v.object({ variant: v.nullable(v.string()), fits: v.array(KeyFit) })),
});
export type GroupFit = v.InferOutput<typeof GroupFit>;
/** Why a supervisor lets the scores of a suspect group stand. */
export const ConfirmKey = v.object({ reason: v.pipe(v.string(), v.minLength(1), v.maxLength(1000)) });

const taskEntries = {
  exam: Name,
  centre: Name,
  template_id: Name,
  key_id: v.nullable(Name),
  /** bundle or seal number */
  packet: v.optional(v.nullable(v.pipe(v.string(), v.maxLength(191)))),
  expected_count: v.optional(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0)))),
};
export const NewTask = v.object({ task_id: TaskId, ...taskEntries });
export type NewTask = v.InferInput<typeof NewTask>;
/** What is left out stays as it is; `base_rev` refuses the edit of a task that has changed since. */
export const TaskEdit = v.object({ ...v.partial(v.object(taskEntries)).entries, base_rev: v.optional(v.number()) });
export const TaskAnswer = v.object({
  task_id: v.string(),
  exam: v.string(),
  centre: v.string(),
  packet: v.nullable(v.string()),
  template_id: v.string(),
  template_version: v.number(),
  key_id: v.nullable(v.string()),
  expected_count: v.nullable(v.number()),
  rev: v.number(),
});
export type TaskAnswer = v.InferOutput<typeof TaskAnswer>;
export const TaskQuery = v.object({
  search: QueryText,
  page: QueryPage,
  exam: v.optional(v.string()),
  centre: v.optional(v.string()),
  key_id: v.optional(v.string()),
});
export const TaskList = v.object({
  items: v.array(TaskAnswer),
  total: v.number(),
  page: v.number(),
  pages: v.number(),
});
