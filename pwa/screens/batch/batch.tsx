// One batch: reads detail, snapshot, log, groups and sheets as stored; says that somebody wants it, so that it is kept.
import { useEffect } from 'preact/hooks';
import type { BatchDetail, GroupRow } from '../../../shared/protocol/batch.ts';
import { ENDED } from '../../../shared/protocol/stage.ts';
import type { BatchProgress } from '../../../shared/protocol/stream.ts';
import { useApp, useUser } from '../../app.ts';
import { write } from '../../db.ts';
import { useLive, useNow } from '../../store.ts';
import { eventsOf } from '../../sync/pull.ts';
import { bytes, count, duration, plural, when } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Banner, Empty, ScreenTitle, Scroll, SegmentBar, StatusPill } from '../../ui/parts.tsx';
import { TrueAt } from '../true-at.tsx';
import { ActivityLog } from './activity-log.tsx';
import { ResultsTable } from './results-table.tsx';
import { remaining, segmentsOf, sentence, stageViews } from './story.ts';

const TYPES: Record<string, string> = {
  zip_with_qr: 'ZIP with cover sheets',
  zip_without_qr: 'ZIP for one task',
  images: 'Images for one task',
};

export const BatchScreen = ({ id }: { id: string }) => {
  const user = useUser();
  const { nudge } = useApp();
  const now = useNow(1_000);
  useEffect(() => {
    write(user, ['wanted'], (tx) => tx.objectStore('wanted').put({ batch: id, at: Date.now() })).then(nudge, () => {});
  }, [id, user, nudge]);
  const got = useLive(`batch ${id}`, ['details', 'snapshots', 'batches'], async () => ({
    detail: await user.get('details', id),
    row: await user.get('batches', id),
    snapshot: await user.get('snapshots', id),
  }));
  const groups = useLive(`groups ${id}`, ['groups'], async () => user.get('groups', id));
  const sheets = useLive(`sheets ${id}`, ['sheets'], async () => user.getAll('sheets', eventsOf(id)));
  const events = useLive(`events ${id}`, ['events'], async () => user.getAll('events', eventsOf(id)));
  if (!got) return <ScreenTitle title="Batch" />;
  const { detail, row, snapshot } = got;
  const name = detail?.name ?? row?.name ?? 'Batch';
  const items = snapshot?.items;
  return (
    <>
      <a class="back" href="/">
        <Icon name="back" />
        Batches
      </a>
      <ScreenTitle title={name}>
        {(detail ?? row) && <StatusPill status={(detail ?? row)?.status ?? 'uploading'} />}
      </ScreenTitle>
      <TrueAt at={detail?.true_at ?? row?.true_at} />
      {!detail && (
        <Empty title={row ? 'The details of this batch are not on this tablet yet.' : 'This batch is not known here.'}>
          <p>
            {row
              ? 'They are fetched as soon as the server can be reached.'
              : 'If it is one of yours, it appears here as soon as the server can be reached.'}
          </p>
        </Empty>
      )}
      {detail && (
        <>
          <Summary detail={detail} items={items} now={now} />
          <StageStrip detail={detail} now={now} />
          <Facts detail={detail} items={items} now={now} />
          <div class="two-panels">
            <Groups rows={groups?.items} />
            <ActivityLog events={events} startedAt={detail.created_at} />
          </div>
          <ResultsTable key={id} rows={sheets} provisional={detail.provisional} />
        </>
      )}
    </>
  );
};

interface DetailProps {
  detail: BatchDetail;
  items: BatchProgress | undefined;
  now: number;
}

const Summary = ({ detail, items }: DetailProps) => {
  const left = remaining(items);
  return (
    <section class="card summary" aria-label="Summary">
      <p class="sentence" role="status">
        {sentence(detail, items)}
      </p>
      <SegmentBar segments={segmentsOf(detail, items)} legend />
      {!ENDED.includes(detail.status) && items && items.throughput_rate > 0 && (
        <p class="quiet-line">
          {count(Math.round(items.throughput_rate))} sheets a minute{left ? ` · ${left} left` : ''}
        </p>
      )}
      {detail.provisional && detail.processed_sheets > 0 && (
        <Banner tone="run" icon="clock">
          Results are provisional until every byte has arrived and all is loaded.
        </Banner>
      )}
      {detail.error_details && detail.status !== 'failed' && (
        <Banner tone="doubt" icon="alert">
          {detail.error_details}
        </Banner>
      )}
    </section>
  );
};

const StageStrip = ({ detail, now }: { detail: BatchDetail; now: number }) => (
  <section class="card" aria-labelledby="stages-title">
    <h2 id="stages-title" class="card-title">
      Stages
    </h2>
    <ol class="stages">
      {stageViews(detail, now).map((view) => (
        <li
          key={view.stage}
          class={view.state}
          {...(view.state === 'current' ? { 'aria-current': 'step' as const } : {})}
        >
          <span class="stage-dot">
            <Icon
              name={
                view.state === 'done'
                  ? 'done'
                  : view.state === 'failed'
                    ? 'failed'
                    : view.state === 'current'
                      ? 'running'
                      : 'clock'
              }
            />
          </span>
          <span class="stage-word">{view.word}</span>
          <span class="stage-time">
            {view.duration_ms !== null ? duration(view.duration_ms) : view.state === 'to-come' ? 'to come' : '–'}
          </span>
          {view.wait_ms !== null && view.wait_ms >= 1_000 && (
            <span class="stage-wait">waited {duration(view.wait_ms)}</span>
          )}
        </li>
      ))}
    </ol>
  </section>
);

const Facts = ({ detail, now }: DetailProps) => (
  <section class="card" aria-labelledby="facts-title">
    <h2 id="facts-title" class="card-title">
      About this batch
    </h2>
    <dl class="facts">
      <Fact label="Strategy">{TYPES[detail.upload_type] ?? detail.upload_type}</Fact>
      <Fact label="Task">{detail.task_id ?? 'from the covers'}</Fact>
      <Fact label="Uploaded by">{detail.uploaded_by}</Fact>
      <Fact label="Begun">{when(detail.created_at, now)}</Fact>
      <Fact label="Size">{bytes(detail.size)}</Fact>
      <Fact label="Pages">
        {count(detail.total_pages)}{' '}
        <span class="quiet-line inline">
          {plural(detail.covers, 'cover')}, {count(detail.blank_pages)} blank
        </span>
      </Fact>
      <Fact label="Answers">{count(detail.total_answers)}</Fact>
      <Fact label="Doubtful sheets">{count(detail.doubtful_sheets)}</Fact>
    </dl>
    <dl class="facts durations">
      <Fact label="Total time" tone="run">
        {detail.total_duration_ms === null ? '–' : duration(detail.total_duration_ms)}
      </Fact>
      <Fact label="Until reading began" tone="wait">
        {detail.extraction_duration_ms === null ? '–' : duration(detail.extraction_duration_ms)}
      </Fact>
      <Fact label="Reading" tone="ok">
        {detail.omr_duration_ms === null ? '–' : duration(detail.omr_duration_ms)}
      </Fact>
    </dl>
  </section>
);

const Fact = ({ label, tone, children }: { label: string; tone?: string; children: preact.ComponentChildren }) => (
  <div class={`fact ${tone ?? ''}`}>
    <dt>{label}</dt>
    <dd>{children}</dd>
  </div>
);

const GROUP_STATES: Record<GroupRow['state'], string> = {
  'suspect-key': 'another key fits better',
  ok: '',
  'no-cover': 'before the first cover',
  'unreadable-cover': 'cover not readable',
  'maybe-cover': 'behind a page that failed',
  'set-aside': 'set aside',
  'no-task': 'task not known',
};

const Groups = ({ rows }: { rows: GroupRow[] | undefined }) => (
  <section class="card" aria-labelledby="groups-title">
    <h2 id="groups-title" class="card-title">
      Groups {rows && rows.length > 0 && <span class="badge">{count(rows.length)}</span>}
    </h2>
    {!rows || rows.length === 0 ? (
      <p class="quiet-line">Groups appear when the covers have been read.</p>
    ) : (
      <Scroll way="down" name="Groups">
        <table class="table compact">
          <thead>
            <tr>
              <th scope="col">Task</th>
              <th scope="col" class="number">
                Cover
              </th>
              <th scope="col" class="number">
                Sheets
              </th>
              <th scope="col" class="number">
                Failed
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((group) => (
              <tr key={group.group_id}>
                <th scope="row">
                  <span class="digits">{group.task_id ?? 'no task'}</span>
                  {group.state !== 'ok' && (
                    <span class="group-state">
                      <Icon name="alert" />
                      {GROUP_STATES[group.state]}
                    </span>
                  )}
                </th>
                <td class="number">{group.cover_page === null ? '–' : `p. ${count(group.cover_page + 1)}`}</td>
                <td class="number">{count(group.sheets)}</td>
                <td class="number">{count(group.failed_sheets)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    )}
  </section>
);
