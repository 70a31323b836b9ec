// Centres and exams: the names that tasks, batches and users are scoped and sorted by.
import type { Centre, Exam } from '../../shared/protocol/user.ts';
import type { Database } from '../adapters/database.ts';
import { audit, by } from '../audit.ts';
import { visibleCentre, visibleExam, visibleTask } from './access.ts';
import type { User } from './sessions.ts';

export const listCentres = (db: Database, user: User): Promise<Centre[]> =>
  db.sql.selectFrom('centres').selectAll().where(visibleCentre(user)).orderBy('name').orderBy('centre_id').execute();

/** The exams a user may know of, each with how many tasks of it they may see. */
export async function listExams(db: Database, user: User): Promise<(Exam & { tasks: number })[]> {
  const exams = await db.sql
    .selectFrom('exams')
    .selectAll()
    .where(visibleExam(user))
    .orderBy('name')
    .orderBy('exam_id')
    .execute();
  const counts = await db.sql
    .selectFrom('tasks')
    .select(['exam_id', (eb) => eb.fn.countAll<number>().as('n')])
    .where(visibleTask(user))
    .groupBy('exam_id')
    .execute();
  const tasks = new Map(counts.map(({ exam_id, n }) => [exam_id, Number(n)]));
  return exams.map((exam) => ({ ...exam, tasks: tasks.get(exam.exam_id) ?? 0 }));
}

/** Makes a centre, or gives it another name. */
export async function saveCentre(db: Database, user: User, centre: Centre): Promise<Centre> {
  await db.write(async (tx) => {
    const before = await tx
      .selectFrom('centres')
      .selectAll()
      .where('centre_id', '=', centre.centre_id)
      .executeTakeFirst();
    if (before?.name === centre.name) return;
    await db.upsert(tx, 'centres', [centre]);
    const subject = `centre:${centre.centre_id}`;
    await audit(db, tx, { ...by(user), action: 'centre.save', subject, before, after: centre });
  });
  return centre;
}

/** Makes an exam, or gives it another name. */
export async function saveExam(db: Database, user: User, exam: Exam): Promise<Exam> {
  await db.write(async (tx) => {
    const before = await tx.selectFrom('exams').selectAll().where('exam_id', '=', exam.exam_id).executeTakeFirst();
    if (before?.name === exam.name) return;
    await db.upsert(tx, 'exams', [exam]);
    await audit(db, tx, { ...by(user), action: 'exam.save', subject: `exam:${exam.exam_id}`, before, after: exam });
  });
  return exam;
}
