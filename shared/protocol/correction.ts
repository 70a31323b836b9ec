// A person's decision about one field of one page, as it travels. What corrections come to is shared/review.ts.
import * as v from 'valibot';
import { ROLES } from './auth.ts';

/**
 * What a person may decide: `q7` an answer, `roll`, `variant`; `task` of a page (a cover's task is that of the sheets behind
 * it); `group`, named by any page of it; `opens`: what begins at this page, see `SettleForm`; `void`: the sheet gets no score. `ask:q7`: a supervisor is asked to decide `q7`, with
 * what is asked as the reason.
 */
export const CorrectedField = v.pipe(
  v.string(),
  v.regex(
    /^((ask:)?(q[1-9]\d{0,3}|roll|variant)|task|group|opens|void)$/,
    'use q1, q2 …, roll, variant, each also after ask:, or task, group, opens, void',
  ),
);
/** As the field's reading writes it: '' blank, 'B', 'A|C'; a page index for `group`, a task, `join` or `set-aside` for
 * `opens`, 'true' for `void` and `ask:`. */
export const CorrectedValue = v.pipe(
  v.string(),
  v.maxLength(64),
  // No option of a sheet is a space: it parts one question from the next where values are packed.
  v.regex(/^(|[^\s|]+(\|[^\s|]+)*)$/, 'without spaces, and a bar only between two marks'),
);

/** One line of the history of a page. It is never changed: what is to be different is the next one. */
export const Correction = v.object({
  correction_id: v.string(),
  field: CorrectedField,
  /** null takes back what this person decided: the field is as the machine read it */
  value: v.nullable(v.string()),
  /** what stood there for whoever decided, so that "accepted as read" can be told from "changed" */
  previous: v.nullable(v.string()),
  reason: v.nullable(v.string()),
  user_id: v.string(),
  username: v.string(),
  /** at that time */
  role: v.picklist(ROLES),
  /** the device's outbox it came by: what it made before, it knows */
  client_id: v.string(),
  /** the newest correction of this page that whoever decided had seen; 0: none */
  base_rev: v.number(),
  /** counts a page's corrections in the order the server took them */
  rev: v.number(),
  at: v.string(),
});
export type Correction = v.InferOutput<typeof Correction>;
