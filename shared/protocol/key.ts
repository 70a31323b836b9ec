// Answer keys and tasks: what the office says is right, and which sheets it holds for.
import * as v from 'valibot';
import { TaskId } from './upload.ts';

const Name = v.pipe(v.string(), v.minLength(1), v.maxLength(191));

/** Accepted answer of each question, from the first on, by booklet variant. '' accepts nothing. */
export const KeyContent = v.object({
  answers: v.record(v.pipe(v.string(), v.maxLength(8)), v.array(v.pipe(v.string(), v.maxLength(16)))),
  marks: v.object({ correct: v.number(), wrong: v.number(), blank: v.number() }),
});
export type KeyContent = v.InferOutput<typeof KeyContent>;

export const NewKey = v.object({ key_id: Name, content: KeyContent });
export const KeyAnswer = v.object({ key_id: v.string(), version: v.number(), content: KeyContent });

export const NewTask = v.object({
  task_id: TaskId,
  exam: Name,
  centre: Name,
  template_id: Name,
  key_id: v.nullable(Name),
  expected_count: v.optional(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0)))),
});
export type NewTask = v.InferInput<typeof NewTask>;
export const TaskAnswer = v.object({
  task_id: v.string(),
  exam: v.string(),
  centre: v.string(),
  template_id: v.string(),
  template_version: v.number(),
  key_id: v.nullable(v.string()),
  expected_count: v.nullable(v.number()),
});
