// `bench -- wrongkey [--exams 20] [--markdown]`: what the wrong-key detector finds of simulated swaps, and what it alarms
// in where nothing is wrong, by packet, length of the exam, ability and threshold.
import { parseArgs } from 'node:util';
import { type ExamSize, simulateExam } from '../../shared/corpus/candidates.ts';
import { detector, listsOf } from '../../shared/scoring/wrong-key.ts';

const SHEETS = 600;
const PACKETS = [1, 3, 5, 10, 30];
const QUESTIONS = [20, 45, 90];
const ABILITIES = [1, 0, -1, -2];
const ALARMS = [1e2, 1, 1e-2, 1e-4, 1e-6, 1e-10, 1e-20];
const DEFAULT = 1e-4;

interface Tally {
  exams: number;
  found: number;
  /** clean packets, and those that were alarmed */
  clean: number;
  alarmed: number;
}

/** One exam in which one packet goes by the next booklet's list. */
function trial(size: ExamSize, alarm: number, tally: Tally): void {
  const { key, candidates } = simulateExam(size);
  const lists = [...listsOf(key, (variant) => variant).values()];
  const at = new Map(lists.map(({ name }, i) => [name, i]));
  const packets = Math.ceil(size.sheets / size.packet);
  const swapped = size.seed % packets;
  const judging = detector(lists, { alarm });
  candidates.forEach(({ packet, booklet, values }, id) => {
    const own = at.get(booklet) ?? 0;
    judging.add({ id, group: packet, list: packet === swapped ? (own + 1) % lists.length : own, values });
  });
  tally.exams++;
  tally.clean += packets - 1;
  for (const group of judging.groups()) {
    if (judging.judge(group).length === 0) continue;
    if (group === swapped) tally.found++;
    else tally.alarmed++;
  }
}

const empty = (): Tally => ({ exams: 0, found: 0, clean: 0, alarmed: 0 });

export async function run(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      exams: { type: 'string', default: '20' },
      markdown: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const exams = Number(values.exams);
  let seed = 1;
  const byCase = [];
  for (const questions of QUESTIONS) {
    for (const ability of ABILITIES) {
      for (const packet of PACKETS) {
        const tally = empty();
        for (let i = 0; i < exams; i++)
          trial({ seed: seed++, sheets: SHEETS, packet, questions, booklets: 4, ability }, DEFAULT, tally);
        byCase.push({ questions, ability, packet, ...tally });
      }
    }
    process.stderr.write(`${questions} questions done\n`);
  }
  const byAlarm = ALARMS.map((alarm) => {
    const tally = empty();
    // short exams, small packets and weak candidates, where the threshold matters
    for (let i = 0; i < exams * 5; i++)
      trial({ seed: 50_000 + i, sheets: SHEETS, packet: 10, questions: 20, booklets: 4, ability: -1 }, alarm, tally);
    return { alarm, ...tally };
  });
  if (values.markdown) process.stderr.write(markdown(byCase, byAlarm));
  const clean = byCase.reduce((sum, { clean }) => sum + clean, 0);
  const alarmed = byCase.reduce((sum, { alarmed }) => sum + alarmed, 0);
  return {
    swaps: byCase.length * exams,
    clean_packets: clean,
    false_alarms: alarmed,
    cases: byCase,
    thresholds: byAlarm,
  };
}

type Case = Tally & { questions: number; ability: number; packet: number };
const share = ({ found, exams }: Tally): string => `${Math.round((found / exams) * 100)} %`;

/** The tables of docs/wrong-key.md. */
function markdown(cases: readonly Case[], thresholds: readonly (Tally & { alarm: number })[]): string {
  const lines = [
    `| questions | ability | ${PACKETS.map((packet) => `packet of ${packet}`).join(' | ')} | false alarms |`,
    `|---|---|${'---|'.repeat(PACKETS.length + 1)}`,
  ];
  for (const questions of QUESTIONS) {
    for (const ability of ABILITIES) {
      const row = cases.filter((one) => one.questions === questions && one.ability === ability);
      const alarmed = row.reduce((sum, one) => sum + one.alarmed, 0);
      const clean = row.reduce((sum, one) => sum + one.clean, 0);
      lines.push(`| ${questions} | ${ability} | ${row.map(share).join(' | ')} | ${alarmed} of ${clean} |`);
    }
  }
  lines.push('', '| ALARM | found | false alarms |', '|---|---|---|');
  for (const one of thresholds)
    lines.push(`| ${one.alarm.toExponential(0)} | ${share(one)} | ${one.alarmed} of ${one.clean} |`);
  return `${lines.join('\n')}\n`;
}
