// One task, made or changed. Reads the stored one under what was changed here; saving writes an edit to the outbox.
import { useState } from 'preact/hooks';
import type { Me } from '../../../shared/protocol/auth.ts';
import { BUILT_IN } from '../../../shared/template/built-in.ts';
import { useUser } from '../../app.ts';
import { go, keyPath } from '../../route.ts';
import { useLive } from '../../store.ts';
import { record, taskSubject } from '../../sync/outbox.ts';
import { Icon } from '../../ui/icons.tsx';
import { Empty, ScreenTitle } from '../../ui/parts.tsx';
import { readKeys } from '../keys/view.ts';
import { useLook } from '../look.tsx';
import { Pending, PendingPill, refusalOf } from '../pending.tsx';
import { differencesOf, formOf, readTasks, type TaskComplaints, type TaskForm, type TaskView, taskOf } from './view.ts';

export const TaskScreen = ({ id, me }: { id: string | null; me: Me }) => {
  const user = useUser();
  useLook('tasks', 'keys', 'choices');
  const stored = useLive(`task ${id}`, ['tasks', 'overlays', 'outbox', 'choices', 'keys'], async () => {
    const views = await readTasks(user);
    const of = async (key: 'templates' | 'centres' | 'exams') => (await user.get('choices', key))?.items ?? [];
    const [templates, centres, exams] = [await of('templates'), await of('centres'), await of('exams')];
    return {
      view: views.find(({ task }) => task.task_id === id) ?? null,
      taken: views.map(({ task }) => task.task_id),
      keys: (await readKeys(user)).map(({ key_id }) => key_id),
      templates: templates.length > 0 ? templates : BUILT_IN.map((template) => template.id),
      centres: me.is_admin ? centres : [...me.centres],
      exams,
    };
  });
  return (
    <>
      <a class="back" href="/tasks">
        <Icon name="back" />
        Tasks
      </a>
      {stored && (id === null || stored.view) ? (
        <Editor {...stored} />
      ) : (
        <>
          <ScreenTitle title={id === null ? 'New task' : `Task ${id}`} />
          {stored && (
            <Empty title="This task is not kept on this tablet.">
              <p>It is fetched as soon as the server can be reached, when you may see it.</p>
            </Empty>
          )}
        </>
      )}
    </>
  );
};

interface EditorProps {
  view: TaskView | null;
  taken: string[];
  keys: string[];
  templates: string[];
  centres: string[];
  exams: string[];
}

const Editor = ({ view, taken, keys, templates, centres, exams }: EditorProps) => {
  const user = useUser();
  const [typing, setTyping] = useState<{ form: TaskForm; stamp: string | null } | null>(null);
  const [complaints, setComplaints] = useState<TaskComplaints>({});
  const form = typing?.form ?? formOf(view?.task ?? null);
  const set = (field: keyof TaskForm, value: string): void =>
    setTyping((before) => ({
      form: { ...(before?.form ?? form), [field]: value },
      stamp: before ? before.stamp : (view?.stamp ?? null),
    }));

  const save = async (): Promise<void> => {
    const said = taskOf(form);
    const found = 'complaints' in said ? said.complaints : {};
    if (!view && found.task_id === undefined && taken.includes(form.task_id.trim()))
      found.task_id = `There is a task ${form.task_id.trim()} already. Open that one.`;
    setComplaints(found);
    const [first] = Object.keys(found);
    if (first !== undefined || !('task' in said)) return document.getElementById(`task-${first}`)?.focus();
    const refused = view !== null && refusalOf(view.edits) !== null;
    const stamp = refused || !typing ? (view?.stamp ?? null) : typing.stamp;
    await record(user, { kind: 'task', task: said.task }, stamp, Date.now());
    setTyping(null);
    go('/tasks');
  };

  const text = (
    field: keyof TaskForm,
    label: string,
    more: { list?: string[]; hint?: string; digits?: number } = {},
  ) => (
    <div class="field">
      <label for={`task-${field}`}>{label}</label>
      <input
        type="text"
        id={`task-${field}`}
        class={more.digits ? 'digits' : ''}
        autocomplete="off"
        value={form[field]}
        maxLength={more.digits ?? 191}
        {...(more.digits ? { inputMode: 'numeric' as const } : {})}
        {...(more.list ? { list: `list-${field}` } : {})}
        aria-invalid={complaints[field] !== undefined}
        {...(complaints[field] || more.hint ? { 'aria-describedby': `about-${field}` } : {})}
        onInput={(event) => {
          const { value } = event.currentTarget;
          set(field, more.digits ? value.replace(/\D/g, '') : value);
        }}
      />
      {more.list && (
        <datalist id={`list-${field}`}>
          {more.list.map((item) => (
            <option key={item} value={item} />
          ))}
        </datalist>
      )}
      <About field={field} complaint={complaints[field]} hint={more.hint} />
    </div>
  );
  const choice = (field: 'template_id' | 'key_id', label: string, none: string, items: string[], hint?: string) => (
    <div class="field">
      <label for={`task-${field}`}>{label}</label>
      <select
        id={`task-${field}`}
        value={form[field]}
        aria-invalid={complaints[field] !== undefined}
        {...(complaints[field] || hint ? { 'aria-describedby': `about-${field}` } : {})}
        onChange={(event) => set(field, event.currentTarget.value)}
      >
        <option value="">{none}</option>
        {[...new Set([...items, ...(form[field] ? [form[field]] : [])])].map((item) => (
          <option key={item} value={item}>
            {item}
          </option>
        ))}
      </select>
      <About field={field} complaint={complaints[field]} hint={hint} />
    </div>
  );

  return (
    <form
      class="office-form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        return save();
      }}
    >
      <ScreenTitle title={view ? `Task ${view.task.task_id}` : 'New task'}>
        {view && <PendingPill edits={view.edits} />}
      </ScreenTitle>
      {view && (
        <Pending edits={view.edits} subject={taskSubject(view.task.task_id)} name={`task ${view.task.task_id}`}>
          {view.stored && (
            <p>Yours against the server’s: {differencesOf(view.task, view.stored).join(' · ') || 'the same'}</p>
          )}
        </Pending>
      )}
      <div class="card form-grid">
        {!view && text('task_id', 'Task id', { digits: 8, hint: 'The 8 digits under the QR code of the cover.' })}
        {text('exam', 'Exam', { list: exams })}
        {text('centre', 'Centre', { list: centres })}
        {choice(
          'template_id',
          'Sheet',
          'Choose …',
          templates.filter((name) => name !== 'sheaf-cover'),
        )}
        {choice('key_id', 'Answer key', 'None yet', keys, 'Without one, sheets are read and wait for it.')}
        {text('packet', 'Packet', { hint: 'Bundle or seal number.' })}
        {text('expected_count', 'Sheets expected', { digits: 7 })}
      </div>
      <div class="form-end">
        <button type="submit" class="button primary">
          <Icon name="safe" />
          {view ? 'Save task' : 'Make this task'}
        </button>
        {form.key_id && view && (
          <a class="button quiet" href={keyPath(form.key_id)}>
            Open its key
          </a>
        )}
        <p class="hint">Works without a network: it is kept on this tablet and sent by itself.</p>
      </div>
    </form>
  );
};

const About = ({
  field,
  complaint,
  hint,
}: {
  field: string;
  complaint: string | undefined;
  hint: string | undefined;
}) => {
  if (complaint)
    return (
      <p class="problem" id={`about-${field}`} role="alert">
        {complaint}
      </p>
    );
  return hint ? (
    <p class="hint" id={`about-${field}`}>
      {hint}
    </p>
  ) : null;
};
