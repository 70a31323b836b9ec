// Words of what waits for somebody before it can have a score.
import { define, fill, plural } from '../ui/language.ts';

export const heldWords = define('held', {
  groups: plural({ one: '{n} group without a task', other: '{n} groups without a task' }),
  task: fill('task {task} does not exist yet'),
  tasks: plural({ one: '{n} task does not exist yet', other: '{n} tasks do not exist yet' }),
  groupsWait: plural({
    one: '{n} group has no task, and its sheets no score: somebody must say where they belong.',
    other: '{n} groups have no task, and their sheets no score: somebody must say where they belong.',
  }),
  taskWaits: plural({
    one: 'Task {task} does not exist yet: {n} sheet waits for it.',
    other: 'Task {task} does not exist yet: {n} sheets wait for it.',
  }),
  moreTasks: plural({
    one: '{n} more task does not exist yet; it stands below, among the groups.',
    other: '{n} more tasks do not exist yet; they stand below, among the groups.',
  }),
  place: 'Place groups',
  make: 'Make this task',
  makeNamed: fill('Make task {task}'),
  toGroups: 'Show groups',
  without: plural({
    one: '{n} sheet without a task has no score and is not counted.',
    other: '{n} sheets without a task have no score and are not counted.',
  }),
});
export type HeldWords = typeof heldWords;
