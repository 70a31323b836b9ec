// What the screens show of a task: the server's, under what was changed here; and what is wrong with one that is typed.
import type { TaskAnswer } from '../../../shared/protocol/key.ts';
import { taskStamp } from '../../../shared/protocol/sync.ts';
import type { Edit, TaskFields, UserDb } from '../../db.ts';
import { taskSubject } from '../../sync/outbox.ts';
import { taskWords } from './words.ts';

export interface TaskView {
  task: TaskFields;
  /** the server's, null when it has none */
  stored: TaskAnswer | null;
  /** of what the server has: an edit made now begins from there */
  stamp: string | null;
  edits: Edit[];
}

export async function readTasks(user: UserDb): Promise<TaskView[]> {
  const tx = user.transaction(['tasks', 'overlays', 'outbox']);
  const kept = await tx.objectStore('tasks').getAll();
  const overlays = await tx.objectStore('overlays').getAll();
  const edits = await tx.objectStore('outbox').getAll();
  const changed = new Map(
    overlays.flatMap(({ change }) => (change.kind === 'task' ? [[change.task.task_id, change.task] as const] : [])),
  );
  const stored = new Map(kept.map((task) => [task.task_id, task]));
  return [...new Set([...stored.keys(), ...changed.keys()])].sort().flatMap((id) => {
    const server = stored.get(id) ?? null;
    const task = changed.get(id) ?? server;
    const own = edits.filter(({ subject }) => subject === taskSubject(id));
    return task ? [{ task, stored: server, stamp: server && taskStamp(server), edits: own }] : [];
  });
}

export interface TaskForm {
  task_id: string;
  exam: string;
  centre: string;
  packet: string;
  template_id: string;
  key_id: string;
  expected_count: string;
}

export const formOf = (task: TaskFields | null): TaskForm => ({
  task_id: task?.task_id ?? '',
  exam: task?.exam ?? '',
  centre: task?.centre ?? '',
  packet: task?.packet ?? '',
  template_id: task?.template_id ?? '',
  key_id: task?.key_id ?? '',
  expected_count: task?.expected_count === null || task === null ? '' : String(task.expected_count),
});

export type TaskComplaints = Partial<Record<keyof TaskForm, string>>;

/** The task that a form says, or what is wrong with it, by field. */
export function taskOf(form: TaskForm): { task: TaskFields } | { complaints: TaskComplaints } {
  const t = taskWords();
  const complaints: TaskComplaints = {};
  const text = (field: keyof TaskForm): string => form[field].trim();
  if (!/^\d{8}$/.test(text('task_id'))) complaints.task_id = t.badId;
  if (text('exam') === '') complaints.exam = t.nameExam;
  if (text('centre') === '') complaints.centre = t.nameCentre;
  if (text('template_id') === '') complaints.template_id = t.chooseSheet;
  if (!/^\d{0,7}$/.test(text('expected_count'))) complaints.expected_count = t.wholeNumber;
  if (Object.keys(complaints).length > 0) return { complaints };
  return {
    task: {
      task_id: text('task_id'),
      exam: text('exam'),
      centre: text('centre'),
      packet: text('packet') || null,
      template_id: text('template_id'),
      key_id: text('key_id') || null,
      expected_count: text('expected_count') === '' ? null : Number(text('expected_count')),
    },
  };
}

const NAMES = {
  exam: 'fieldExam',
  centre: 'fieldCentre',
  packet: 'fieldPacket',
  template_id: 'fieldSheet',
  key_id: 'fieldKey',
  expected_count: 'fieldExpected',
} as const satisfies Record<keyof Omit<TaskFields, 'task_id'>, string>;

/** `packet P-17, not P-18` for each field in which the two differ. */
export function differencesOf(ours: TaskFields, theirs: TaskFields): string[] {
  return (Object.keys(NAMES) as (keyof typeof NAMES)[])
    .filter((field) => ours[field] !== theirs[field])
    .map((field) => {
      const t = taskWords();
      return t.differs({ field: t[NAMES[field]], ours: ours[field] ?? t.nothing, theirs: theirs[field] ?? t.nothing });
    });
}
