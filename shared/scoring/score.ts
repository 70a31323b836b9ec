// Marks × key → score: the one function behind screens, exports and statistics. Pure and cheap, so that a changed key
// re-scores every sheet without an image being read again.
import type { Outcome } from '../protocol/batch.ts';
import type { KeyContent, KeyItem } from '../protocol/key.ts';
import type { FieldReading, SheetReading } from '../protocol/reading.ts';
import { type Marks, marksOf, questionOf, several } from './marks.ts';

export interface Judged {
  question: number;
  outcome: Outcome;
  /** as the key writes it; null when it accepts nothing */
  accepted: string | null;
  /** null where there is nothing to be right about */
  correct: boolean | null;
  /** null where there are no points to be had */
  points: number | null;
}

type Unscored = 'no-key' | 'variant-unread' | 'variant-unknown';

export interface MarkedScore {
  roll: string | null;
  variant: string | null;
  /** points; null when the sheet is not scored */
  score: number | null;
  max_score: number | null;
  correct: number | null;
  /** one mark that earned nothing */
  wrong: number | null;
  /** questions left blank and questions with several marks that are not the answer: of a sheet with a score those that
   *  the key scores, of any other all */
  blank: number;
  multiple: number;
  /** fields that wait for a person: `waitingFields` says which */
  doubtful: number;
  /** why there is no score */
  unscored: Unscored | null;
}
export interface SheetScore extends MarkedScore {
  answers: (Judged & Pick<FieldReading, 'value' | 'confidence' | 'flags'>)[];
}

/** What a question goes by, worked out once a key and booklet; those that go by the same share it. */
interface Rule {
  kind: 'scored' | 'void' | 'bonus' | 'outside';
  accepted: string | null;
  alternatives: readonly (readonly string[])[];
  numbers: readonly number[] | null;
  tolerance: number;
  correct: number;
  wrong: number;
  blank: number;
  multiple: number;
  partial: KeyItem['partial'];
  /** verdicts on values met before: a batch has few different ones */
  met: Map<string, Verdict>;
}
type Verdict = Omit<Judged, 'question'>;

/** A key made ready to score many sheets. */
export interface Scorer {
  /** the sheet's totals */
  score(marks: Marks): MarkedScore;
  /** answer by answer, in question order; without a score nothing is accepted or right */
  judge(marks: Marks): Judged[];
  /** points by section, in the key's order; empty when the sheet is not scored or the key has none */
  sections(marks: Marks): { name: string; score: number; max_score: number }[];
}

/**
 * Rules, by example of a question worth `correct`, `wrong`, `blank`, `multiple`:
 * right by any alternative → correct; one mark or several that are not → wrong or multiple; nothing → blank.
 * An alternative of several marks needs exactly these (all of), or gives partial credit where the scheme has it.
 * `void` has neither points nor a maximum; `bonus` gives `correct` to every sheet that is scored.
 * With several variants in the key and none read, or one read that the key lacks, the sheet is not scored at all. A key
 * whose only variant is `''` holds for every booklet; a key of one variant also for a sheet whose variant is unread.
 */
export function scorer(key: KeyContent | null): Scorer {
  const made = new Map<string, Rule[]>();
  const rulesOf = (name: string): Rule[] => {
    let rules = made.get(name);
    if (!rules && key) {
      rules = rulesFor(key, name);
      made.set(name, rules);
    }
    return rules ?? [];
  };
  const judgeWith = (rules: readonly Rule[], values: Marks['values']): Judged[] => {
    const judged: Judged[] = [];
    values.forEach((value, i) => {
      if (value !== null) judged.push({ question: i + 1, ...verdict(rules[i], value) });
    });
    return judged;
  };
  const listOf = (marks: Marks): readonly Rule[] => {
    const { list } = listFor(key, marks.variant);
    return list === null ? [] : rulesOf(list);
  };
  return {
    judge: (marks) => judgeWith(listOf(marks), marks.values),
    sections(marks) {
      const { list } = listFor(key, marks.variant);
      if (list === null || !key?.sections) return [];
      const judged = judgeWith(rulesOf(list), marks.values);
      return key.sections.map(({ name, from, to }) => {
        let [score, max_score] = [0, 0];
        for (const { question, points } of judged) {
          if (points === null || question < from || question > to) continue;
          score += points;
          max_score += rulesOf(list)[question - 1]!.correct;
        }
        return { name, score: exact(score), max_score: exact(max_score) };
      });
    },
    score(marks) {
      const { list, unscored } = listFor(key, marks.variant);
      const rules = list === null ? [] : rulesOf(list);
      let [score, most, correct, wrong, blank, multiple] = [0, 0, 0, 0, 0, 0];
      const { values } = marks;
      for (let i = 0; i < values.length; i++) {
        const value = values[i];
        if (value === null || value === undefined) continue;
        const rule = rules[i];
        const { outcome, points } = verdict(rule, value);
        if (outcome === 'correct') correct++;
        else if (outcome === 'wrong') wrong++;
        else if (outcome !== 'partial' && (unscored !== null || (outcome !== 'outside' && outcome !== 'void'))) {
          if (value === '') blank++;
          else if (several(value)) multiple++;
        }
        if (points === null || !rule) continue;
        score += points;
        most += rule.correct;
      }
      const scored = unscored === null;
      return {
        roll: marks.roll,
        variant: marks.variant,
        score: scored ? exact(score) : null,
        max_score: scored ? exact(most) : null,
        correct: scored ? correct : null,
        wrong: scored ? wrong : null,
        blank,
        multiple,
        doubtful: isUnlisted(unscored) ? marks.doubtful_unlisted : marks.doubtful,
        unscored,
      };
    },
  };
}

/** Scores one reading. Many sheets of one key go through one `scorer`. */
export function scoreSheet(reading: Pick<SheetReading, 'fields'>, key: KeyContent | null): SheetScore {
  const marks = marksOf(reading);
  const by = scorer(key);
  const judged = new Map(by.judge(marks).map((one) => [one.question, one]));
  const answers = reading.fields.flatMap(({ label, value, confidence, flags }): SheetScore['answers'] => {
    const question = questionOf(label);
    const one = question === null ? undefined : judged.get(question);
    return one ? [{ value, confidence, flags, ...one }] : [];
  });
  return { ...by.score(marks), answers };
}

/** The list of accepted answers that a sheet goes by. */
export function listFor(
  key: KeyContent | null,
  variant: string | null,
): { list: string; unscored: null } | { list: null; unscored: Unscored } {
  if (!key) return { list: null, unscored: 'no-key' };
  const names = Object.keys(key.answers);
  const [only] = names;
  if (only !== undefined && names.length === 1 && (only === '' || variant === null)) {
    return { list: only, unscored: null };
  }
  if (variant === null) return { list: null, unscored: 'variant-unread' };
  if (!Object.hasOwn(key.answers, variant)) return { list: null, unscored: 'variant-unknown' };
  return { list: variant, unscored: null };
}

/** The key is there, and has no answers for the sheet's variant: it costs the whole score, however sure the engine is. */
export const isUnlisted = (unscored: string | null): boolean =>
  unscored === 'variant-unread' || unscored === 'variant-unknown';

function rulesFor(key: KeyContent, variant: string): Rule[] {
  const items = new Map(
    (key.items ?? []).filter((item) => item.variant === variant).map((item) => [item.question, item]),
  );
  // A big batch has a hundred keys: a rule for each of their questions was 60 MB of verdicts that said the same.
  const shared = new Map<string, Rule>();
  return (key.answers[variant] ?? []).map((accepted, i): Rule => {
    const question = i + 1;
    const at = key.sections?.findIndex(({ from, to }) => from <= question && question <= to) ?? -1;
    const section = key.sections?.[at];
    const item = items.get(question);
    const same = `${at} ${accepted}`;
    const known = item ? undefined : shared.get(same);
    if (known) return known;
    const marks = { ...key.marks, ...section?.marks, ...item?.marks };
    const alternatives = accepted.split(' ').filter((text) => text !== '');
    const rule: Rule = {
      kind: item?.kind ?? (alternatives.length === 0 ? 'outside' : 'scored'),
      accepted: alternatives.length === 0 ? null : accepted,
      alternatives: alternatives.map((text) => text.split('|')),
      numbers: item?.tolerance === undefined ? null : alternatives.flatMap((text) => numberOf(text) ?? []),
      tolerance: item?.tolerance ?? 0,
      correct: marks.correct,
      wrong: marks.wrong,
      blank: marks.blank,
      multiple: marks.multiple ?? marks.wrong,
      partial: item?.partial ?? section?.partial,
      met: new Map(),
    };
    if (!item) shared.set(same, rule);
    return rule;
  });
}

const OUTSIDE: Verdict = { outcome: 'outside', accepted: null, correct: null, points: null };

function verdict(rule: Rule | undefined, value: string): Verdict {
  if (!rule) return OUTSIDE;
  let judged = rule.met.get(value);
  if (!judged) {
    judged = judgeValue(rule, value);
    rule.met.set(value, judged);
  }
  return judged;
}

function judgeValue(rule: Rule, value: string): Verdict {
  const { accepted } = rule;
  switch (rule.kind) {
    case 'outside':
      return OUTSIDE;
    case 'void':
      return { outcome: 'void', accepted, correct: null, points: null };
    case 'bonus':
      return { outcome: 'bonus', accepted, correct: null, points: rule.correct };
    case 'scored': {
      if (value === '') return { outcome: 'blank', accepted, correct: false, points: rule.blank };
      const points = earned(rule, value);
      if (points === null) {
        const outcome = several(value) ? 'multiple' : 'wrong';
        return { outcome, accepted, correct: false, points: rule[outcome] };
      }
      const right = points === 'all';
      return {
        outcome: right ? 'correct' : 'partial',
        accepted,
        correct: right,
        points: right ? rule.correct : points,
      };
    }
  }
}

/** 'all', the points of a part, or null for none. */
function earned({ alternatives, numbers, tolerance, correct, partial }: Rule, value: string): 'all' | number | null {
  if (numbers) {
    const read = numberOf(value);
    // decimal fractions are not exact in binary: 0.3 - 0.2 is more than 0.1
    const near = (number: number) => Math.abs(number - read!) <= tolerance + 1e-9 * Math.max(1, Math.abs(number));
    return read !== null && numbers.some(near) ? 'all' : null;
  }
  const marked = value.split('|');
  let best: number | null = null;
  for (const wanted of alternatives) {
    const hits = wanted.filter((option) => marked.includes(option)).length;
    const extras = marked.length - hits;
    if (extras === 0 && hits === wanted.length) return 'all';
    if (!partial) continue;
    const credit = partial.rule === 'subset' ? (extras === 0 ? hits : 0) : hits - extras;
    if (credit <= 0) continue;
    const points = exact(Math.min(correct, credit * (partial.each ?? correct / wanted.length)));
    if (best === null || points > best) best = points;
  }
  return best;
}

/** A number as a grid holds it: blank columns around it, a decimal point or comma, a sign, or a fraction `a/b`. Null
 *  when it is none: a blank column inside, several marks in one, nothing at all. */
export function numberOf(text: string): number | null {
  const [, sign, whole, fraction, below] = /^_*([-+]?)_*(\d*)(?:[.,](\d*))?(?:\/(\d+))?_*$/.exec(text) ?? [];
  if (whole === undefined || (whole === '' && !fraction)) return null;
  if (below !== undefined && (fraction !== undefined || Number(below) === 0)) return null;
  const size = Number(`${whole || '0'}.${fraction || '0'}`) / (below === undefined ? 1 : Number(below));
  return sign === '-' ? -size : size;
}

/** Sums of tenths and quarters without the last bits of binary fractions. */
const exact = (points: number): number => Math.round(points * 1e6) / 1e6;
