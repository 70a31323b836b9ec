// Every field of a page in words: what the overlay draws, for whoever reads instead of looking.
import { useState } from 'preact/hooks';
import { Segmented } from '../../ui/controls.tsx';
import { count, share } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Scroll } from '../../ui/parts.tsx';
import { fieldName, valueName } from './say.ts';
import { type FieldView, OUTCOME_RIGHT } from './view.ts';
import { sheetWords } from './words.ts';

const WHICH = ['all', 'toSee', 'changed', 'wrong'] as const;
type Which = (typeof WHICH)[number];

const TAKES: Record<Which, (field: FieldView) => boolean> = {
  all: () => true,
  toSee: ({ waits }) => waits !== null,
  changed: ({ ruling }) => ruling !== null,
  wrong: ({ judged }) => judged !== null && judged.correct !== null && !OUTCOME_RIGHT.includes(judged.outcome),
};

export const FieldTable = ({
  fields,
  selected,
  onSelect,
}: {
  fields: readonly FieldView[];
  selected: string | null;
  onSelect: (label: string) => void;
}) => {
  const t = sheetWords();
  const [which, setWhich] = useState<Which>('all');
  const shown = fields.filter(TAKES[which]);
  const isJudged = fields.some(({ judged }) => judged?.accepted);
  return (
    <section class="card field-table" aria-labelledby="fields-title">
      <h2 id="fields-title" class="card-title">
        {t.fields}
      </h2>
      <Segmented
        name="which-fields"
        legend={t.whichFields}
        options={WHICH.filter((value) => value !== 'wrong' || isJudged).map((value) => ({
          value,
          word: `${t[value]} ${count(fields.filter(TAKES[value]).length)}`,
        }))}
        value={which}
        onChange={setWhich}
      />
      {shown.length === 0 ? (
        <p class="quiet-line">{t.noneSuch}</p>
      ) : (
        <Scroll way="down" name={t.fields}>
          <table class="table compact">
            <thead>
              <tr>
                <th scope="col">{t.field}</th>
                <th scope="col">{t.read}</th>
                <th scope="col" class="number">
                  {t.confidence}
                </th>
                <th scope="col">{t.counts}</th>
                {isJudged && (
                  <>
                    <th scope="col">{t.key}</th>
                    <th scope="col" class="number">
                      {t.points}
                    </th>
                  </>
                )}
                <th scope="col">{t.remarks}</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((field) => (
                <Row
                  key={field.label}
                  field={field}
                  selected={field.label === selected}
                  isJudged={isJudged}
                  onSelect={onSelect}
                />
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </section>
  );
};

const Row = ({
  field,
  selected,
  isJudged,
  onSelect,
}: {
  field: FieldView;
  selected: boolean;
  isJudged: boolean;
  onSelect: (label: string) => void;
}) => {
  const t = sheetWords();
  const { label, judged, waits, ruling } = field;
  const flags = field.flags.filter((flag) => flag !== 'doubtful' && flag !== 'blank').map((flag) => t[`flag_${flag}`]);
  const remarks = [
    ...flags,
    ...(waits === 'doubt'
      ? [t.flag_doubtful]
      : waits === 'conflict'
        ? [t.conflict]
        : waits === 'asked'
          ? [t.asked]
          : []),
  ];
  return (
    <tr data-label={label} class={selected ? 'selected' : ''}>
      <th scope="row">
        <button
          type="button"
          class="row-link"
          aria-label={t.show({ field: fieldName(label) })}
          aria-pressed={selected}
          onClick={() => onSelect(label)}
        >
          {field.question === null ? fieldName(label) : count(field.question)}
        </button>
      </th>
      <td>
        <bdi class="digits">{valueName(label, field.read)}</bdi>
      </td>
      <td class="number">{field.confidence === null ? '–' : share(field.confidence)}</td>
      <td>
        <bdi class="digits">{valueName(label, field.final)}</bdi>
        {ruling !== null && ruling.value !== null && (
          <span class="quiet-line inline">
            {' '}
            <bdi>{ruling.standing.username}</bdi>
          </span>
        )}
      </td>
      {isJudged && (
        <>
          <td>
            <bdi>{judged?.accepted ?? '–'}</bdi>
          </td>
          <td class="number">
            {judged === null || judged.points === null ? (
              '–'
            ) : (
              <>
                {count(judged.points)} <span class="off-screen">{t[`out_${judged.outcome}`]}</span>
              </>
            )}
          </td>
        </>
      )}
      <td class="remarks">
        {waits !== null && <Icon name="alert" />}
        {remarks.join(', ')}
      </td>
    </tr>
  );
};
