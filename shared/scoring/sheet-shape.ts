// What a printed sheet asks, as far as an answer key must agree with it: read off its template.
import type { KeyContent } from '../protocol/key.ts';
import { layOut, optionsOf } from '../template/geometry.ts';
import type { Template } from '../template/template.ts';
import type { SheetShape } from './validate-key.ts';

export function shapeOfTemplate(template: Template): SheetShape {
  const shape: SheetShape = { questions: new Map(), variants: null };
  for (const field of layOut(template).fields) {
    const { label, type, groups } = field;
    // a number may have a sign in one column and digits in the others
    const options = [...new Set(groups.flatMap((_, i) => optionsOf(field, i)))];
    const question = /^q(\d+)$/.exec(label)?.[1];
    if (question !== undefined) shape.questions.set(Number(question), { kind: type, options, columns: groups.length });
    else if (label === 'variant') shape.variants = options;
  }
  return shape;
}

/** The template that a key is held against: the one it names, or the one of its tasks. Tasks on different sheets say
 *  nothing: the key fits them by its own word or not at all. */
export function templateOfKey(
  { template_id }: Pick<KeyContent, 'template_id'>,
  ofTasks: readonly string[],
): string | undefined {
  const [only, ...others] = new Set(ofTasks);
  return template_id ?? (others.length === 0 ? only : undefined);
}
