// One doubtful field at a time: its snippet, where it lies, what stands around it, and the decision, by key or by finger.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { decided } from '../../../shared/review.ts';
import { questionOf, unpackValues } from '../../../shared/scoring/marks.ts';
import { pageOf } from '../../../shared/sheet-line.ts';
import { snippetOf } from '../../media/pictures.ts';
import { Snippet } from '../../media/snippet.tsx';
import { KeyHint, TextField } from '../../ui/controls.tsx';
import { count, share } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Pill } from '../../ui/parts.tsx';
import { type Action, actionOf } from './keys.ts';
import type { Doubt } from './queue.ts';
import { fieldWord, kindWord, valueWord } from './say.ts';
import { SheetMap } from './sheet-map.tsx';
import { fieldOf, type Templates, templateOf } from './templates.ts';
import { reviewWords } from './words.ts';

/** What a person says of the field that is looked at. */
export type Said =
  | { what: 'value'; value: string; note: string }
  | { what: 'ask'; note: string }
  | { what: 'skip' | 'undo' | 'next' | 'previous' };

/** Where a sheet is not known here, it is read as if it were of the commonest kind. */
const COMMON = ['A', 'B', 'C', 'D', 'E'];

/** What there is to choose from; none where something is typed. */
function optionsFor(doubt: Doubt, templates: Templates): readonly string[] {
  const template = templateOf(templates, doubt.page.line[8]);
  const field = fieldOf(template, doubt.field);
  if (field) return field.type === 'choice' ? field.options : [];
  return questionOf(doubt.field) === null || template !== null ? [] : COMMON;
}

/** Decisions that contradict each other, the one that counts for now first. */
const contradicting = ({ why, ruling }: Doubt) =>
  why === 'conflict' && ruling ? [ruling.standing, ...ruling.against] : [];

export const MarkPanel = ({
  doubt,
  templates,
  place,
  batchName,
  mayUndo,
  mayAsk,
  onSay,
}: {
  doubt: Doubt;
  templates: Templates;
  /** "3 of 37" */
  place: string;
  batchName: string | null;
  mayUndo: boolean;
  mayAsk: boolean;
  onSay: (said: Said) => void;
}) => {
  const t = reviewWords();
  const blind = doubt.why === 'second';
  const options = optionsFor(doubt, templates);
  const taking = contradicting(doubt);
  const isMark = /^(q\d+|roll|variant)$/.test(doubt.field);
  const heading = useRef<HTMLHeadingElement>(null);
  const [note, setNote] = useState('');
  const [marks, setMarks] = useState<readonly string[]>([]);
  const [adding, setAdding] = useState(false);
  const [typed, setTyped] = useState('');
  const name = t.ofPage({ field: fieldWord(doubt.field), page: pageOf(doubt.page.line) + 1 });
  const template = templateOf(templates, doubt.page.line[8]);

  // Before the next field is painted: whoever is quick presses a key as soon as they see it, and that key must meet the
  // options of this field, and no note that was meant for the last one.
  useLayoutEffect(() => {
    setNote('');
    setMarks([]);
    setAdding(false);
    setTyped(blind ? '' : doubt.read);
    // A button that was tapped for the last one must not be pressed again by a key that is meant for this one.
    heading.current?.focus({ preventScroll: true });
  }, [doubt.key]);

  const say = (value: string): void => onSay({ what: 'value', value, note });
  const add = (value: string): void =>
    setMarks((before) => (before.includes(value) ? before.filter((one) => one !== value) : [...before, value]));
  const take = (): void => say([...marks].sort((a, b) => options.indexOf(a) - options.indexOf(b)).join('|'));
  const act = (action: Action): void => {
    switch (action.do) {
      case 'set':
        if (adding) add(action.value);
        else say(action.value);
        break;
      case 'add':
        setAdding(true);
        add(action.value);
        break;
      case 'finish':
        if (marks.length > 0) take();
        else document.getElementById('review-typed')?.focus();
        break;
      case 'accept':
        if (!blind && isMark && taking.length === 0) say(doubt.read);
        break;
      case 'blank':
        if (isMark) say('');
        break;
      case 'take':
        say(taking[action.index]?.value ?? '');
        break;
      case 'ask':
        if (mayAsk && isMark) onSay({ what: 'ask', note });
        break;
      default:
        onSay({ what: action.do });
    }
  };
  const acting = useRef(act);
  acting.current = act;
  useLayoutEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      const { target } = event;
      if (document.querySelector('dialog[open], [popover]:popover-open')) return;
      if (target instanceof HTMLElement) {
        if (target.matches('input:not([type=radio]), textarea, select')) return;
        // What has the focus is pressed by these keys: that is the browser's.
        if ((event.key === ' ' || event.key === 'Enter') && target.matches('button, a, summary')) return;
        if (event.key.startsWith('Arrow') && target.matches('input[type=radio]')) return;
      }
      const { key, shiftKey, ctrlKey, metaKey, altKey } = event;
      if (altKey) return;
      const rtl = document.documentElement.dir === 'rtl';
      const action = actionOf({ key, shift: shiftKey, ctrl: ctrlKey || metaKey }, options, taking.length, rtl);
      if (!action) return;
      event.preventDefault();
      // A letter may be an answer here and the first half of a way elsewhere (`g b`).
      event.stopImmediatePropagation();
      acting.current(action);
    };
    addEventListener('keydown', listen, { capture: true });
    return () => removeEventListener('keydown', listen, { capture: true });
  }, [options.join(' '), taking.length]);

  return (
    <div class="review-panel" data-doubt={doubt.key}>
      <section class="card review-look" aria-labelledby="review-what">
        <div class="review-name">
          <h2 id="review-what" ref={heading} tabIndex={-1}>
            {name}
          </h2>
          <span class="quiet-line">{place}</span>
        </div>
        <p class="quiet-line">
          {batchName !== null && <bdi>{batchName} · </bdi>}
          <bdi>{doubt.page.line[1]}</bdi>
        </p>
        <Why doubt={doubt} />
        <div class="review-snippet">
          <Snippet of={snippetOf(doubt.page.batch, doubt.page.batch_no, doubt.page.line, doubt.field)} alt={name} />
        </div>
        {blind && <p class="hint">{t.blindWords}</p>}
        <p class="off-screen" role="status">
          {blind ? name : `${name}. ${t.readAs({ value: valueWord(doubt.read) })}`}
        </p>
      </section>
      <section class="card review-decide" aria-labelledby="review-decide">
        <h2 id="review-decide" class="card-title">
          {t.what}
        </h2>
        {taking.length > 0 && (
          <div class="review-options">
            {taking.map(({ value, username }, i) => (
              <button
                key={username}
                type="button"
                class="button review-taking"
                data-take={i + 1}
                onClick={() => act({ do: 'take', index: i })}
              >
                <span>{t.says({ name: username, value: valueWord(value) })}</span>
                <KeyHint keys={String(i + 1)} />
              </button>
            ))}
          </div>
        )}
        {isMark && (
          <>
            {options.length > 0 ? (
              <div class="review-options">
                {options.map((option) => (
                  <button
                    key={option}
                    type="button"
                    class="button review-option"
                    data-option={option}
                    {...(adding ? { 'aria-pressed': marks.includes(option) } : {})}
                    onClick={() => act({ do: 'set', value: option })}
                  >
                    {option}
                  </button>
                ))}
              </div>
            ) : (
              <form
                class="review-typing"
                onSubmit={(event) => {
                  event.preventDefault();
                  say(typed.replace(/[\s|]/g, ''));
                }}
              >
                <TextField
                  id="review-typed"
                  label={t.typed}
                  value={typed}
                  autocomplete="off"
                  dir="ltr"
                  maxLength={64}
                  onInput={(event) => setTyped(event.currentTarget.value)}
                  onKeyDown={(event) => {
                    if (event.key === 'Escape') heading.current?.focus();
                  }}
                />
                <button type="submit" class="button primary">
                  {t.setTyped}
                </button>
              </form>
            )}
            {adding && (
              <p class="hint" role="status">
                {t.several({ value: valueWord(marks.join('|')) })}{' '}
                <button type="button" class="button" disabled={marks.length === 0} onClick={take}>
                  {t.takeThem}
                </button>
              </p>
            )}
            <div class="review-actions">
              {!blind && taking.length === 0 && (
                <button type="button" class="button primary" data-act="accept" onClick={() => act({ do: 'accept' })}>
                  <Icon name="done" />
                  {t.accept}
                </button>
              )}
              <button type="button" class="button" data-act="blank" onClick={() => act({ do: 'blank' })}>
                {t.leaveBlank}
              </button>
              {options.length > 1 && !adding && (
                <button type="button" class="button" onClick={() => setAdding(true)}>
                  {t.addMark}
                </button>
              )}
              {mayAsk && (
                <button type="button" class="button" data-act="ask" onClick={() => act({ do: 'ask' })}>
                  {t.ask}
                </button>
              )}
            </div>
            <TextField
              id="review-note"
              label={t.note}
              hint={t.noteHint}
              value={note}
              maxLength={1000}
              onInput={(event) => setNote(event.currentTarget.value)}
            />
          </>
        )}
        <div class="review-actions review-moves">
          <button type="button" class="button" data-act="previous" onClick={() => act({ do: 'previous' })}>
            <Icon name="back" />
            {t.previous}
          </button>
          <button type="button" class="button" data-act="next" onClick={() => act({ do: 'next' })}>
            {t.next}
            <Icon name="open" />
          </button>
          <button type="button" class="button" data-act="skip" onClick={() => act({ do: 'skip' })}>
            {t.skip}
          </button>
          <button type="button" class="button" data-act="undo" disabled={!mayUndo} onClick={() => act({ do: 'undo' })}>
            {t.undo}
          </button>
        </div>
      </section>
      <aside class="card review-side">
        {template && <SheetMap template={template} field={doubt.field} alt={`${t.whole}: ${name}`} />}
        <RowContext doubt={doubt} />
      </aside>
    </div>
  );
};

const Why = ({ doubt }: { doubt: Doubt }) => {
  const t = reviewWords();
  const { why, kind, read, confidence, ruling, asked } = doubt;
  if (why === 'second')
    return (
      <p class="pills">
        <Pill tone="run" icon="users">
          {t.second}
        </Pill>
      </p>
    );
  return (
    <>
      <p class="pills">
        {why === 'conflict' && (
          <Pill tone="bad" icon="users">
            {t.conflict}
          </Pill>
        )}
        {why === 'asked' && (
          <Pill tone="run" icon="user">
            {t.asked}
          </Pill>
        )}
        <Pill tone="doubt" icon="alert">
          {kindWord(kind)}
        </Pill>
        <span class="review-read">{t.readAs({ value: valueWord(read) })}</span>
        {confidence !== null && <span class="quiet-line inline">{t.sure({ share: share(confidence) })}</span>}
      </p>
      {kind === 'variant' && why === 'doubt' && confidence === null && <p class="hint">{t.unlisted}</p>}
      {asked && (
        <p class="hint">
          {asked.reason ? t.asks({ name: asked.username, reason: asked.reason }) : t.asksBare({ name: asked.username })}
        </p>
      )}
      {ruling && why !== 'conflict' && ruling.value !== null && (
        <p class="hint">{t.says({ name: ruling.standing.username, value: valueWord(ruling.value) })}</p>
      )}
      {ruling?.overruled.map(({ username, value }) => (
        <p class="hint" key={username}>
          {t.overruled({ name: username, value: valueWord(value) })}
        </p>
      ))}
    </>
  );
};

/** Questions before and after it. */
const NEIGHBOURS = 3;

const RowContext = ({ doubt }: { doubt: Doubt }) => {
  const t = reviewWords();
  const { page, field, why } = doubt;
  const question = questionOf(field);
  if (question === null) return null;
  const values = unpackValues(page.line[12], page.line[11]);
  const rows = values
    .map((read, i) => ({ n: i + 1, value: decided(page.ruled, `q${i + 1}`) ?? read }))
    .filter(({ n }) => Math.abs(n - question) <= NEIGHBOURS);
  return (
    <div class="review-row">
      <h3>{t.rowContext}</h3>
      <ol>
        {rows.map(({ n, value }) => (
          <li key={n} {...(n === question ? { 'aria-current': 'true' as const } : {})}>
            <span>{count(n)}</span>
            {/* Whoever reads a second time sees no value of this field. */}
            <b>{n === question && why === 'second' ? '?' : value === null ? '–' : valueWord(value)}</b>
          </li>
        ))}
      </ol>
    </div>
  );
};
