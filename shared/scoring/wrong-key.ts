// The wrong-key detector: how well answers fit each list of accepted answers that could apply, and which packets and
// sheets are scored by the wrong one. Pure; what it found out about its own errors is in docs/wrong-key.md.
//
// Model. A candidate of ability θ knows question j with probability 1 / (1 + exp(−θ − δ_j)) (Rasch 1960) and then marks
// an accepted answer; otherwise they guess, by their own liking for letters (a sheet that is A from top to bottom fits
// every list equally) times how popular each wrong option of the question is elsewhere. δ and popularity come from the
// other packets of the same list, never from the one under judgement; without any, all questions and options are alike.
//
// Evidence is the log Bayes factor of a list against the one in use (Kass & Raftery 1995): θ is integrated over a broad
// normal prior for both, so a weak candidate, who fits no list, is evidence for none. Were the model exact, a right key
// would be opposed by a factor of k with probability at most 1/k (Markov's inequality; Royall 1997), whatever the packet's
// size: so a packet is suspect beyond log(hypotheses looked at ÷ ALARM). Besides, the other list must match more answers (LEAD).
import type { KeyContent } from '../protocol/key.ts';

/** At most this share of clean batches may be alarmed, by the bound above. */
const ALARM = 1e-4;
/** Ability in logits: mean 0.5, deviation 1.5, as a grid. */
const ABILITIES = Array.from({ length: 13 }, (_, i) => -4 + i * 0.75);
const PRIOR = (() => {
  const weights = ABILITIES.map((theta) => Math.exp(-((theta - 0.5) ** 2) / (2 * 1.5 ** 2)));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => Math.log(weight / sum));
})();
/** A question counts as average until this many sheets have spoken. */
const SMOOTH = 10;
/** A sheet's own letters are mixed with this many of each. */
const LETTERS = 2;
/** A sheet that goes from letter to letter by one step (A A A, A B C D E A) so much oftener than any list does is a pattern
 *  filled in from top to bottom: it says nothing of what its candidate knows, and fits some list by chance. */
const PATTERN = 0.25;
/** A list from whose sheets this little more than guessing comes back is not learnt from: it may be wrong everywhere. */
const CREDIBLE = 0.1;
/** … and then another list has to match more by this share, since popular wrong options are not known. So it has for
 *  one sheet alone. */
const BLIND_LEAD = 0.2;
/** The share of a packet's answers by which another list must match more: evidence alone may be no more than that the
 *  answers are unlike anybody's. */
const LEAD = 0.05;
/** Kinds of answers told apart at one question: bits of a word, less the sign. */
const MOST_SYMBOLS = 30;

/** Accepted answers of one booklet of one key; null where a question says nothing about which list it is. */
export interface KeyList {
  /** what it is called in findings */
  name: string;
  accepted: readonly (readonly string[] | null)[];
}

/** The lists of a key by booklet. Void and bonus questions and numbers within a tolerance are left out. */
export function listsOf(key: KeyContent, name: (variant: string) => string): Map<string, KeyList> {
  return new Map(
    Object.entries(key.answers).map(([variant, answers]) => {
      const odd = new Set(
        (key.items ?? [])
          .filter((item) => item.variant === variant && (item.kind !== undefined || item.tolerance !== undefined))
          .map((item) => item.question),
      );
      const accepted = answers.map((text, i) =>
        text === '' || odd.has(i + 1) ? null : text.split(' ').map((one) => one.split('|').sort().join('|')),
      );
      return [variant, { name: name(variant), accepted }];
    }),
  );
}

export interface FitSheet {
  id: number;
  /** packet: sheets that came together */
  group: number;
  /** index of the list that scores it, -1 when none does */
  list: number;
  values: readonly (string | null)[];
}

export interface Fit {
  /** index of the list */
  list: number;
  sheets: number;
  matched: number;
  answered: number;
  /** log Bayes factor against the list in use, 0 for that itself */
  evidence: number;
}

export interface Suspicion {
  group: number;
  /** list in use → list that fits better */
  list: number;
  better: number;
  evidence: number;
  sheets: number[];
  /** the evidence is that of the packet; false: of these sheets each for itself */
  whole_group: boolean;
}

export interface Detector {
  /** All sheets first, then the questions below. */
  add(sheet: FitSheet): void;
  groups(): number[];
  /** What is suspect in one packet. */
  judge(group: number): Suspicion[];
  /** How well these sheets of one packet fit every list, the best first; the evidence is of those that a list scores. */
  fits(group: number, ids: readonly number[]): Fit[];
}

interface Row {
  id: number;
  list: number;
  /** a bit for what is marked at each question, 0 for nothing to learn from */
  marks: Int32Array;
  /** questions of the lists that have an answer; 0 also where the answers say nothing */
  answered: number;
}

/** How many bits of a word are set: in pairs, in fours, in eights, then all at once. */
const ones = (word: number): number => {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
};

/** Gets sheets ready to be judged, against every list that could apply to any of them. */
export function detector(lists: readonly KeyList[], { alarm = ALARM }: { alarm?: number } = {}): Detector {
  const questions = lists.reduce((most, { accepted }) => Math.max(most, accepted.length), 0);
  // Symbols of each question: what lists accept first, then what is met on sheets.
  const symbols: Map<string, number>[] = Array.from({ length: questions }, () => new Map());
  const bit = (question: number, text: string): number => {
    const known = symbols[question]!;
    let index = known.get(text);
    if (index === undefined) {
      index = Math.min(known.size, MOST_SYMBOLS);
      known.set(text, index);
    }
    return 1 << index;
  };
  // What a value is worth: a lookup, since a batch asks millions of times. Several marks are an answer only where a list
  // asks for them.
  const marked: Map<string, number>[] = Array.from({ length: questions }, () => new Map([['', 0]]));
  const markOf = (question: number, value: string): number => {
    const known = marked[question]!;
    let mark = known.get(value);
    if (mark === undefined) {
      mark = symbols[question]!.has(value) || !/[|?]/.test(value) ? bit(question, value) : 0;
      known.set(value, mark);
    }
    return mark;
  };
  const masks = lists.map(({ accepted }) => {
    const mask = new Int32Array(questions);
    accepted.forEach((options, q) => {
      for (const option of options ?? []) mask[q] = mask[q]! | bit(q, option);
    });
    return mask;
  });
  /** Symbols that a list accepts at some question: their bits come first. */
  const listed = symbols.reduce((most, known) => Math.max(most, Math.min(known.size, MOST_SYMBOLS + 1)), 0);
  const letters = new Map(
    [...new Set(lists.flatMap(({ accepted }) => accepted.flatMap((options) => options ?? [])))]
      .sort()
      .map((letter, i) => [letter, i]),
  );
  const options = Math.max(2, letters.size);
  /** How often the commonest step from one answer to the next is taken, 0 to 1. */
  const steadiness = (values: Iterable<string>): number => {
    const steps = new Int32Array(options);
    let [last, n] = [-1, 0];
    for (const value of values) {
      const letter = letters.get(value);
      if (letter === undefined) continue;
      if (last >= 0) {
        n++;
        const step = (letter - last + options) % options;
        steps[step] = steps[step]! + 1;
      }
      last = letter;
    }
    return n === 0 ? 0 : Math.max(...steps) / n;
  };
  const pattern =
    PATTERN + Math.max(0, ...lists.map(({ accepted }) => steadiness(accepted.map((own) => own?.[0] ?? ''))));

  const packets = new Map<number, Row[]>();
  // How often each symbol was marked, by list in use: question-major, the totals over all packets.
  const width = MOST_SYMBOLS + 1;
  const totals = lists.map(() => new Int32Array(questions * width));
  const count = (into: Int32Array, marks: Int32Array, by: 1 | -1): void => {
    for (let q = 0; q < questions; q++) {
      const mark = marks[q]!;
      if (mark === 0) continue;
      const at = q * width + 31 - Math.clz32(mark);
      into[at] = into[at]! + by;
    }
  };
  let all = 0;
  const strata = new Set<string>();
  const add = ({ id, group, list, values }: FitSheet): void => {
    const marks = new Int32Array(questions);
    const upTo = Math.min(questions, values.length);
    let answered = 0;
    for (let q = 0; q < upTo; q++) {
      marks[q] = markOf(q, values[q] ?? '');
      if (marks[q] !== 0) answered++;
    }
    // such a sheet stays in its packet, and says nothing
    if (steadiness(values.map((value) => value ?? '')) > pattern) {
      marks.fill(0);
      answered = 0;
    }
    const row = { id, list, marks, answered };
    const packet = packets.get(group);
    if (packet) packet.push(row);
    else packets.set(group, [row]);
    if (list < 0) return;
    all++;
    strata.add(`${group} ${list}`);
    count(totals[list]!, marks, 1);
  };
  const others = Math.max(1, lists.length - 1);
  /** Evidence that is enough when so many lists of so many packets, or sheets, are looked at. */
  const enough = (judged: number): number => Math.log((judged * others) / alarm);

  // Every sheet meets every list, and a big batch has hundreds of them: so 32 questions are the bits of one word, in a row of
  // words for each symbol that a list accepts. What is met on sheets alone matches none.
  const words = Math.ceil(questions / 32);
  /** @param marks a bit a symbol, by question. @returns words: of the first 32 questions each symbol's, then of the next */
  const wordsOf = (marks: Int32Array): Int32Array => {
    const found = new Int32Array(words * listed);
    marks.forEach((mark, q) => {
      for (let symbol = 0; symbol < listed; symbol++) {
        const at = (q >>> 5) * listed + symbol;
        if ((mark & (1 << symbol)) !== 0) found[at] = found[at]! | (1 << (q & 31));
      }
    });
    return found;
  };
  /** On which questions of a word two have a symbol in common. */
  const common = (one: Int32Array, other: Int32Array, word: number): number => {
    let found = 0;
    for (let at = word * listed; at < (word + 1) * listed; at++) found |= one[at]! & other[at]!;
    return found;
  };
  const accepting = masks.map(wordsOf);
  /** On which questions of a word a list says something. */
  const said = accepting.map((list) => Int32Array.from({ length: words }, (_, word) => common(list, list, word)));

  /** By how many answers more each sheet matches `better` than the list in use, on questions where both say something. */
  const aheadOf = (rows: readonly Row[], list: number): ((better: number) => Int32Array) => {
    const sheets = rows.map(({ marks }) => {
      const marked = wordsOf(marks);
      return { marked, matched: said[list]!.map((_, word) => common(marked, accepting[list]!, word)) };
    });
    const ahead = new Int32Array(rows.length);
    return (better) => {
      const [other, saidByOther] = [accepting[better]!, said[better]!];
      const both = said[list]!.map((own, word) => own & saidByOther[word]!);
      for (let i = 0; i < sheets.length; i++) {
        const { marked, matched } = sheets[i]!;
        let n = 0;
        for (let word = 0; word < words; word++) {
          n += ones(common(marked, other, word) & both[word]!) - ones(matched[word]! & both[word]!);
        }
        ahead[i] = n;
      }
      return ahead;
    };
  };

  /** What a list's questions are like, learnt from all packets but this one. */
  interface Learnt {
    /** false: nothing is known of its questions */
    credible: boolean;
    easiness: Float64Array;
    popular: (q: number, symbol: number) => number;
  }
  const learn = (list: number, rows: readonly Row[]): Learnt => {
    const counts = totals[list]!.slice();
    for (const row of rows) if (row.list === list) count(counts, row.marks, -1);
    const mask = masks[list]!;
    const right = new Float64Array(questions);
    const answered = new Float64Array(questions);
    let [sumRight, sumAnswered] = [0, 0];
    for (let q = 0; q < questions; q++) {
      for (let s = 0; s < width; s++) {
        const n = counts[q * width + s]!;
        answered[q] = answered[q]! + n;
        if ((mask[q]! & (1 << s)) !== 0) right[q] = right[q]! + n;
      }
      if (mask[q] === 0) continue;
      sumRight += right[q]!;
      sumAnswered += answered[q]!;
    }
    const easiness = new Float64Array(questions);
    const mean = sumAnswered > 0 ? sumRight / sumAnswered : 0;
    const credible = mean > 1 / options + CREDIBLE;
    if (!credible) return { credible, easiness, popular: () => 1 };
    {
      const logit = (share: number): number => {
        const known = Math.min(0.97, Math.max(0.03, (share - 1 / options) / (1 - 1 / options)));
        return Math.log(known / (1 - known));
      };
      for (let q = 0; q < questions; q++) {
        easiness[q] = logit((right[q]! + SMOOTH * mean) / (answered[q]! + SMOOTH)) - logit(mean);
      }
    }
    const even = 1 / Math.max(1, options - 1);
    return {
      credible,
      easiness,
      popular: (q, symbol) => {
        const wrong = answered[q]! - right[q]!;
        return (counts[q * width + symbol]! + SMOOTH * even) / (wrong + SMOOTH) / even;
      },
    };
  };

  /** log P(marks | this list), θ integrated out, over the questions on which both lists say something. */
  const likelihood = (
    marks: Int32Array,
    list: number,
    other: number,
    { easiness, popular }: Learnt,
    liking: (q: number, symbol: number) => number,
  ): number => {
    const [mask, against] = [masks[list]!, masks[other]!];
    const sum = new Float64Array(ABILITIES.length);
    for (let q = 0; q < questions; q++) {
      const mark = marks[q]!;
      const accepted = mask[q]!;
      if (mark === 0 || accepted === 0 || against[q] === 0 || accepted === against[q]) continue;
      // A guess: this sheet's liking for the letter, times how popular it is here; an accepted one counts as average.
      const known = symbols[q]!.size;
      let [total, hit, own] = [0, 0, 0];
      for (let s = 0; s < known && s < width; s++) {
        const right = (accepted & (1 << s)) !== 0;
        const weight = liking(q, s) * (right ? 1 : popular(q, s));
        total += weight;
        if (right) hit++;
        if ((mark & (1 << s)) !== 0) own = weight;
      }
      const guess = own / total;
      const matched = (mark & accepted) !== 0;
      for (let t = 0; t < sum.length; t++) {
        const knows = 1 / (1 + Math.exp(-ABILITIES[t]! - easiness[q]!));
        sum[t] = sum[t]! + Math.log((matched ? knows / hit : 0) + (1 - knows) * guess);
      }
    }
    let most = -Infinity;
    for (let t = 0; t < sum.length; t++) most = Math.max(most, sum[t]! + PRIOR[t]!);
    let total = 0;
    for (let t = 0; t < sum.length; t++) total += Math.exp(sum[t]! + PRIOR[t]! - most);
    return most + Math.log(total);
  };

  /** This sheet's liking for a letter, from all it has marked: letters are the same from question to question. */
  let named: string[][] | null = null;
  const likings = (marks: Int32Array): ((q: number, symbol: number) => number) => {
    named ??= symbols.map((known) => [...known.keys()]);
    const names = named;
    const n = new Map<string, number>();
    for (let q = 0; q < questions; q++) {
      const text = marks[q] === 0 ? undefined : names[q]![31 - Math.clz32(marks[q]!)];
      if (text !== undefined) n.set(text, (n.get(text) ?? 0) + 1);
    }
    return (q, symbol) => (n.get(names[q]?.[symbol] ?? '') ?? 0) + LETTERS;
  };

  /** Log Bayes factor of `better` against `list` for one sheet. */
  const evidenceOf = (row: Row, list: number, better: number, learnt: (list: number) => Learnt): number => {
    const liking = likings(row.marks);
    return (
      likelihood(row.marks, better, list, learnt(better), liking) -
      likelihood(row.marks, list, better, learnt(list), liking)
    );
  };
  const learner = (rows: readonly Row[]) => {
    const cache = new Map<number, Learnt>();
    return (list: number): Learnt => {
      let learnt = cache.get(list);
      if (!learnt) {
        learnt = learn(list, rows);
        cache.set(list, learnt);
      }
      return learnt;
    };
  };
  const inUse = (rows: readonly Row[]): number[] => [
    ...new Set(rows.map(({ list }) => list).filter((list) => list >= 0)),
  ];

  return {
    add,
    groups: () => [...packets.keys()],
    judge(group) {
      const rows = packets.get(group) ?? [];
      const learnt = learner(rows);
      const found: Suspicion[] = [];
      const [beyond, beyondSheet] = [enough(strata.size), enough(all)];
      for (const list of inUse(rows)) {
        const stratum = rows.filter((row) => row.list === list);
        const blind = !learnt(list).credible;
        const answered = stratum.reduce((sum, { answered }) => sum + answered, 0);
        const aheadBy = aheadOf(stratum, list);
        let best: Suspicion | null = null;
        const alone = new Map<number, { better: number; evidence: number }>();
        for (let better = 0; better < lists.length; better++) {
          if (better === list) continue;
          let lead = 0;
          const leading: Row[] = [];
          const ahead = aheadBy(better);
          for (const [i, row] of stratum.entries()) {
            lead += ahead[i]!;
            if (ahead[i]! > BLIND_LEAD * row.answered) leading.push(row);
          }
          if (lead > (blind ? BLIND_LEAD : LEAD) * answered) {
            const evidence = stratum.reduce((sum, row) => sum + evidenceOf(row, list, better, learnt), 0);
            if (evidence > beyond && (best === null || evidence > best.evidence)) {
              const ids = stratum.map(({ id }) => id);
              best = { group, list, better, evidence, sheets: ids, whole_group: true };
            }
          }
          for (const row of leading) {
            const evidence = evidenceOf(row, list, better, learnt);
            if (evidence > beyondSheet && evidence > (alone.get(row.id)?.evidence ?? 0)) {
              alone.set(row.id, { better, evidence });
            }
          }
        }
        // One strange sheet can carry a packet's evidence: where few speak for themselves, the rest has to do without them.
        const other = best?.better;
        if (
          other !== undefined &&
          2 * [...alone.values()].filter(({ better }) => better === other).length < stratum.length
        ) {
          const rest = stratum.filter(({ id }) => !alone.has(id));
          if (rest.reduce((sum, row) => sum + evidenceOf(row, list, other, learnt), 0) <= beyond) best = null;
        }
        if (best && stratum.length > 1) found.push(best);
        else {
          for (const [id, { better, evidence }] of alone) {
            found.push({ group, list, better, evidence, sheets: [id], whole_group: false });
          }
        }
      }
      return found;
    },
    fits(group, ids) {
      const rows = packets.get(group) ?? [];
      const learnt = learner(rows);
      const wanted = new Set(ids);
      const some = rows.filter(({ id }) => wanted.has(id));
      return lists
        .map((_, other): Fit => {
          const mask = masks[other]!;
          let [matched, answered, evidence] = [0, 0, 0];
          for (const { marks } of some) {
            for (let q = 0; q < questions; q++) {
              if (mask[q] === 0 || marks[q] === 0) continue;
              answered++;
              if ((marks[q]! & mask[q]!) !== 0) matched++;
            }
          }
          for (const row of some) {
            if (row.list >= 0 && row.list !== other) evidence += evidenceOf(row, row.list, other, learnt);
          }
          return { list: other, sheets: some.length, matched, answered, evidence: Math.round(evidence * 10) / 10 };
        })
        .sort((a, b) => b.evidence - a.evidence || b.matched - a.matched);
    },
  };
}
