// Simulated exams, for what is to be shown of the wrong-key detector: booklets with the same questions in other orders,
// candidates of every kind in packets, and packets that go by the wrong booklet's list.
import type { KeyContent } from '../protocol/key.ts';
import { type Random, seeded } from './random.ts';

export interface ExamSize {
  seed: number;
  sheets: number;
  /** sheets a packet */
  packet: number;
  questions: number;
  booklets: number;
  /** mean ability in logits: 0 knows half of an average question, −2 an eighth */
  ability?: number;
  /** all sheets of a packet have one booklet, instead of booklets being dealt round */
  onePerPacket?: boolean;
}

export interface Candidate {
  packet: number;
  /** the booklet they really had */
  booklet: string;
  values: string[];
}

const LETTERS = ['A', 'B', 'C', 'D', 'E'];
const shuffled = <T>(list: readonly T[], random: Random): T[] => {
  const mixed = [...list];
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = random.int(i + 1);
    [mixed[i], mixed[j]] = [mixed[j]!, mixed[i]!];
  }
  return mixed;
};

/** Questions differ in difficulty and have wrong options of unequal lure; packets differ in ability; one candidate in
 *  fifty fills a pattern or one letter all the way, one in thirty gives up before the end. */
export function simulateExam(size: ExamSize): { key: KeyContent; candidates: Candidate[] } {
  const random = seeded(size.seed);
  const names = Array.from({ length: size.booklets }, (_, i) => String.fromCharCode(65 + i));
  const items = Array.from({ length: size.questions }, () => {
    const answer = random.pick(LETTERS);
    return {
      answer,
      easiness: random.normal(),
      lure: LETTERS.map((letter) => (letter === answer ? 0.7 : 0.2 + random.next() ** 3 * 3)),
    };
  });
  const orders = new Map(names.map((name) => [name, shuffled(items, random)]));
  const key: KeyContent = {
    answers: Object.fromEntries(names.map((name) => [name, orders.get(name)!.map(({ answer }) => answer)])),
    marks: { correct: 1, wrong: 0, blank: 0 },
  };
  const candidates: Candidate[] = [];
  let level = 0;
  for (let i = 0; i < size.sheets; i++) {
    const packet = Math.floor(i / size.packet);
    if (i % size.packet === 0) level = (size.ability ?? 0) + random.normal() * 0.5;
    const booklet = names[(size.onePerPacket ? packet : i) % names.length]!;
    const theta = level + random.normal();
    const manner = random.next();
    const start = random.int(5);
    const stops = random.chance(1 / 30) ? size.questions * random.between(0.5, 1) : size.questions;
    const values = orders.get(booklet)!.map(({ answer, easiness, lure }, q) => {
      if (q >= stops || random.chance(0.02)) return '';
      if (manner < 0.01) return LETTERS[start]!;
      if (manner < 0.02) return LETTERS[(start + q) % 5]!;
      if (random.chance(1 / (1 + Math.exp(-theta - easiness)))) return answer;
      let at = random.next() * lure.reduce((a, b) => a + b, 0);
      for (const [k, weight] of lure.entries()) {
        at -= weight;
        if (at < 0) return LETTERS[k]!;
      }
      return 'E';
    });
    candidates.push({ packet, booklet, values });
  }
  return { key, candidates };
}
