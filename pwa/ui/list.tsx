// A list of things to search, narrow, sort and leaf through, 50 a page: batches, keys, tasks and users are all shown by
// this one. What it is narrowed to is remembered while the app is open.
import './list.css';
import { type ComponentChildren, Fragment, type VNode } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { Segmented } from './controls.tsx';
import { count } from './format.ts';
import { Icon } from './icons.tsx';
import { partWords } from './part-words.ts';

export const PAGE_SIZE = 50;

export interface Column<R> {
  head: string;
  cell: (row: R) => ComponentChildren;
  number?: boolean;
  /** shown from this width on; always when not said */
  from?: 'wide' | 'desk';
  /** makes the heading a button */
  compare?: (a: R, b: R) => number;
  class?: string;
}

export interface Choice<R> {
  value: string;
  word: string;
  take: (row: R) => boolean;
}

interface Chosen {
  search: string;
  choice: string;
  /** index of a column, and which way; null: as it came */
  sort: { column: number; down: boolean } | null;
  page: number;
}
const START: Chosen = { search: '', choice: '', sort: null, page: 1 };
const remembered = new Map<string, Chosen>();

export interface ListProps<R> {
  /** names the list for what is remembered of it */
  name: string;
  rows: readonly R[];
  columns: readonly Column<R>[];
  id: (row: R) => string;
  /** what a search looks through */
  texts: (row: R) => readonly (string | null)[];
  find: string;
  noneFound: string;
  /** `data-…` of each row */
  mark: string;
  choices?: readonly Choice<R>[];
  all?: string;
  /** said behind "Page 1 of 3", given how many were found */
  total?: (found: number) => string;
  /** a row beneath a row */
  beneath?: (row: R) => VNode | null;
  /** shows the choices as buttons under this legend, instead of as a list to open */
  segmented?: string;
  class?: string;
  rowClass?: (row: R) => string;
  /** beside the search field */
  children?: ComponentChildren;
}

export function List<R>({ name, rows, columns, id, texts, find, noneFound, mark, ...more }: ListProps<R>) {
  const t = partWords();
  const [chosen, setChosen] = useState<Chosen>(() => remembered.get(name) ?? START);
  useEffect(() => {
    remembered.set(name, chosen);
  }, [name, chosen]);
  const choose = (change: Partial<Chosen>) => setChosen((before) => ({ ...before, page: 1, ...change }));
  const { choices, total, beneath } = more;
  const { search, choice, sort, page } = chosen;
  const found = useMemo(() => {
    const words = search.trim().toLowerCase();
    const take = choices?.find(({ value }) => value === choice)?.take;
    const some = rows.filter(
      (row) => (!take || take(row)) && (words === '' || texts(row).some((text) => text?.toLowerCase().includes(words))),
    );
    const compare = sort && columns[sort.column]?.compare;
    return compare ? some.sort((a, b) => (sort.down ? -1 : 1) * compare(a, b)) : some;
  }, [rows, search, choice, sort?.column, sort?.down]);
  const pages = Math.max(1, Math.ceil(found.length / PAGE_SIZE));
  const at = Math.min(page, pages);
  const shown = found.slice((at - 1) * PAGE_SIZE, at * PAGE_SIZE);
  return (
    <>
      <div class="filter-bar">
        <div class="field search">
          <label for={`find-${name}`}>{find}</label>
          <input
            id={`find-${name}`}
            type="search"
            autocomplete="off"
            data-shortcut="/"
            value={search}
            onInput={(event) => choose({ search: event.currentTarget.value })}
          />
        </div>
        {choices && more.segmented && (
          <Segmented
            name={`which-${name}`}
            legend={more.segmented}
            options={[{ value: '', word: more.all ?? '', take: () => true }, ...choices].map(
              ({ value, word, take }) => ({
                value,
                word: `${word} ${count(rows.filter(take).length)}`,
              }),
            )}
            value={choice}
            onChange={(value) => choose({ choice: value })}
          />
        )}
        {choices && !more.segmented && (
          <div class="field">
            <label for={`which-${name}`}>{t.status}</label>
            <select
              id={`which-${name}`}
              value={choice}
              onChange={(event) => choose({ choice: event.currentTarget.value })}
            >
              <option value="">{more.all}</option>
              {choices.map(({ value, word, take }) => (
                <option key={value} value={value}>
                  {word} ({count(rows.filter(take).length)})
                </option>
              ))}
            </select>
          </div>
        )}
        {more.children}
      </div>
      <div class="card table-card">
        <table class={`table ${more.class ?? 'batches'}`}>
          <thead>
            <tr>
              {columns.map((column, index) => (
                <Heading
                  key={column.head}
                  column={column}
                  way={sort?.column !== index ? null : sort.down ? 'descending' : 'ascending'}
                  onSort={() => choose({ sort: { column: index, down: sort?.column === index ? !sort.down : false } })}
                />
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <Fragment key={id(row)}>
                <Line
                  row={row}
                  columns={columns}
                  mark={{ [`data-${mark}`]: id(row) }}
                  class={more.rowClass?.(row) ?? ''}
                />
                {beneath?.(row)}
              </Fragment>
            ))}
          </tbody>
        </table>
        {found.length === 0 && <p class="pad table-none">{noneFound}</p>}
      </div>
      <Pager
        page={at}
        pages={pages}
        onPage={(next) => setChosen((before) => ({ ...before, page: next }))}
        {...(total ? { words: total(found.length) } : {})}
      />
    </>
  );
}

const widths = (column: { number?: boolean; from?: 'wide' | 'desk'; class?: string }): string =>
  [column.number ? 'number' : '', column.from ? `${column.from}-only` : '', column.class ?? ''].join(' ').trim();

function Heading<R>({
  column,
  way,
  onSort,
}: {
  column: Column<R>;
  way: 'ascending' | 'descending' | null;
  onSort: () => void;
}) {
  if (!column.compare)
    return (
      <th scope="col" class={widths(column)}>
        {column.head}
      </th>
    );
  return (
    <th scope="col" class={widths(column)} {...(way ? { 'aria-sort': way } : {})}>
      <button type="button" class="sort" onClick={onSort}>
        {column.head}
        {way && <Icon name={way === 'ascending' ? 'up' : 'down'} />}
      </button>
    </th>
  );
}

function Line<R>({
  row,
  columns,
  mark,
  class: name,
}: {
  row: R;
  columns: readonly Column<R>[];
  mark: Record<string, string>;
  class: string;
}) {
  return (
    // The link in the first cell is the control; a tap anywhere in the row is a larger target for it.
    <tr
      class={`line ${name}`}
      {...mark}
      onClick={(event) => {
        if ((event.target as Element).closest('a, button')) return;
        event.currentTarget.querySelector<HTMLElement>('.row-link')?.click();
      }}
    >
      {columns.map((column, index) =>
        index === 0 ? (
          <th key={column.head} scope="row" class={widths(column)}>
            {column.cell(row)}
          </th>
        ) : (
          <td key={column.head} class={widths(column)}>
            {column.cell(row)}
          </td>
        ),
      )}
    </tr>
  );
}

/** Nothing to press where there is one page only. */
export const Pager = ({
  page,
  pages,
  words,
  onPage,
}: {
  page: number;
  pages: number;
  words?: string;
  onPage: (page: number) => void;
}) => {
  const t = partWords();
  const where = [t.page({ page, pages }), words].filter(Boolean).join(' · ');
  if (pages <= 1) return words ? <p class="pager">{where}</p> : null;
  return (
    <nav class="pager" aria-label={t.pages}>
      <button type="button" class="button" disabled={page <= 1} onClick={() => onPage(page - 1)}>
        {t.previous}
      </button>
      <span>{where}</span>
      <button type="button" class="button" disabled={page >= pages} onClick={() => onPage(page + 1)}>
        {t.next}
      </button>
    </nav>
  );
};
