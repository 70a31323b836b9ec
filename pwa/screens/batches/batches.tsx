// The list of batches: reads the stored rows and when they were true; opens one.
import './batches.css';
import { useMemo, useState } from 'preact/hooks';
import type { Me } from '../../../shared/protocol/auth.ts';
import type { BatchRow } from '../../../shared/protocol/batch.ts';
import { BATCH_STATUSES, type BatchStatus, ENDED } from '../../../shared/protocol/stage.ts';
import { useApp, useUser } from '../../app.ts';
import { batchPath } from '../../route.ts';
import { useLive, useNow } from '../../store.ts';
import { HELD_CHANGES, HELD_STORES, type Held, holds, readHeld } from '../../sync/held.ts';
import { type Bar, Sparkbars } from '../../ui/bars.tsx';
import { ago, count, duration, listed } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { type Column, List } from '../../ui/list.tsx';
import { partWords } from '../../ui/part-words.ts';
import { Empty, ScreenTitle, SegmentBar, StatusPill } from '../../ui/parts.tsx';
import type { Tone } from '../../ui/words.ts';
import { segmentsOf } from '../batch/story.ts';
import { heldLine } from '../held.tsx';
import { TrueAt } from '../true-at.tsx';
import { listWords } from './words.ts';

/** What waits of it for somebody; null: nothing, or it is not known here, or it has not ended yet. */
type ListedBatch = BatchRow & { held: Held | null };
const heldOf = ({ batch_id, status }: BatchRow, held: ReadonlyMap<string, Held>): Held | null => {
  const own = held.get(batch_id);
  return ENDED.includes(status) && holds(own) ? own : null;
};

export const BatchesScreen = ({ me }: { me: Me }) => {
  const t = listWords();
  const user = useUser();
  const { queue } = useApp();
  const now = useNow(20_000);
  const stored = useLive('batches', ['batches', 'lists', ...HELD_CHANGES], async () => {
    const tx = user.transaction(['batches', 'lists', ...HELD_STORES]);
    const held = await readHeld(tx);
    return {
      rows: (await tx.objectStore('batches').getAll())
        .filter((row) => row.deleted_at === null)
        .sort((a, b) => b.created_at.localeCompare(a.created_at))
        .map((row): ListedBatch => ({ ...row, held: heldOf(row, held) })),
      list: await tx.objectStore('lists').get('batches'),
    };
  });
  const onTablet = useLive(
    'batches-queue',
    ['uploads'],
    async () => (await queue.getAll('uploads')).filter((upload) => upload.step.at !== 'sent').length,
  );
  const rows = stored?.rows ?? [];
  const running = rows.filter((row) => !ENDED.includes(row.status)).length;
  const review = rows.reduce((sum, row) => sum + row.doubtful_sheets, 0);
  const failed = rows.reduce((sum, row) => sum + row.failed_sheets, 0);
  const total = stored?.list?.total ?? rows.length;
  return (
    <>
      <ScreenTitle title={t.title}>
        <a class="button primary" href="/new">
          <Icon name="add" />
          {t.newBatch}
        </a>
      </ScreenTitle>
      {rows.length > 0 && (
        <dl class="figures">
          <Figure label={t.inProgress} value={running} />
          <Figure label={t.doubtful} value={review} />
          <Figure label={t.failed} value={failed} />
          <Figure label={t.here} value={onTablet ?? 0} href="/queue" />
        </dl>
      )}
      <TrueAt at={stored?.list?.true_at} />
      {stored && rows.length === 0 && (
        <Empty title={stored.list ? t.none : t.nothingKept}>
          <p>{stored.list ? t.noneWords : t.nothingKeptWords}</p>
          {(onTablet ?? 0) > 0 && (
            <a class="button" href="/queue">
              {t.uploadsHere(onTablet ?? 0)}
            </a>
          )}
        </Empty>
      )}
      {rows.length > 0 && (
        <>
          <LastOfCentre rows={rows} />
          <List
            name="batches"
            rows={rows}
            columns={columnsFor(me, now)}
            id={(row) => row.batch_id}
            texts={(row) => [row.name, row.batch_id, row.task_id, row.uploaded_by, row.centre]}
            find={t.find}
            noneFound={t.noneFound}
            mark="batch"
            all={t.all}
            choices={BATCH_STATUSES.map((status) => ({
              value: status,
              word: partWords()[status],
              take: (row: ListedBatch) => row.status === status,
            }))}
            total={(found) => {
              // What is not kept here is on the server all the same.
              const all = found === rows.length ? total : found;
              return listed([t.batches(all), total > rows.length ? t.moreThanKept({ kept: rows.length, total }) : '']);
            }}
          />
        </>
      )}
    </>
  );
};

const Figure = ({ label, value, href }: { label: string; value: number; href?: string }) => (
  <div class="figure">
    <dt>{href ? <a href={href}>{label}</a> : label}</dt>
    <dd>{count(value)}</dd>
  </div>
);

export function typeWord(type: string): string {
  const t = listWords();
  if (type === 'zip_with_qr') return t.covers;
  if (type === 'zip_without_qr') return t.oneTask;
  return type === 'images' ? t.images : type;
}

function columnsFor(me: Me, now: number): Column<ListedBatch>[] {
  const t = listWords();
  const columns: Column<ListedBatch>[] = [
    {
      head: t.batch,
      cell: (row) => (
        <>
          <a class="row-link" href={batchPath(row.batch_id)}>
            <bdi>{row.name}</bdi>
          </a>
          <span class="quiet-line">
            {listed([typeWord(row.upload_type), row.task_id ? t.task({ id: row.task_id }) : '', row.centre ?? ''])}
          </span>
          {row.held && (
            <span class="held-some">
              <Icon name="alert" />
              {heldLine(row.held)}
            </span>
          )}
        </>
      ),
      compare: (a, b) => a.name.localeCompare(b.name),
    },
    {
      head: t.status,
      cell: (row) => <StatusPill status={row.status} />,
      compare: (a, b) => BATCH_STATUSES.indexOf(a.status) - BATCH_STATUSES.indexOf(b.status),
    },
    {
      head: t.sheets,
      from: 'wide',
      class: 'bar-cell',
      cell: (row) => <SegmentBar segments={segmentsOf(row, undefined)} />,
      compare: (a, b) => a.total_sheets - b.total_sheets,
    },
    {
      head: t.read,
      number: true,
      cell: (row) => (
        <>
          {count(row.processed_sheets - row.failed_sheets)}
          <span class="quiet-line">{row.total_sheets > 0 ? t.of({ n: row.total_sheets }) : t.ofUnknown}</span>
          {row.failed_sheets > 0 && <span class="failed-some">{t.failedSome(row.failed_sheets)}</span>}
        </>
      ),
    },
  ];
  if (me.is_admin)
    columns.push({
      head: t.uploadedBy,
      from: 'desk',
      cell: (row) => <bdi>{row.uploaded_by}</bdi>,
      compare: (a, b) => a.uploaded_by.localeCompare(b.uploaded_by),
    });
  columns.push({
    head: t.age,
    number: true,
    cell: (row) => ago(row.created_at, now),
    compare: (a, b) => b.created_at.localeCompare(a.created_at),
  });
  return columns;
}

const LAST = 30;
const TONES: Partial<Record<BatchStatus, Tone>> = {
  completed: 'ok',
  completed_with_errors: 'doubt',
  failed: 'bad',
  cancelled: 'wait',
  paused: 'wait',
};
const lasted = (row: BatchRow): number | null =>
  row.processing_completed_at === null ? null : Date.parse(row.processing_completed_at) - Date.parse(row.created_at);

/** How long the last batches took, of all centres or one. */
const LastOfCentre = ({ rows }: { rows: readonly BatchRow[] }) => {
  const t = listWords();
  const centres = useMemo(
    () => [...new Set(rows.flatMap(({ centre }) => (centre === null ? [] : [centre])))].sort(),
    [rows],
  );
  const [chosen, setChosen] = useState('');
  const centre = centres.includes(chosen) ? chosen : '';
  const last = rows.filter((row) => centre === '' || row.centre === centre).slice(0, LAST);
  const bars: Bar[] = last.toReversed().map((row) => {
    const ms = lasted(row);
    return {
      id: row.batch_id,
      words: t.bar({ name: row.name, status: partWords()[row.status], time: ms === null ? '–' : duration(ms) }),
      tone: TONES[row.status] ?? 'run',
      height: ms ?? 0,
    };
  });
  const label = t.lastOf(bars.length, { centre: centre || t.everyCentre });
  const outcomes = BATCH_STATUSES.flatMap((status) => {
    const n = last.filter((row) => row.status === status).length;
    return n === 0 ? [] : [`${partWords()[status]}: ${count(n)}`];
  });
  return (
    <section class="card last-batches" aria-label={label}>
      <div class="last-head">
        <p class="card-title">{label}</p>
        {centres.length > 0 && (
          <select aria-label={t.centre} value={centre} onChange={(event) => setChosen(event.currentTarget.value)}>
            <option value="">{t.everyCentre}</option>
            {centres.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        )}
      </div>
      <Sparkbars bars={bars} label={listed(outcomes)} />
      <p class="quiet-line">{t.barHeight}</p>
    </section>
  );
};
