// What no cover places and what could not be read: groups that are held until somebody says which task they belong to, and
// pages that failed. What is said here is a decision about the page that the group begins with; the server makes the groups.
import { useState } from 'preact/hooks';
import type { Role } from '../../../shared/protocol/auth.ts';
import type { GroupRow } from '../../../shared/protocol/batch.ts';
import { decided, rulings } from '../../../shared/review.ts';
import { pageOf, revOf } from '../../../shared/sheet-line.ts';
import { useUser } from '../../app.ts';
import { type DecidedBatch, type DecidedPage, decide } from '../../sync/decisions.ts';
import { isUnplaced } from '../../sync/held.ts';
import { TextField } from '../../ui/controls.tsx';
import { Icon } from '../../ui/icons.tsx';
import { Empty, Pill } from '../../ui/parts.tsx';
import { MakeTask } from '../held.tsx';
import type { ReviewData } from './read.ts';
import { reviewWords } from './words.ts';

interface GroupLine {
  batch: DecidedBatch;
  group: GroupRow;
  /** the page that it begins with */
  first: DecidedPage;
  /** index of the last */
  last: number;
  index: number;
  /** for somebody; false: it is settled, and shown so that this can be taken back */
  waits: boolean;
}

/** Groups that wait for somebody, and those that somebody has settled. */
export const groupRows = (data: ReviewData): GroupLine[] =>
  data.batches.flatMap((batch) => {
    const byPage = new Map(batch.pages.map((page) => [pageOf(page.line), page]));
    const missing = data.held.get(batch.batch)?.tasks ?? [];
    return batch.groups.flatMap((group, index) => {
      const first = byPage.get(group.first_page);
      if (!first) return [];
      const last = (batch.groups[index + 1]?.first_page ?? (batch.pages.at(-1)?.line[0] ?? 0) + 1) - 1;
      const said = decided(first.ruled, 'opens') !== null;
      const taskless = group.state === 'no-task' && missing.some(({ task_id }) => task_id === group.task_id);
      const waits = !said && (isUnplaced(group) || taskless);
      const shown = waits || group.state === 'set-aside' || group.settled !== null || saidHere(first) !== undefined;
      return shown ? [{ batch, group, first, last, index, waits }] : [];
    });
  });

/** Pages that could not be read and that nobody has looked at. */
export const failedPages = (data: ReviewData): DecidedPage[] =>
  data.batches.flatMap(({ pages }) =>
    pages.filter(({ line, ruled }) => line[2] === 'failed' && decided(ruled, 'void') !== 'true'),
  );

export const PagesPanel = ({ data, role }: { data: ReviewData; role: Role }) => {
  const t = reviewWords();
  const rows = groupRows(data);
  const failed = failedPages(data);
  if (rows.length === 0 && failed.length === 0) return <Empty title={t.pagesNone} />;
  return (
    <>
      {rows.length > 0 && (
        <section class="card" aria-labelledby="held-title">
          <h2 id="held-title" class="card-title">
            {t.groupsHeld}
          </h2>
          <ul class="held-groups">
            {rows.map((row) => (
              <HeldGroup key={row.first.sheet_id} {...row} tasks={data.tasks} role={role} />
            ))}
          </ul>
        </section>
      )}
      {failed.length > 0 && (
        <section class="card" aria-labelledby="failed-title">
          <h2 id="failed-title" class="card-title">
            {t.failedPages}
          </h2>
          <ul class="held-groups">
            {failed.map((page) => (
              <FailedPage key={page.sheet_id} page={page} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
};

/** What was said on this device of what begins at a page; undefined: nothing that the server has not shown yet. */
const saidHere = (page: DecidedPage): string | null | undefined =>
  page.pending.length === 0 ? undefined : rulings(page.pending).get('opens')?.value;

function saidWord(value: string): string {
  const t = reviewWords();
  if (value === 'join') return t.saidJoin;
  return value === 'set-aside' ? t.saidAside : t.saidTask({ task: value });
}

function stateWord({ state, task_id }: GroupRow): string | null {
  const t = reviewWords();
  switch (state) {
    case 'no-cover':
      return t.noCover;
    case 'unreadable-cover':
      return t.unreadableCover;
    case 'maybe-cover':
      return t.maybeCover;
    case 'no-task':
      return t.noTask({ task: task_id ?? '' });
    case 'set-aside':
      return t.saidAside;
    default:
      return null;
  }
}

const HeldGroup = ({
  batch,
  group,
  first,
  last,
  index,
  waits,
  tasks,
  role,
}: GroupLine & { tasks: readonly string[]; role: Role }) => {
  const t = reviewWords();
  const user = useUser();
  const [task, setTask] = useState('');
  const [problem, setProblem] = useState<string>();
  const said = decided(first.ruled, 'opens');
  const id = `task-${first.sheet_id}`;
  const say = (value: string | null) =>
    decide(user, batch.batch, [{ sheet_id: first.sheet_id, field: 'opens', value, base_rev: revOf(first.line) }]);
  const state = stateWord(group);
  return (
    <li data-group={group.first_page} data-state={group.state}>
      <div class="held-head">
        <b>{t.groupLine(group.sheets, { from: group.first_page + 1, to: last + 1 })}</b>
        {said !== null && (
          <Pill tone="ok" icon="done">
            {saidWord(said)}
          </Pill>
        )}
        {said === null && state !== null && (
          <Pill tone="doubt" icon="alert">
            {state}
          </Pill>
        )}
        {saidHere(first) !== undefined && (
          <Pill tone="wait" icon="clock">
            {first.unsent ? t.notSent : t.sent}
          </Pill>
        )}
      </div>
      {said === null ? (
        <form
          class="held-say"
          onSubmit={(event) => {
            event.preventDefault();
            if (/^\d{8}$/.test(task)) void say(task);
            else setProblem(t.badTask);
          }}
        >
          <TextField
            id={id}
            label={t.giveTask}
            hint={t.taskHint}
            problem={problem}
            inputMode="numeric"
            autocomplete="off"
            list={`${id}-known`}
            value={task}
            onInput={(event) => {
              setTask(event.currentTarget.value.trim());
              setProblem(undefined);
            }}
          />
          <datalist id={`${id}-known`}>
            {tasks.map((known) => (
              <option key={known} value={known} />
            ))}
          </datalist>
          <div class="review-actions">
            <button type="submit" class="button primary">
              {t.give}
            </button>
            {index > 0 && (
              <button type="button" class="button" onClick={() => say('join')}>
                {t.join}
              </button>
            )}
            <button type="button" class="button" onClick={() => say('set-aside')}>
              {t.setAside}
            </button>
            {waits && group.state === 'no-task' && group.task_id !== null && (
              <MakeTask task={group.task_id} role={role} />
            )}
          </div>
        </form>
      ) : (
        <button type="button" class="button" onClick={() => say(null)}>
          {t.takeBack}
        </button>
      )}
    </li>
  );
};

const FailedPage = ({ page }: { page: DecidedPage }) => {
  const t = reviewWords();
  const user = useUser();
  return (
    <li data-failed={pageOf(page.line)}>
      <div class="held-head">
        <b>{t.page({ n: pageOf(page.line) + 1 })}</b>
        <bdi class="quiet-line inline">{page.line[1]}</bdi>
      </div>
      <p class="hint" dir="auto">
        {page.line[6]}
      </p>
      <button
        type="button"
        class="button"
        onClick={() =>
          decide(user, page.batch, [
            { sheet_id: page.sheet_id, field: 'void', value: 'true', base_rev: revOf(page.line) },
          ])
        }
      >
        <Icon name="done" />
        {t.seen}
      </button>
    </li>
  );
};
