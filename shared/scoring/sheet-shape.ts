// What a printed sheet asks, as far as an answer key must agree with it: read off its template.
import type { KeyContent } from '../protocol/key.ts';
import { layOut, optionsOf } from '../template/geometry.ts';
import type { Template } from '../template/template.ts';
import { questionOf } from './marks.ts';
import type { SheetShape } from './validate-key.ts';

export function shapeOfTemplate(template: Template): SheetShape {
  const shape: SheetShape = { questions: new Map(), variants: null };
  const parts = new Map<string, { options: readonly string[]; columns: number }>();
  for (const field of layOut(template).fields) {
    const { label, type, groups } = field;
    // a number may have a sign in one column and digits in the others
    const options = [...new Set(groups.flatMap((_, i) => optionsOf(field, i)))];
    parts.set(label, { options, columns: type === 'grid' ? groups.length : 1 });
    const question = questionOf(label);
    if (question !== null) shape.questions.set(question, { kind: type, options, columns: groups.length });
    else if (label === 'variant') shape.variants = options;
  }
  // a number whose digits are fields of their own is answered as one
  for (const { label, of } of template.joined ?? []) {
    const question = questionOf(label);
    if (question === null) continue;
    const own = of.flatMap((part) => parts.get(part) ?? []);
    const options = [...new Set(own.flatMap((part) => part.options))];
    shape.questions.set(question, { kind: 'grid', options, columns: own.reduce((sum, part) => sum + part.columns, 0) });
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
