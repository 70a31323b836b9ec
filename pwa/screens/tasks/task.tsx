// One task, made or changed. Reads the stored one under what was changed here; saving writes an edit to the outbox.
import { useState } from 'preact/hooks';
import type { Me } from '../../../shared/protocol/auth.ts';
import { BUILT_IN } from '../../../shared/template/built-in.ts';
import { useUser } from '../../app.ts';
import { go, keyPath } from '../../route.ts';
import { useLive } from '../../store.ts';
import { record, taskSubject } from '../../sync/outbox.ts';
import { byNumber } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Empty, ScreenTitle } from '../../ui/parts.tsx';
import { readKeys } from '../keys/view.ts';
import { useLook } from '../look.tsx';
import { Pending, PendingPill, refusalOf } from '../pending.tsx';
import { differencesOf, formOf, readTasks, type TaskComplaints, type TaskForm, type TaskView, taskOf } from './view.ts';
import { taskWords } from './words.ts';

export const TaskScreen = ({ id, number, me }: { id: string | null; number: string | null; me: Me }) => {
  const t = taskWords();
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
        {t.title}
      </a>
      {stored && (id === null || stored.view) ? (
        <Editor {...stored} number={number} />
      ) : (
        <>
          <ScreenTitle title={id === null ? t.newTask : t.taskNamed({ id })} />
          {stored && (
            <Empty title={t.notKept}>
              <p>{t.notKeptWords}</p>
            </Empty>
          )}
        </>
      )}
    </>
  );
};

interface EditorProps {
  view: TaskView | null;
  /** of a new one, where somebody came from its sheets */
  number: string | null;
  taken: string[];
  keys: string[];
  templates: string[];
  centres: string[];
  exams: string[];
}

const Editor = ({ view, number, taken, keys, templates, centres, exams }: EditorProps) => {
  const t = taskWords();
  const user = useUser();
  const [typing, setTyping] = useState<{ form: TaskForm; stamp: string | null } | null>(null);
  const [complaints, setComplaints] = useState<TaskComplaints>({});
  const form = typing?.form ?? { ...formOf(view?.task ?? null), ...(view || !number ? {} : { task_id: number }) };
  const set = (field: keyof TaskForm, value: string): void =>
    setTyping((before) => ({
      form: { ...(before?.form ?? form), [field]: value },
      stamp: before ? before.stamp : (view?.stamp ?? null),
    }));

  const save = async (): Promise<void> => {
    const said = taskOf(form);
    const found = 'complaints' in said ? said.complaints : {};
    if (!view && found.task_id === undefined && taken.includes(form.task_id.trim()))
      found.task_id = t.taken({ id: form.task_id.trim() });
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
        maxLength={more.digits ? 40 : 191}
        {...(more.digits ? { inputMode: 'numeric' as const } : {})}
        {...(more.list ? { list: `list-${field}` } : {})}
        aria-invalid={complaints[field] !== undefined}
        {...(complaints[field] || more.hint ? { 'aria-describedby': `about-${field}` } : {})}
        onInput={(event) => {
          const { value } = event.currentTarget;
          // `maxLength` counts what is pasted before the spaces in it are taken out.
          set(field, more.digits ? value.replace(/\D/g, '').slice(0, more.digits) : value);
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
      <ScreenTitle title={view ? t.taskNamed({ id: view.task.task_id }) : t.newTask}>
        {view && <PendingPill edits={view.edits} />}
      </ScreenTitle>
      {view && (
        <Pending edits={view.edits} subject={taskSubject(view.task.task_id)} name={t.aTask({ id: view.task.task_id })}>
          {view.stored && <p>{t.oursTheirs({ list: differencesOf(view.task, view.stored).join(' · ') || t.same })}</p>}
        </Pending>
      )}
      <div class="card form-grid">
        {!view && text('task_id', t.taskId, { digits: 8, hint: t.taskIdHint })}
        {text('exam', t.exam, { list: exams })}
        {text('centre', t.centre, { list: centres })}
        {choice('template_id', t.sheet, t.choose, templates.filter((name) => name !== 'sheaf-cover').sort(byNumber))}
        {choice('key_id', t.key, t.noneYet, keys, t.keyHint)}
        {text('packet', t.packet, { hint: t.packetHint })}
        {text('expected_count', t.expected, { digits: 7 })}
      </div>
      <div class="form-end">
        <button type="submit" class="button primary">
          <Icon name="safe" />
          {view ? t.save : t.make}
        </button>
        {form.key_id && view && (
          <a class="button quiet" href={keyPath(form.key_id)}>
            {t.openKey}
          </a>
        )}
        <p class="hint">{t.worksOffline}</p>
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
