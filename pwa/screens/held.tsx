// What waits for somebody before it can have a score, said the same on every screen: in a few words, or with the way to
// where it is settled.
import type { Role } from '../../shared/protocol/auth.ts';
import { groupsPath, newTaskPath } from '../route.ts';
import type { Held } from '../sync/held.ts';
import { mayKeepKeys, mayReview } from '../sync/office.ts';
import { listed } from '../ui/format.ts';
import { Icon } from '../ui/icons.tsx';
import { Banner } from '../ui/parts.tsx';
import { heldWords } from './held-words.ts';

/** "1 group without a task · task 87000231 does not exist yet" */
export function heldLine({ groups, tasks }: Held): string {
  const t = heldWords();
  const [task] = tasks;
  const missing = tasks.length === 1 && task ? t.task({ task: task.task_id }) : t.tasks(tasks.length);
  return listed([groups > 0 ? t.groups(groups) : '', tasks.length > 0 ? missing : '']);
}

export const MakeTask = ({ task, role, quiet = false }: { task: string; role: Role; quiet?: boolean }) =>
  mayKeepKeys(role) ? (
    <a class={`button ${quiet ? 'quiet' : ''}`} href={newTaskPath(task)} aria-label={heldWords().makeNamed({ task })}>
      <Icon name="add" />
      {heldWords().make}
    </a>
  ) : null;

/** A batch of a whole exam may have hundreds. */
const MOST = 3;

export const HeldBanners = ({ batch, held, role }: { batch: string; held: Held; role: Role }) => {
  const t = heldWords();
  const more = held.tasks.length - MOST;
  return (
    <>
      {held.groups > 0 && (
        <Banner
          tone="doubt"
          icon="alert"
          actions={
            mayReview(role) && (
              <a class="button primary" href={groupsPath(batch)}>
                {t.place}
              </a>
            )
          }
        >
          {t.groupsWait(held.groups)}
        </Banner>
      )}
      {held.tasks.slice(0, MOST).map(({ task_id, sheets }) => (
        <Banner key={task_id} tone="doubt" icon="alert" actions={<MakeTask task={task_id} role={role} />}>
          {t.taskWaits(sheets, { task: task_id })}
        </Banner>
      ))}
      {more > 0 && (
        <Banner tone="doubt" icon="alert">
          {t.moreTasks(more)}
        </Banner>
      )}
    </>
  );
};
