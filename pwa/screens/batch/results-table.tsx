// The sheets of a batch and what they scored, a page at a time; failed and doubtful ones can be had alone.
import { useMemo, useState } from 'preact/hooks';
import { PAGE_SIZE, type SheetRow, type Unscored } from '../../../shared/protocol/batch.ts';
import { count, plural } from '../../ui/format.ts';
import { Pill, Scroll } from '../../ui/parts.tsx';

const FILTERS = [
  { name: 'all', word: 'All', take: (_: SheetRow) => true },
  { name: 'failed', word: 'Failed', take: (row: SheetRow) => row.status === 'failed' },
  { name: 'doubtful', word: 'Doubtful', take: (row: SheetRow) => row.doubtful > 0 },
] as const;

/** What failed comes first: it is what somebody must look at. */
const urgency = (row: SheetRow): number => (row.status === 'failed' ? 0 : 1);

export const ResultsTable = ({ rows, provisional }: { rows: SheetRow[] | undefined; provisional: boolean }) => {
  const [filter, setFilter] = useState<(typeof FILTERS)[number]['name']>('all');
  const [page, setPage] = useState(1);
  const counts = useMemo(
    () => Object.fromEntries(FILTERS.map(({ name, take }) => [name, (rows ?? []).filter(take).length])),
    [rows],
  );
  const chosen = useMemo(() => {
    const { take } = FILTERS.find(({ name }) => name === filter) ?? FILTERS[0];
    return (rows ?? []).filter(take).sort((a, b) => urgency(a) - urgency(b) || a.page_index - b.page_index);
  }, [rows, filter]);
  const pages = Math.max(1, Math.ceil(chosen.length / PAGE_SIZE));
  const at = Math.min(page, pages);
  const shown = chosen.slice((at - 1) * PAGE_SIZE, at * PAGE_SIZE);
  return (
    <section class="card table-card" aria-labelledby="results-title">
      <div class="card-head">
        <h2 id="results-title" class="card-title">
          Results{' '}
          {provisional && (rows?.length ?? 0) > 0 && (
            <Pill tone="run" icon="clock">
              provisional
            </Pill>
          )}
        </h2>
        <fieldset class="segmented">
          <legend class="off-screen">Which sheets</legend>
          {FILTERS.map(({ name, word }) => (
            <label key={name}>
              <input
                type="radio"
                name="sheets"
                value={name}
                checked={filter === name}
                onChange={() => {
                  setFilter(name);
                  setPage(1);
                }}
              />
              <span>
                {word} {count(counts[name] ?? 0)}
              </span>
            </label>
          ))}
        </fieldset>
      </div>
      {shown.length === 0 ? (
        <p class="quiet-line pad">
          {filter === 'all' ? 'Sheets appear here as they are read.' : `No ${filter} sheets.`}
        </p>
      ) : (
        <Scroll way="across" name="Results">
          <table class="table results">
            <thead>
              <tr>
                <th scope="col" class="number">
                  Page
                </th>
                <th scope="col">Roll</th>
                <th scope="col">Variant</th>
                <th scope="col" class="number">
                  Score
                </th>
                <th scope="col" class="number">
                  Right
                </th>
                <th scope="col" class="number">
                  Wrong
                </th>
                <th scope="col" class="number">
                  Blank
                </th>
                <th scope="col">Task</th>
                <th scope="col">Remarks</th>
                <th scope="col" class="desk-only">
                  File
                </th>
              </tr>
            </thead>
            <tbody>
              {shown.map((row) => (
                <SheetLine key={row.sheet_id} row={row} />
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {chosen.length > PAGE_SIZE && (
        <nav class="pager" aria-label="Pages of results">
          <button type="button" class="button" disabled={at <= 1} onClick={() => setPage(at - 1)}>
            Previous
          </button>
          <span>
            Page {at} of {pages} · {plural(chosen.length, 'sheet')}
          </span>
          <button type="button" class="button" disabled={at >= pages} onClick={() => setPage(at + 1)}>
            Next
          </button>
        </nav>
      )}
    </section>
  );
};

const UNSCORED: Record<Unscored, string> = {
  'no-task': 'task not known',
  'no-key': 'no key yet',
  'variant-unread': 'variant not readable',
  'variant-unknown': 'variant not in the key',
  'suspect-key': 'another key fits better',
  void: 'set aside by a person',
};

const number = (n: number | null): string => (n === null ? '–' : count(n));

const SheetLine = ({ row }: { row: SheetRow }) => (
  <>
    <SheetCells row={row} />
    {row.error_message !== null && (
      <tr class="why">
        <td />
        <td colSpan={9}>{row.error_message}</td>
      </tr>
    )}
  </>
);

const SheetCells = ({ row }: { row: SheetRow }) => (
  <tr class={row.status === 'failed' ? 'failed' : ''} data-sheet={row.sheet_id}>
    <td class="number">{count(row.page_index + 1)}</td>
    <th scope="row" class="digits">
      {row.roll ?? '–'}
    </th>
    <td>{row.variant ?? '–'}</td>
    <td class="number">
      {row.score === null ? (
        '–'
      ) : (
        <>
          <b>{count(row.score)}</b>
          {row.max_score !== null && <span class="of"> / {count(row.max_score)}</span>}
        </>
      )}
    </td>
    <td class="number">{number(row.correct)}</td>
    <td class="number">{number(row.wrong)}</td>
    <td class="number">{number(row.blank)}</td>
    <td class="digits">{row.task_id ?? '–'}</td>
    <td class="remarks">
      {row.status === 'failed' && (
        <Pill tone="bad" icon="failed">
          failed
        </Pill>
      )}
      {row.status === 'waiting' && (
        <Pill tone="wait" icon="clock">
          waiting
        </Pill>
      )}
      {row.unscored && row.status === 'read' && <span class="quiet-line inline">{UNSCORED[row.unscored]}</span>}
      {row.doubtful > 0 && (
        <Pill tone="doubt" icon="alert">
          {count(row.doubtful)} doubtful
        </Pill>
      )}
      {(row.multiple ?? 0) > 0 && <span class="quiet-line inline">{count(row.multiple ?? 0)} multiple</span>}
    </td>
    <td class="desk-only file-name">{row.name}</td>
  </tr>
);
