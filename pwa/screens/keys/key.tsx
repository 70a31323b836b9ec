// One answer key: typed or pasted, checked while it is typed, kept as a draft, and published by somebody else. Reads the
// stored key under what was changed here; saving writes an edit to the outbox.
import { useEffect, useState } from 'preact/hooks';
import type { Me } from '../../../shared/protocol/auth.ts';
import type { KeyContent, KeyProblem } from '../../../shared/protocol/key.ts';
import { parseKeyText } from '../../../shared/scoring/paste.ts';
import { validateKey } from '../../../shared/scoring/validate-key.ts';
import { BUILT_IN } from '../../../shared/template/built-in.ts';
import { useUser } from '../../app.ts';
import { go, keyPath } from '../../route.ts';
import { useLive, useNow } from '../../store.ts';
import { keySubject, record } from '../../sync/outbox.ts';
import { plural, when } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Empty, ScreenTitle } from '../../ui/parts.tsx';
import { useLook } from '../look.tsx';
import { Pending, PendingPill, refusalOf } from '../pending.tsx';
import { TrueAt } from '../true-at.tsx';
import { AnswerGrid } from './answer-grid.tsx';
import { addBooklet, bookletsOf, EMPTY_KEY, MOST_QUESTIONS, questionCount, removeBooklet, resize } from './grid.ts';
import { KeyState } from './keys.tsx';
import { ProblemList } from './problem-list.tsx';
import { Publish } from './publish.tsx';
import { differencesOf, type KeyView, readKey, shapeFor } from './view.ts';

export const KeyScreen = ({ id, me }: { id: string | null; me: Me }) => {
  const user = useUser();
  useLook('keys', 'choices');
  const stored = useLive(`key ${id}`, ['keys', 'overlays', 'outbox', 'choices'], async () => ({
    view: id === null ? null : await readKey(user, id),
    templates: (await user.get('choices', 'templates'))?.items ?? BUILT_IN.map((template) => template.id),
    ids: await user.getAllKeys('keys'),
  }));
  return (
    <>
      <a class="back" href="/keys">
        <Icon name="back" />
        Answer keys
      </a>
      {!stored && <ScreenTitle title={id ?? 'New key'} />}
      {stored && id !== null && !stored.view && (
        <>
          <ScreenTitle title={id} />
          <Empty title="This key is not kept on this tablet.">
            <p>It is fetched as soon as the server can be reached, when you may see it.</p>
          </Empty>
        </>
      )}
      {stored && (id === null || stored.view) && (
        <Editor view={stored.view} templates={stored.templates} taken={stored.ids} me={me} />
      )}
    </>
  );
};

interface EditorProps {
  /** null while a new one is made */
  view: KeyView | null;
  templates: string[];
  taken: string[];
  me: Me;
}

/** What is being typed and is not saved: the content, and the state of the key it was begun from. */
interface Typing {
  content: KeyContent;
  stamp: string | null;
}

const Editor = ({ view, templates, taken, me }: EditorProps) => {
  const user = useUser();
  const [typing, setTyping] = useState<Typing | null>(null);
  const [keyId, setKeyId] = useState('');
  const [problem, setProblem] = useState<string>();
  const content = typing?.content ?? view?.content ?? EMPTY_KEY;
  const edit = (next: KeyContent): void =>
    setTyping((before) => ({ content: next, stamp: before ? before.stamp : (view?.stamp ?? null) }));
  useEffect(() => {
    if (!typing) return;
    const warn = (event: Event) => event.preventDefault();
    addEventListener('beforeunload', warn);
    return () => removeEventListener('beforeunload', warn);
  }, [typing]);

  const shape = shapeFor(content.template_id);
  const problems = validateKey(content, shape);
  const wrong = new Set(
    problems.flatMap(({ level, variant, question }) =>
      level === 'error' && question ? [`${variant} ${question}`] : [],
    ),
  );
  const refused = view ? refusalOf(view.edits) : null;

  const save = async (): Promise<void> => {
    const key_id = view?.key_id ?? keyId.trim();
    if (!view) {
      if (!/^[^/\s?#][^/?#]{0,190}$/.test(key_id)) return setProblem('Give the key a name, without / ? and #.');
      if (taken.includes(key_id))
        return setProblem(`There is a key ${key_id} already. Open that one, or choose another name.`);
    }
    if (questionCount(content) === 0)
      return setProblem('The key has no questions yet. Paste it, or say how many there are.');
    setProblem(undefined);
    // A refused edit that is said anew is said with the server's state on the screen.
    const stamp = refused ? (view?.stamp ?? null) : typing ? typing.stamp : (view?.stamp ?? null);
    await record(user, { kind: 'key', key_id, content }, stamp, Date.now());
    setTyping(null);
    if (!view) go(keyPath(key_id));
  };

  return (
    <>
      <ScreenTitle title={view?.key_id ?? 'New key'}>
        {view && (
          <span class="pills">
            <KeyState view={view} />
            <PendingPill edits={view.edits} />
          </span>
        )}
      </ScreenTitle>
      <TrueAt at={view?.true_at} />
      {view && (
        <Pending edits={view.edits} subject={keySubject(view.key_id)} name={`key ${view.key_id}`}>
          {view.newest && <Differences ours={view.content} theirs={view.newest.content} />}
        </Pending>
      )}
      {!view && (
        <div class="field key-name">
          <label for="key-id">Name of the key</label>
          <input
            id="key-id"
            autocomplete="off"
            maxLength={191}
            value={keyId}
            onInput={(event) => setKeyId(event.currentTarget.value)}
            aria-invalid={problem !== undefined && questionCount(content) > 0}
            aria-describedby={problem ? 'save-problem' : 'key-id-hint'}
          />
          <p class="hint" id="key-id-hint">
            As the office calls it, for example physics-2026-spring.
          </p>
        </div>
      )}
      <Paste content={content} open={!view} onRead={edit} />
      <section class="card" aria-labelledby="answers-title">
        <h2 id="answers-title" class="card-title">
          Answers
        </h2>
        <Properties content={content} templates={templates} onChange={edit} />
        <AnswerGrid content={content} wrong={wrong} onChange={edit} />
        {questionCount(content) > 0 && (
          <p class="hint grid-hint">
            B · B / D: either · A+C: together · void: out of the score · bonus: points for everyone · empty: does not
            count
          </p>
        )}
      </section>
      <Check problems={problems} known={shape !== null} empty={questionCount(content) === 0} />
      {problem && (
        <p class="problem" role="alert" id="save-problem">
          {problem}
        </p>
      )}
      {(typing || !view) && (
        <div class="save-bar">
          <button type="button" class="button primary" onClick={save}>
            <Icon name="safe" />
            {view?.newest?.state === 'published' ? `Save as draft ${view.newest.version + 1}` : 'Save draft'}
          </button>
          {view && (
            <button type="button" class="button quiet" onClick={() => setTyping(null)}>
              Undo changes
            </button>
          )}
          <p class="hint">Works without a network: it is kept on this tablet and sent by itself.</p>
        </div>
      )}
      {view && !typing && view.newest?.state === 'draft' && view.edits.length === 0 && (
        <Publish draft={view.newest} problems={problems} me={me} />
      )}
      {view && view.versions.length > 0 && <Versions view={view} me={me} />}
    </>
  );
};

const Paste = ({
  content,
  open,
  onRead,
}: {
  content: KeyContent;
  open: boolean;
  onRead: (content: KeyContent) => void;
}) => {
  const [text, setText] = useState('');
  const [said, setSaid] = useState<{ problems: KeyProblem[]; read: number } | null>(null);
  const read = (): void => {
    const pasted = parseKeyText(text);
    setSaid({ problems: pasted.problems, read: pasted.content ? questionCount(pasted.content) : 0 });
    if (!pasted.content) return;
    // Loose text says nothing of marks and sheet: those stay. A key CSV does.
    const csv = /^\W*variant\W/i.test(text);
    const { marks, template_id } = content;
    onRead({ ...pasted.content, ...(csv ? {} : { marks }), ...(template_id === undefined ? {} : { template_id }) });
  };
  return (
    <details class="card paste" open={open}>
      <summary>Paste a key</summary>
      <div class="field">
        <label for="paste">Answers as text, or a key CSV</label>
        <textarea
          id="paste"
          rows={6}
          spellcheck={false}
          placeholder={'1. B   2. A or C   3. D\nBCADE BCADE\nBooklet A: BCADE …'}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="button" class="button" onClick={read} disabled={text.trim() === ''}>
          Read into the grid
        </button>
      </div>
      {said && (
        <div role="status" class="paste-said">
          <p>
            {said.read > 0 ? `${plural(said.read, 'question')} read.` : 'No answers were found.'}{' '}
            {said.problems.length > 0 && `${plural(said.problems.length, 'line')} to look at:`}
          </p>
          <ProblemList problems={said.problems} />
        </div>
      )}
    </details>
  );
};

const Check = ({ problems, known, empty }: { problems: KeyProblem[]; known: boolean; empty: boolean }) => {
  if (empty) return null;
  const errors = problems.filter(({ level }) => level === 'error').length;
  return (
    <section class="card" aria-labelledby="check-title">
      <h2 id="check-title" class="card-title">
        Check
      </h2>
      <p class={`check-sum ${errors > 0 ? 'bad' : 'ok'}`} role="status">
        <Icon name={errors > 0 ? 'alert' : 'done'} />
        {errors > 0
          ? `${plural(errors, 'error')} to put right before it can be published.`
          : problems.length > 0
            ? `Nothing keeps it from being published. ${plural(problems.length, 'warning')}.`
            : 'No problem found.'}
      </p>
      {!known && (
        <p class="hint">Choose the sheet it is for, so that options and the number of questions are checked too.</p>
      )}
      <ProblemList problems={problems} />
    </section>
  );
};

const Properties = ({
  content,
  templates,
  onChange,
}: {
  content: KeyContent;
  templates: string[];
  onChange: (content: KeyContent) => void;
}) => {
  const { template_id, ...rest } = content;
  const booklets = bookletsOf(content);
  const marks = (which: 'correct' | 'wrong' | 'blank', label: string) => (
    <div class="field small">
      <label for={`marks-${which}`}>{label}</label>
      <input
        id={`marks-${which}`}
        type="number"
        step="any"
        value={content.marks[which]}
        onChange={(event) => {
          const points = event.currentTarget.valueAsNumber;
          if (Number.isFinite(points)) onChange({ ...content, marks: { ...content.marks, [which]: points } });
        }}
      />
    </div>
  );
  return (
    <div class="key-properties">
      <div class="field">
        <label for="sheet">Sheet</label>
        <select
          id="sheet"
          value={template_id ?? ''}
          onChange={(event) => {
            const chosen = event.currentTarget.value;
            onChange(chosen === '' ? rest : { ...rest, template_id: chosen });
          }}
        >
          <option value="">Not said</option>
          {[
            ...new Set([...templates.filter((name) => name !== 'sheaf-cover'), ...(template_id ? [template_id] : [])]),
          ].map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </div>
      <div class="field small">
        <label for="questions">Questions</label>
        <input
          id="questions"
          type="number"
          min={0}
          max={MOST_QUESTIONS}
          value={questionCount(content)}
          onChange={(event) => {
            const n = event.currentTarget.valueAsNumber;
            if (Number.isInteger(n) && n >= 0 && n <= MOST_QUESTIONS) onChange(resize(content, n));
          }}
        />
      </div>
      {marks('correct', 'Right')}
      {marks('wrong', 'Wrong')}
      {marks('blank', 'Blank')}
      <fieldset class="booklets">
        <legend>Booklets</legend>
        <span class="booklet-names">{booklets.filter((name) => name !== '').join(' ') || 'one list for all'}</span>
        <button type="button" class="button" onClick={() => onChange(addBooklet(content))}>
          Add a booklet
        </button>
        {booklets.length > 1 && (
          <button type="button" class="button quiet" onClick={() => onChange(removeBooklet(content))}>
            Remove {booklets.at(-1)}
          </button>
        )}
      </fieldset>
      {(content.sections ?? []).length > 0 && (
        <p class="hint sections">
          Sections from its CSV:{' '}
          {(content.sections ?? []).map(({ name, from, to }) => `${name} ${from}–${to}`).join(', ')}
        </p>
      )}
    </div>
  );
};

const MOST_DIFFERENCES = 8;
const Differences = ({ ours, theirs }: { ours: KeyContent; theirs: KeyContent }) => {
  const found = differencesOf(ours, theirs);
  if (found.length === 0) return <p>The answers are the same.</p>;
  const say = (text: string) => text || 'nothing';
  return (
    <p>
      Yours against the server’s:{' '}
      {found
        .slice(0, MOST_DIFFERENCES)
        .map((d) => `${d.booklet}${d.question} ${say(d.ours)}, not ${say(d.theirs)}`)
        .join(' · ')}
      {found.length > MOST_DIFFERENCES && ` · and ${found.length - MOST_DIFFERENCES} more`}
    </p>
  );
};

const Versions = ({ view, me }: { view: KeyView; me: Me }) => {
  const now = useNow(60_000);
  const who = (id: string | null) => (id === me.user_id ? 'you' : 'somebody else');
  return (
    <section class="card" aria-labelledby="versions-title">
      <h2 id="versions-title" class="card-title">
        Versions
      </h2>
      <ul class="version-list">
        {view.versions.map((entry) => (
          <li key={entry.version}>
            <b>Version {entry.version}</b>
            <span>
              {entry.published_at
                ? `published ${when(entry.published_at, now)} by ${who(entry.published_by)}, edited by ${who(entry.edited_by)}`
                : `draft, edited ${when(entry.edited_at, now)} by ${who(entry.edited_by)}`}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
};
