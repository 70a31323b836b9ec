// The sheets of a batch and what they scored, a page at a time: failed ones first, then doubtful ones.
import './results-table.css';
import { useMemo } from 'preact/hooks';
import type { Unscored } from '../../../shared/protocol/batch.ts';
import { pagePath } from '../../route.ts';
import { count } from '../../ui/format.ts';
import { type Choice, type Column, List } from '../../ui/list.tsx';
import { Pill } from '../../ui/parts.tsx';
import { pendingWords } from '../pending-words.ts';
import type { ShownSheet } from './rows.ts';
import { Thumb } from './thumb.tsx';
import { batchWords } from './words.ts';

/** What failed comes first, then what is doubtful: it is what somebody must look at. */
const urgency = (row: ShownSheet): number => (row.status === 'failed' ? 0 : row.doubtful > 0 ? 1 : 2);

export const ResultsTable = ({
  batch,
  rows,
  provisional,
}: {
  batch: string;
  rows: ShownSheet[] | undefined;
  provisional: boolean;
}) => {
  const t = batchWords();
  const sorted = useMemo(
    () => [...(rows ?? [])].sort((a, b) => urgency(a) - urgency(b) || a.page_index - b.page_index),
    [rows],
  );
  const number = (n: number | null): string => (n === null ? '–' : count(n));
  const columns: Column<ShownSheet>[] = [
    {
      head: t.pageCol,
      number: true,
      class: 'page-cell',
      cell: (row) => (
        <a
          class="row-link sheet-link"
          aria-label={t.look({ n: row.page_index + 1 })}
          href={pagePath(batch, row.page_index)}
        >
          <Thumb batch={batch} sheet={row.sheet_id} />
          {count(row.page_index + 1)}
        </a>
      ),
      compare: (a, b) => a.page_index - b.page_index,
    },
    {
      head: t.roll,
      class: 'digits',
      cell: (row) => row.roll ?? '–',
      compare: (a, b) => (a.roll ?? '').localeCompare(b.roll ?? ''),
    },
    { head: t.variant, cell: (row) => row.variant ?? '–' },
    {
      head: t.score,
      number: true,
      cell: (row) =>
        row.score === null ? (
          '–'
        ) : (
          <>
            <b>{count(row.score)}</b>
            {row.max_score !== null && <span class="of"> / {count(row.max_score)}</span>}
          </>
        ),
      compare: (a, b) => (a.score ?? -1) - (b.score ?? -1),
    },
    { head: t.right, number: true, from: 'wide', cell: (row) => number(row.correct) },
    { head: t.wrong, number: true, from: 'wide', cell: (row) => number(row.wrong) },
    { head: t.blankCol, number: true, from: 'wide', cell: (row) => number(row.blank) },
    { head: t.task, class: 'digits', cell: (row) => row.task_id ?? '–' },
    { head: t.remarks, class: 'remarks', cell: (row) => <Remarks row={row} /> },
    { head: t.file, from: 'desk', class: 'file-name', cell: (row) => <bdi>{row.name}</bdi> },
  ];
  const choices: Choice<ShownSheet>[] = [
    { value: 'failed', word: t.itemFailed, take: (row) => row.status === 'failed' },
    { value: 'doubtful', word: t.doubtful, take: (row) => row.doubtful > 0 },
    { value: 'unscored', word: t.unscored, take: (row) => row.status === 'read' && row.unscored !== null },
  ];
  return (
    <section class="results-section" aria-labelledby="results-title">
      <h2 id="results-title" class="section-title">
        {t.results}{' '}
        {provisional && sorted.length > 0 && (
          <Pill tone="run" icon="clock">
            {t.provisionalPill}
          </Pill>
        )}
      </h2>
      {sorted.length === 0 ? (
        <p class="quiet-line">{t.noSheets}</p>
      ) : (
        <List
          name={`sheets-${batch}`}
          class="results"
          rows={sorted}
          columns={columns}
          id={(row) => row.sheet_id}
          texts={(row) => [row.roll, row.name, row.task_id]}
          find={t.findSheet}
          noneFound={t.noneSuch}
          mark="sheet"
          all={t.all}
          choices={choices}
          segmented={t.which}
          total={(n) => t.sheetsN(n)}
          rowClass={(row) => (row.status === 'failed' ? 'failed' : '')}
          beneath={(row) =>
            row.error_message === null ? null : (
              <tr class="why">
                <td />
                <td colSpan={columns.length - 1} dir="auto">
                  {row.error_message}
                </td>
              </tr>
            )
          }
        />
      )}
    </section>
  );
};

const REASONS = {
  'no-task': 'noTaskReason',
  'no-key': 'noKeyReason',
  'other-template': 'otherTemplate',
  'variant-unread': 'variantUnread',
  'variant-unknown': 'variantUnknown',
  'suspect-key': 'suspectKey',
  void: 'setAsideReason',
} as const satisfies Record<Unscored, string>;

const Remarks = ({ row }: { row: ShownSheet }) => {
  const t = batchWords();
  return (
    <span class="pills">
      {row.status === 'failed' && (
        <Pill tone="bad" icon="failed">
          {t.failed}
        </Pill>
      )}
      {row.status === 'waiting' && (
        <Pill tone="wait" icon="clock">
          {t.waiting}
        </Pill>
      )}
      {row.pending && (
        <Pill tone="wait" icon="clock">
          {pendingWords().notSent}
        </Pill>
      )}
      {row.unscored && row.status === 'read' && <span class="remark">{t[REASONS[row.unscored]]}</span>}
      {row.doubtful > 0 && (
        <Pill tone="doubt" icon="alert">
          {t.doubtfulN(row.doubtful)}
        </Pill>
      )}
      {(row.multiple ?? 0) > 0 && <span class="remark">{t.multipleN(row.multiple ?? 0)}</span>}
    </span>
  );
};
