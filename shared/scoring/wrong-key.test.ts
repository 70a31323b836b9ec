// Swaps as they have happened, and exams in which nothing is wrong.
import { describe, expect, test } from 'vitest';
import { simulateExam } from '../corpus/candidates.ts';
import { detector, listsOf, type Suspicion } from './wrong-key.ts';

interface Case {
  seed: number;
  sheets: number;
  packet: number;
  questions: number;
  booklets: number;
  ability?: number;
  onePerPacket?: boolean;
  /** packets whose sheets go by the next booklet's list */
  swapped?: number[];
}

/** @returns what is suspect in the whole exam, with the packets of it */
function judge({ swapped = [], ...size }: Case): { found: Suspicion[]; packets: number[] } {
  const { key, candidates } = simulateExam(size);
  const lists = [...listsOf(key, (variant) => variant).values()];
  const at = new Map(lists.map(({ name }, i) => [name, i]));
  const judging = detector(lists);
  candidates.forEach(({ packet, booklet, values }, id) => {
    const own = at.get(booklet)!;
    const list = swapped.includes(packet) ? (own + 1) % lists.length : own;
    judging.add({ id, group: packet, list, values });
  });
  const found = judging.groups().flatMap((group) => judging.judge(group));
  return { found, packets: [...new Set(found.filter((one) => one.whole_group).map(({ group }) => group))] };
}

const enem = { sheets: 3000, packet: 30, questions: 90, booklets: 4 };

test('one packet of 30 in 3,000 sheets that goes by another booklet’s list is found, and no other', () => {
  for (const seed of [1, 2, 3]) {
    const { found, packets } = judge({ ...enem, seed, swapped: [41] });
    expect(packets).toEqual([41]);
    expect(new Set(found.map(({ group }) => group))).toEqual(new Set([41]));
    // and it is said which list is the right one
    expect(found.every(({ list, better }) => (better + 1) % 4 === list)).toBe(true);
  }
});

test('no false alarm over 100 clean exams of 3,000 sheets', () => {
  const alarms: number[] = [];
  for (let seed = 100; seed < 200; seed++) {
    const questions = [20, 45, 60, 90][seed % 4]!;
    const ability = [0, -1, -2, 1, -3][seed % 5]!;
    const packet = [30, 12, 3][seed % 3]!;
    const { found } = judge({
      seed,
      sheets: 3000,
      packet,
      questions,
      booklets: 4,
      ability,
      onePerPacket: seed % 2 === 0,
    });
    if (found.length > 0) alarms.push(seed);
  }
  expect(alarms).toEqual([]);
}, 120_000);

test('weak candidates in a small packet are found by what they have in common', () => {
  const weak = { seed: 7, sheets: 600, packet: 10, questions: 60, booklets: 4, ability: -1.5, onePerPacket: true };
  expect(judge({ ...weak, swapped: [20] }).packets).toEqual([20]);
});

test('a batch that is one packet, from which nothing can be learnt, is judged all the same', () => {
  const only = { seed: 8, sheets: 30, packet: 30, questions: 40, booklets: 2, onePerPacket: true };
  expect(judge({ ...only, swapped: [0] }).packets).toEqual([0]);
  expect(judge(only).found).toEqual([]);
});

test('when every packet of the exam is swapped, every packet is found', () => {
  const exam = { seed: 9, sheets: 300, packet: 30, questions: 60, booklets: 4 };
  const all = Array.from({ length: 10 }, (_, i) => i);
  expect(judge({ ...exam, swapped: all }).packets).toEqual(all);
});

test('a candidate who filled in the wrong booklet is found alone, and their packet stays', () => {
  const { key, candidates } = simulateExam({ ...enem, seed: 10, sheets: 300, ability: 1 });
  const lists = [...listsOf(key, (variant) => variant).values()];
  const judging = detector(lists);
  candidates.forEach(({ packet, booklet, values }, id) => {
    const own = lists.findIndex(({ name }) => name === booklet);
    judging.add({ id, group: packet, list: id === 77 ? (own + 1) % 4 : own, values });
  });
  const found = judging.groups().flatMap((group) => judging.judge(group));
  expect(found).toMatchObject([{ group: 2, sheets: [77], whole_group: false }]);
});

test('lists that differ in four questions only are told apart, wherever these are', () => {
  for (const last of [4, 32, 34, 64, 66]) {
    const own = Array.from({ length: last }, (_, q) => [['A', 'B', 'C', 'D', 'E'][(q * q + q) % 5]!]);
    const other = own.map((accepted, q) => (q < last - 4 ? accepted : [accepted[0] === 'E' ? 'A' : 'E']));
    const lists = [own, other].map((accepted, i) => ({ name: String(i), accepted }));
    const judging = detector(lists);
    for (let id = 0; id < 60; id++)
      judging.add({ id, group: id % 2, list: 0, values: lists[id % 2]!.accepted.map(([answer]) => answer!) });
    expect(judging.judge(0), `the last of ${last}`).toEqual([]);
    expect(judging.judge(1), `the last of ${last}`).toMatchObject([{ group: 1, better: 1, whole_group: true }]);
  }
});

describe('what says nothing is no evidence', () => {
  const key = (answers: string) => ({
    answers: { '': [...answers] },
    marks: { correct: 1, wrong: 0, blank: 0 },
  });
  const listed = ['BDACEADCBEDBECADBCAEDACEBDABCE', 'AAAAAAAAAAAAAAAAAAAABCDEBCDEBC'].map(
    (answers, i) => listsOf(key(answers), () => String(i)).get('')!,
  );
  const packet = (values: string[], sheets = 30) => {
    const judging = detector(listed);
    for (let id = 0; id < sheets; id++) judging.add({ id, group: 0, list: 0, values });
    return judging;
  };

  test('thirty blank sheets', () => {
    expect(packet(Array(30).fill('')).judge(0)).toEqual([]);
  });
  test('thirty sheets with A from top to bottom, though two thirds of another key are A', () => {
    expect(packet(Array(30).fill('A')).judge(0)).toEqual([]);
  });
  test('thirty sheets that go round and round', () => {
    expect(packet([...'ABCDEABCDEABCDEABCDEABCDEABCDE']).judge(0)).toEqual([]);
  });
  test('identical lists are no alternative to one another', () => {
    const judging = detector([listed[0]!, { ...listed[0]!, name: 'twin' }]);
    for (let id = 0; id < 30; id++) judging.add({ id, group: 0, list: 0, values: [...'ACEDBBADCEEADBC'] });
    expect(judging.judge(0)).toEqual([]);
  });
  test('but thirty sheets that are the other key', () => {
    expect(packet([...'AAAAAAAAAAAAAAAAAAAABCDEBCDEBC'], 2).judge(0)).toMatchObject([{ better: 1 }]);
  });
});

test('void and bonus questions and numbers with a tolerance are left out, several accepted ones are any of them', () => {
  const lists = listsOf(
    {
      answers: { A: ['A', 'B', '12', 'C|A B', ''] },
      marks: { correct: 1, wrong: 0, blank: 0 },
      items: [
        { variant: 'A', question: 1, kind: 'void' },
        { variant: 'A', question: 3, tolerance: 1 },
      ],
    },
    (variant) => `k ${variant}`,
  );
  expect(lists.get('A')).toEqual({ name: 'k A', accepted: [null, ['B'], null, ['A|C', 'B'], null] });
});
