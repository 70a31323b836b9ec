// One field: its picture, what was read and decided, and a form to decide it.
import { useState } from 'preact/hooks';
import { questionAbout } from '../../../shared/review.ts';
import { revOf } from '../../../shared/sheet-line.ts';
import { optionsOf } from '../../../shared/template/geometry.ts';
import { useUser } from '../../app.ts';
import { snippetOf } from '../../media/pictures.ts';
import { Snippet } from '../../media/snippet.tsx';
import { decide } from '../../sync/decisions.ts';
import { IconButton, TextField } from '../../ui/controls.tsx';
import { share } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Banner } from '../../ui/parts.tsx';
import { fieldOf } from '../review/templates.ts';
import { fieldName, valueName } from './say.ts';
import type { FieldView, PageView } from './view.ts';
import { sheetWords } from './words.ts';

/** One character a column: of the column's options, `_` blank, `?` several. */
const fitsGrid = (value: string, columns: readonly (readonly string[])[]): boolean =>
  [...value].length === columns.length &&
  [...value].every((letter, i) => letter === '_' || letter === '?' || columns[i]?.includes(letter));

export const FieldEditor = ({
  view,
  field,
  mayDecide,
  onClose,
  onSaid,
}: {
  view: PageView;
  field: FieldView;
  mayDecide: boolean;
  onClose: () => void;
  onSaid: (words: string) => void;
}) => {
  const t = sheetWords();
  const user = useUser();
  const { page, template } = view;
  const { label, read, final, ruling, type } = field;
  const laid = fieldOf(template, label);
  const columns = laid ? laid.groups.map((_, i) => optionsOf(laid, i)) : [];
  const isText = type === 'grid' || columns.length === 0;
  const [value, setValue] = useState(final);
  const [reason, setReason] = useState('');
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const name = fieldName(label);
  const asked = questionAbout(page.ruled, label);
  // What was read or decided may be several options together; they are offered as one.
  const choices = [
    ...new Set([...(columns[0] ?? []), '', read, final, ...(ruling?.against ?? []).map((one) => one.value ?? '')]),
  ];
  const send = async (decided: string | null): Promise<void> => {
    const base_rev = revOf(page.line);
    const items = [{ sheet_id: page.sheet_id, field: label, value: decided, base_rev }];
    await decide(user, page.batch, items, reason.trim() === '' ? null : reason.trim());
    onSaid(
      decided === null ? t.takenBack({ field: name }) : t.saved({ field: name, value: valueName(label, decided) }),
    );
    setReason('');
  };
  return (
    <section class="card field-editor" aria-labelledby="field-title" data-field={label}>
      <div class="field-head">
        <h2 id="field-title" class="card-title">
          {name}
        </h2>
        <IconButton icon="failed" label={t.close} onClick={onClose} />
      </div>
      <Snippet of={snippetOf(page.batch, page.batch_no, page.line, label)} alt={name} />
      <dl class="facts">
        <div class="fact">
          <dt>{t.read}</dt>
          <dd>
            <bdi>{valueName(label, read)}</bdi>
            {field.confidence !== null && <span class="quiet-line inline"> {share(field.confidence)}</span>}
          </dd>
        </div>
        <div class="fact">
          <dt>{t.counts}</dt>
          <dd>
            <bdi>{valueName(label, final)}</bdi>
          </dd>
        </div>
        {field.judged?.accepted && (
          <div class="fact">
            <dt>{t.key}</dt>
            <dd>
              <bdi>{field.judged.accepted}</bdi>
            </dd>
          </div>
        )}
      </dl>
      {ruling?.against.map((other) => (
        <Banner key={other.correction_id} tone="doubt" icon="alert">
          {t.disagree({
            one: ruling.standing.username,
            a: valueName(label, ruling.value),
            other: other.username,
            b: valueName(label, other.value),
          })}
        </Banner>
      ))}
      {asked && (
        <Banner tone="doubt" icon="users">
          {t.askedWhat({ why: asked.reason ?? asked.username })}
        </Banner>
      )}
      {mayDecide && (
        <form
          class="decide"
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            if (isText && columns.length > 0 && !fitsGrid(value, columns))
              return setProblem(t.rollLength(columns.length));
            setProblem(undefined);
            void send(value);
          }}
        >
          {isText ? (
            <TextField
              id="decided-value"
              label={t.whatCounts}
              value={value}
              dir="ltr"
              autocomplete="off"
              spellcheck={false}
              problem={problem}
              hint={columns.length > 0 ? t.typeRoll(columns.length) : ''}
              onInput={(event) => setValue(event.currentTarget.value)}
            />
          ) : (
            <fieldset class="options">
              <legend>{t.whatCounts}</legend>
              <div class="option-row">
                {choices.map((option) => (
                  <label key={option}>
                    <input
                      type="radio"
                      name="decided-value"
                      value={option}
                      checked={value === option}
                      onChange={() => setValue(option)}
                    />
                    <span dir="auto">{valueName(label, option)}</span>
                  </label>
                ))}
              </div>
            </fieldset>
          )}
          <TextField
            id="decided-reason"
            label={t.reason}
            value={reason}
            maxLength={1000}
            autocomplete="off"
            onInput={(event) => setReason(event.currentTarget.value)}
          />
          <div class="form-end">
            {ruling !== null && ruling.value !== null && (
              <button type="button" class="button quiet" onClick={() => void send(null)}>
                {t.takeBack}
              </button>
            )}
            <button type="submit" class="button primary">
              <Icon name="done" />
              {t.save}
            </button>
          </div>
        </form>
      )}
    </section>
  );
};
