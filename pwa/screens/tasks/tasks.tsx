// The list of tasks: the stored rows and what was changed here.
import { useState } from 'preact/hooks';
import { PAGE_SIZE } from '../../../shared/protocol/batch.ts';
import { useUser } from '../../app.ts';
import { go, taskPath } from '../../route.ts';
import { useLive } from '../../store.ts';
import { count, plural } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Empty, ScreenTitle } from '../../ui/parts.tsx';
import { useLook } from '../look.tsx';
import { PendingPill } from '../pending.tsx';
import { TrueAt } from '../true-at.tsx';
import { readTasks, type TaskView } from './view.ts';

export const TasksScreen = () => {
  const user = useUser();
  const [search, setSearch] = useState('');
  const [page, setPage] = useState(1);
  useLook('tasks');
  const stored = useLive('tasks', ['tasks', 'overlays', 'outbox', 'pulls'], async () => ({
    views: await readTasks(user),
    pulled: (await user.get('pulls', 'tasks'))?.true_at,
  }));
  const views = stored?.views ?? [];
  const words = search.trim().toLowerCase();
  const found = views.filter(({ task }) =>
    [task.task_id, task.exam, task.centre, task.packet, task.key_id].some((text) =>
      text?.toLowerCase().includes(words),
    ),
  );
  const pages = Math.max(1, Math.ceil(found.length / PAGE_SIZE));
  const shown = found.slice((page - 1) * PAGE_SIZE, page * PAGE_SIZE);
  return (
    <>
      <ScreenTitle title="Tasks">
        <a class="button primary" href="/new-task">
          <Icon name="add" />
          New task
        </a>
      </ScreenTitle>
      <TrueAt at={stored?.pulled} />
      {stored && views.length === 0 && (
        <Empty title={stored.pulled ? 'No tasks yet.' : 'Nothing is kept on this tablet yet.'}>
          <p>A task says which exam, centre, sheet and answer key the 8 digits on a cover stand for.</p>
        </Empty>
      )}
      {views.length > 0 && (
        <>
          <div class="field search">
            <label for="search">Find a task</label>
            <input
              id="search"
              type="search"
              autocomplete="off"
              value={search}
              onInput={(event) => {
                setSearch(event.currentTarget.value);
                setPage(1);
              }}
            />
          </div>
          <div class="card table-card">
            <table class="table batches">
              <thead>
                <tr>
                  <th scope="col">Task</th>
                  <th scope="col">Centre</th>
                  <th scope="col">Answer key</th>
                  <th scope="col" class="wide-only">
                    Packet
                  </th>
                  <th scope="col" class="number desk-only">
                    Sheets expected
                  </th>
                </tr>
              </thead>
              <tbody>
                {shown.map((view) => (
                  <TaskLine key={view.task.task_id} view={view} />
                ))}
              </tbody>
            </table>
            {found.length === 0 && <p class="pad table-none">No task has that in it.</p>}
          </div>
          {pages > 1 && (
            <nav class="pager" aria-label="Pages">
              <button type="button" class="button" disabled={page <= 1} onClick={() => setPage(page - 1)}>
                Previous
              </button>
              <span>
                Page {page} of {pages} · {plural(found.length, 'task')}
              </span>
              <button type="button" class="button" disabled={page >= pages} onClick={() => setPage(page + 1)}>
                Next
              </button>
            </nav>
          )}
        </>
      )}
    </>
  );
};

const TaskLine = ({ view: { task, edits } }: { view: TaskView }) => (
  <tr
    class="line"
    data-task={task.task_id}
    onClick={(event) => {
      if (!(event.target as Element).closest('a')) go(taskPath(task.task_id));
    }}
  >
    <th scope="row">
      <a class="row-link digits" href={taskPath(task.task_id)}>
        {task.task_id}
      </a>
      <span class="quiet-line">{task.exam}</span>
    </th>
    <td>{task.centre}</td>
    <td>
      <span class="pills">
        {task.key_id ?? <span class="quiet-line inline">none yet</span>}
        <PendingPill edits={edits} />
      </span>
    </td>
    <td class="wide-only">{task.packet ?? '–'}</td>
    <td class="number desk-only">{task.expected_count === null ? '–' : count(task.expected_count)}</td>
  </tr>
);
