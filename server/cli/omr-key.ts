// The answer key that a command line names, held against every template whose sheets it is to score: a wrong one would
// give every sheet a wrong score, or none, without a word.
import * as v from 'valibot';
import { KeyContent } from '../../shared/protocol/key.ts';
import { shapeOfTemplate } from '../../shared/scoring/sheet-shape.ts';
import { validateKey } from '../../shared/scoring/validate-key.ts';
import { fieldErrors } from '../../shared/template/issues.ts';
import type { Template } from '../../shared/template/template.ts';
import { Mistake } from './omr-mistake.ts';
import { listed, loadJson } from './omr-template.ts';

export interface NamedKey {
  content: KeyContent;
  /** Refuses what cannot be right for a template, and warns of what may be meant; the second time it says nothing. */
  hold(template: Template): void;
}

/** Lines printed of what is wrong. */
const MOST = 20;

/** @param warn is given one line */
export const loadKey = async (name: string, warn: (line: string) => void): Promise<NamedKey> => {
  const parsed = v.safeParse(KeyContent, await loadJson('--key', name));
  if (!parsed.success) throw new Mistake(`--key ${name} is not an answer key:\n${listed(fieldErrors(parsed.issues))}`);
  const content = parsed.output;
  const held = new Set<Template>();
  return {
    content,
    hold(template) {
      if (template.kind === 'cover' || held.has(template)) return;
      held.add(template);
      // A gap keeps a key from being published. Here nothing is, and '' is how a key leaves a question out.
      const problems = validateKey(content, shapeOfTemplate(template));
      const wrong = problems.filter(({ level, code }) => level === 'error' && code !== 'question-missing');
      if (wrong.length > 0) {
        const lines = wrong.slice(0, MOST).map(({ message }) => `  ${message}`);
        if (wrong.length > MOST) lines.push(`  and ${wrong.length - MOST} more`);
        throw new Mistake(
          `--key ${name} does not fit sheets of ${template.id}:\n${lines.join('\n')}\n` +
            '  Correct the key, or name the sheet it is for with --template.',
        );
      }
      for (const { message } of problems) warn(`--key ${name}, ${template.id}: ${message}`);
    },
  };
};
