// The list of tasks: the stored rows and what was changed here.
import { useUser } from '../../app.ts';
import { taskPath } from '../../route.ts';
import { useLive } from '../../store.ts';
import { count } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { type Column, List } from '../../ui/list.tsx';
import { Empty, ScreenTitle } from '../../ui/parts.tsx';
import { useLook } from '../look.tsx';
import { PendingPill } from '../pending.tsx';
import { TrueAt } from '../true-at.tsx';
import { readTasks, type TaskView } from './view.ts';
import { taskWords } from './words.ts';

export const TasksScreen = () => {
  const t = taskWords();
  const user = useUser();
  useLook('tasks');
  const stored = useLive('tasks', ['tasks', 'overlays', 'outbox', 'pulls'], async () => ({
    views: await readTasks(user),
    pulled: (await user.get('pulls', 'tasks'))?.true_at,
  }));
  const views = stored?.views ?? [];
  const columns: Column<TaskView>[] = [
    {
      head: t.task,
      cell: ({ task }) => (
        <>
          <a class="row-link digits" href={taskPath(task.task_id)}>
            {task.task_id}
          </a>
          <span class="quiet-line">
            <bdi>{task.exam}</bdi>
          </span>
        </>
      ),
      compare: (a, b) => a.task.task_id.localeCompare(b.task.task_id),
    },
    {
      head: t.centre,
      cell: ({ task }) => <bdi>{task.centre}</bdi>,
      compare: (a, b) => a.task.centre.localeCompare(b.task.centre),
    },
    {
      head: t.key,
      cell: ({ task, edits }) => (
        <span class="pills">
          {task.key_id === null ? <span class="quiet-line inline">{t.noKey}</span> : <bdi>{task.key_id}</bdi>}
          <PendingPill edits={edits} />
        </span>
      ),
    },
    { head: t.packet, from: 'wide', cell: ({ task }) => <bdi>{task.packet ?? '–'}</bdi> },
    {
      head: t.expected,
      from: 'desk',
      number: true,
      cell: ({ task }) => (task.expected_count === null ? '–' : count(task.expected_count)),
    },
  ];
  return (
    <>
      <ScreenTitle title={t.title}>
        <a class="button primary" href="/new-task">
          <Icon name="add" />
          {t.newTask}
        </a>
      </ScreenTitle>
      <TrueAt at={stored?.pulled} />
      {stored && views.length === 0 && (
        <Empty title={stored.pulled ? t.none : t.nothingKept}>
          <p>{t.noneWords}</p>
        </Empty>
      )}
      {views.length > 0 && (
        <List
          name="tasks"
          rows={views}
          columns={columns}
          id={({ task }) => task.task_id}
          texts={({ task }) => [task.task_id, task.exam, task.centre, task.packet, task.key_id]}
          find={t.find}
          noneFound={t.noneFound}
          mark="task"
          total={(n) => t.tasks(n)}
        />
      )}
    </>
  );
};
