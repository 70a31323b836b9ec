// One answer key: typed or pasted, checked while it is typed, kept as a draft, and published by somebody else. Reads the
// stored key under what was changed here; saving writes an edit to the outbox.
import './keys.css';
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
import { byNumber, when } from '../../ui/format.ts';
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
import { keyWords } from './words.ts';

export const KeyScreen = ({ id, me }: { id: string | null; me: Me }) => {
  const t = keyWords();
  const user = useUser();
  useLook('keys', 'choices');
  const stored = useLive(`key ${id}`, ['keys', 'overlays', 'outbox', 'choices', 'tasks'], async () => ({
    view: id === null ? null : await readKey(user, id),
    templates: (await user.get('choices', 'templates'))?.items ?? BUILT_IN.map((template) => template.id),
    ids: await user.getAllKeys('keys'),
  }));
  return (
    <>
      <a class="back" href="/keys">
        <Icon name="back" />
        {t.title}
      </a>
      {!stored && <ScreenTitle title={id ?? t.newKey} />}
      {stored && id !== null && !stored.view && (
        <>
          <ScreenTitle title={id} />
          <Empty title={t.notKept}>
            <p>{t.notKeptWords}</p>
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
  const t = keyWords();
  const user = useUser();
  const [typing, setTyping] = useState<Typing | null>(null);
  const [keyId, setKeyId] = useState('');
  const [problem, setProblem] = useState<string>();
  const content = typing?.content ?? view?.content ?? EMPTY_KEY;
  const edit = (next: KeyContent): void => {
    // It was said of what stood there before.
    setProblem(undefined);
    setTyping((before) => ({ content: next, stamp: before ? before.stamp : (view?.stamp ?? null) }));
  };
  useEffect(() => {
    if (!typing) return;
    const warn = (event: Event) => event.preventDefault();
    addEventListener('beforeunload', warn);
    return () => removeEventListener('beforeunload', warn);
  }, [typing]);

  const shape = shapeFor(content, view?.sheets ?? []);
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
      if (!/^[^/\s?#][^/?#]{0,190}$/.test(key_id)) return setProblem(t.giveName);
      if (taken.includes(key_id)) return setProblem(t.taken({ key: key_id }));
    }
    if (questionCount(content) === 0) return setProblem(t.noQuestions);
    setProblem(undefined);
    // A refused edit that is said anew is said with the server's state on the screen.
    const stamp = refused ? (view?.stamp ?? null) : typing ? typing.stamp : (view?.stamp ?? null);
    await record(user, { kind: 'key', key_id, content }, stamp, Date.now());
    setTyping(null);
    if (!view) go(keyPath(key_id));
  };

  return (
    <>
      <ScreenTitle title={view?.key_id ?? t.newKey}>
        {view && (
          <span class="pills">
            <KeyState view={view} />
            <PendingPill edits={view.edits} />
          </span>
        )}
      </ScreenTitle>
      <TrueAt at={view?.true_at} />
      {view && (
        <Pending edits={view.edits} subject={keySubject(view.key_id)} name={view.key_id}>
          {view.newest && <Differences ours={view.content} theirs={view.newest.content} />}
        </Pending>
      )}
      {!view && (
        <div class="field key-name">
          <label for="key-id">{t.name}</label>
          <input
            id="key-id"
            autocomplete="off"
            maxLength={191}
            value={keyId}
            onInput={(event) => {
              setKeyId(event.currentTarget.value);
              setProblem(undefined);
            }}
            aria-invalid={problem !== undefined && questionCount(content) > 0}
            aria-describedby={problem ? 'save-problem' : 'key-id-hint'}
          />
          <p class="hint" id="key-id-hint">
            {t.nameHint}
          </p>
        </div>
      )}
      <Paste content={content} open={!view} onRead={edit} />
      <section class="card" aria-labelledby="answers-title">
        <h2 id="answers-title" class="card-title">
          {t.answers}
        </h2>
        <Properties content={content} templates={templates} onChange={edit} />
        <AnswerGrid content={content} wrong={wrong} onChange={edit} />
        {questionCount(content) > 0 && <p class="hint grid-hint">{t.legend}</p>}
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
            {view?.newest?.state === 'published' ? t.saveAsDraft({ version: view.newest.version + 1 }) : t.saveDraft}
          </button>
          {view && (
            <button type="button" class="button quiet" onClick={() => setTyping(null)}>
              {t.undoChanges}
            </button>
          )}
          <p class="hint">{t.worksOffline}</p>
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
  const t = keyWords();
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
      <summary>{t.paste}</summary>
      <div class="field">
        <label for="paste">{t.pasteLabel}</label>
        <textarea
          id="paste"
          rows={6}
          spellcheck={false}
          placeholder={'1. B   2. A or C   3. D\nBCADE BCADE\nBooklet A: BCADE …'}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="button" class="button" onClick={read} disabled={text.trim() === ''}>
          {t.readIn}
        </button>
      </div>
      {said && (
        <div role="status" class="paste-said">
          <p>
            {said.read > 0 ? t.wasRead(said.read) : t.noAnswers}{' '}
            {said.problems.length > 0 && t.linesToSee(said.problems.length)}
          </p>
          <ProblemList problems={said.problems} />
        </div>
      )}
    </details>
  );
};

const Check = ({ problems, known, empty }: { problems: KeyProblem[]; known: boolean; empty: boolean }) => {
  const t = keyWords();
  if (empty) return null;
  const errors = problems.filter(({ level }) => level === 'error').length;
  return (
    <section class="card" aria-labelledby="check-title">
      <h2 id="check-title" class="card-title">
        {t.check}
      </h2>
      <p class={`check-sum ${errors > 0 ? 'bad' : 'ok'}`} role="status">
        <Icon name={errors > 0 ? 'alert' : 'done'} />
        {errors > 0 ? t.errors(errors) : problems.length > 0 ? t.warnings(problems.length) : t.noProblem}
      </p>
      {!known && <p class="hint">{t.chooseSheet}</p>}
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
  const t = keyWords();
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
        <label for="sheet">{t.sheet}</label>
        <select
          id="sheet"
          value={template_id ?? ''}
          onChange={(event) => {
            const chosen = event.currentTarget.value;
            onChange(chosen === '' ? rest : { ...rest, template_id: chosen });
          }}
        >
          <option value="">{t.notSaid}</option>
          {[...new Set([...templates.filter((name) => name !== 'sheaf-cover'), ...(template_id ? [template_id] : [])])]
            .sort(byNumber)
            .map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
        </select>
      </div>
      <div class="field small">
        <label for="questions">{t.questions}</label>
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
      {marks('correct', t.right)}
      {marks('wrong', t.wrong)}
      {marks('blank', t.blank)}
      <fieldset class="booklets">
        <legend>{t.booklets}</legend>
        <span class="booklet-names">{booklets.filter((name) => name !== '').join(' ') || t.oneForAll}</span>
        <button type="button" class="button" onClick={() => onChange(addBooklet(content))}>
          {t.addBooklet}
        </button>
        {booklets.length > 1 && (
          <button type="button" class="button quiet" onClick={() => onChange(removeBooklet(content))}>
            {t.removeBooklet({ name: booklets.at(-1) ?? '' })}
          </button>
        )}
      </fieldset>
      {(content.sections ?? []).length > 0 && (
        <p class="hint sections">
          {t.sections({
            names: (content.sections ?? []).map(({ name, from, to }) => `${name} ${from}–${to}`).join(', '),
          })}
        </p>
      )}
    </div>
  );
};

const MOST_DIFFERENCES = 8;
const Differences = ({ ours, theirs }: { ours: KeyContent; theirs: KeyContent }) => {
  const t = keyWords();
  const found = differencesOf(ours, theirs);
  if (found.length === 0) return <p>{t.same}</p>;
  const say = (text: string) => text || t.nothing;
  return (
    <p>
      {t.oursTheirs({
        list: found
          .slice(0, MOST_DIFFERENCES)
          .map((d) => `${d.booklet}${d.question} ${t.notTheirs({ ours: say(d.ours), theirs: say(d.theirs) })}`)
          .join(' · '),
      })}
      {found.length > MOST_DIFFERENCES && ` · ${t.andMore(found.length - MOST_DIFFERENCES)}`}
    </p>
  );
};

const Versions = ({ view, me }: { view: KeyView; me: Me }) => {
  const t = keyWords();
  const now = useNow(60_000);
  const who = (id: string | null) => (id === me.user_id ? t.you : (view.names[id ?? ''] ?? t.somebodyElse));
  return (
    <section class="card" aria-labelledby="versions-title">
      <h2 id="versions-title" class="card-title">
        {t.versions}
      </h2>
      <ul class="version-list">
        {view.versions.map((entry) => (
          <li key={entry.version}>
            <b>{t.version({ version: entry.version })}</b>
            <span>
              {entry.published_at
                ? t.publishedBy({
                    when: when(entry.published_at, now),
                    who: who(entry.published_by),
                    editor: who(entry.edited_by),
                  })
                : t.draftBy({ when: when(entry.edited_at, now), who: who(entry.edited_by) })}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
};
