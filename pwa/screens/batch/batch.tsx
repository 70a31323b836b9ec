// One batch: reads detail, snapshot, log, groups and sheets as stored; says that somebody wants it, so that it is kept.
import './batch.css';
import { useEffect, useMemo } from 'preact/hooks';
import type { Me } from '../../../shared/protocol/auth.ts';
import type { BatchDetail, GroupRow } from '../../../shared/protocol/batch.ts';
import { ENDED } from '../../../shared/protocol/stage.ts';
import type { BatchProgress } from '../../../shared/protocol/stream.ts';
import { useApp, useUser } from '../../app.ts';
import { write } from '../../db.ts';
import { groupsPath, pagePath } from '../../route.ts';
import { useLive, useNow } from '../../store.ts';
import { HELD_CHANGES, HELD_STORES, type Held, isUnplaced, readHeld } from '../../sync/held.ts';
import { mayKeepKeys, mayReview } from '../../sync/office.ts';
import { bytes, count, duration, share, when } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { partWords } from '../../ui/part-words.ts';
import { Banner, Empty, ScreenTitle, Scroll, SegmentBar, StatusPill } from '../../ui/parts.tsx';
import { HeldBanners, MakeTask } from '../held.tsx';
import { TrueAt } from '../true-at.tsx';
import { BatchActions } from './actions.tsx';
import { ActivityLog } from './activity-log.tsx';
import { withEarlier } from './feed.ts';
import { ItemFeed } from './item-feed.tsx';
import { KeepOffline } from './keep-offline.tsx';
import { ResultsTable } from './results-table.tsx';
import { ROW_STORES, readRows } from './rows.ts';
import { type Connection, connectionOf, remaining, segmentsOf, sentence, stageViews } from './story.ts';
import { useEvents } from './use-events.tsx';
import { batchWords } from './words.ts';

export const BatchScreen = ({ id, me }: { id: string; me: Me }) => {
  const t = batchWords();
  const user = useUser();
  const { nudge, queue, batches } = useApp();
  const now = useNow(1_000);
  useEffect(() => {
    write(user, ['wanted'], (tx) => tx.objectStore('wanted').put({ batch: id, at: Date.now() })).then(nudge, () => {});
  }, [id, user, nudge]);
  const got = useLive(`batch ${id}`, ['details', 'snapshots', 'batches', 'cursors', 'device'], async () => {
    const link = await queue.get('device', 'link');
    const tx = user.transaction(['details', 'snapshots', 'batches', 'cursors']);
    return {
      link,
      detail: await tx.objectStore('details').get(id),
      row: await tx.objectStore('batches').get(id),
      snapshot: await tx.objectStore('snapshots').get(id),
      cursor: await tx.objectStore('cursors').get(id),
    };
  });
  const held = useLive(`held ${id}`, HELD_CHANGES, async () =>
    (await readHeld(user.transaction(HELD_STORES), id)).get(id),
  );
  const groups = useLive(`groups ${id}`, ['groups'], async () => user.get('groups', id));
  const sheets = useLive(`sheets ${id}`, ROW_STORES, () => readRows(user, me, id, mayReview(me.role)));
  const log = useEvents(id);
  const feed = useMemo(() => withEarlier(log?.rows ?? [], sheets ?? []), [log?.rows, sheets]);
  if (!got) return <ScreenTitle title={t.batch} />;
  const { detail, row, snapshot, cursor, link } = got;
  const name = detail?.name ?? row?.name ?? t.batch;
  const items = snapshot?.items;
  const online = !(link?.key === 'link' && link.state === 'offline');
  const connection = connectionOf((detail ?? row)?.status, cursor, online, now);
  return (
    <>
      <a class="back" href="/">
        <Icon name="back" />
        {t.back}
      </a>
      <ScreenTitle title={name}>
        <div class="batch-state">
          <ConnectionDot connection={connection} />
          {(detail ?? row) && <StatusPill status={(detail ?? row)?.status ?? 'uploading'} />}
        </div>
      </ScreenTitle>
      <TrueAt at={detail?.true_at ?? row?.true_at} />
      {!detail && (
        <Empty title={row ? t.notHere : t.unknown}>
          <p>{row ? t.notHereWords : t.unknownWords}</p>
        </Empty>
      )}
      {detail?.deleted_at && (
        <Banner
          tone="bad"
          icon="remove"
          actions={
            me.is_admin && (
              <button type="button" class="button" onClick={() => batches.control(user, id, 'restore')}>
                {partWords().undo}
              </button>
            )
          }
        >
          {t.deleted}
        </Banner>
      )}
      {detail && (
        <>
          <Summary detail={detail} items={items} now={now} me={me} held={held} />
          <StageStrip detail={detail} now={now} />
          <Facts detail={detail} items={items} groups={groups?.items ?? []} now={now} />
          <div class="two-panels">
            <ItemFeed batch={id} rows={feed} alive={!ENDED.includes(detail.status)} />
            <ActivityLog events={log?.events} startedAt={detail.created_at} />
          </div>
          <KeepOffline batch={id} />
          <Groups batch={id} rows={groups?.items} held={held} me={me} alive={!ENDED.includes(detail.status)} />
          <ResultsTable key={id} batch={id} rows={sheets} provisional={detail.provisional} />
        </>
      )}
    </>
  );
};

const DOTS = {
  live: 'connected',
  connecting: 'connecting',
  lost: 'reconnecting',
  ended: 'ended',
} as const satisfies Record<Connection, string>;

const ConnectionDot = ({ connection }: { connection: Connection }) =>
  connection === 'ended' ? null : (
    <span class={`connection ${connection}`} role="status">
      <i aria-hidden="true" />
      {batchWords()[DOTS[connection]]}
    </span>
  );

interface DetailProps {
  detail: BatchDetail;
  items: BatchProgress | undefined;
  now: number;
}

const Summary = ({ detail, items, me, held }: DetailProps & { me: Me; held: Held | undefined }) => {
  const t = batchWords();
  const left = remaining(items);
  const alive = !ENDED.includes(detail.status);
  const segments = segmentsOf(detail, items);
  const total = segments.reduce((sum, { value }) => sum + value, 0);
  const done = segments
    .filter(({ tone }) => tone === 'ok' || tone === 'bad')
    .reduce((sum, { value }) => sum + value, 0);
  return (
    <section class={`card summary ${detail.status}`} aria-label={t.summary}>
      <div class="summary-head">
        <p class="sentence" role="status">
          {sentence(detail, items)}
        </p>
        <BatchActions detail={detail} me={me} held={!alive && held !== undefined && held.groups > 0} />
      </div>
      {!alive && held && <HeldBanners batch={detail.batch_id} held={held} role={me.role} />}
      <div class="summary-bar">
        <SegmentBar segments={segments} legend />
        {total > 0 && <span class="percentage">{share(Math.floor((100 * done) / total) / 100)}</span>}
      </div>
      {alive && items && items.throughput_rate > 0 && (
        <p class="quiet-line">
          {t.rate(Math.round(items.throughput_rate))}
          {left ? ` · ${t.left({ time: left })}` : ''}
        </p>
      )}
      {detail.provisional && detail.processed_sheets > 0 && (
        <Banner tone="run" icon="clock">
          {t.provisional}
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

const STAGE_ICONS = { done: 'done', failed: 'failed', current: 'running', 'to-come': 'clock' } as const;

const StageStrip = ({ detail, now }: { detail: BatchDetail; now: number }) => {
  const t = batchWords();
  return (
    <section class="card" aria-labelledby="stages-title">
      <h2 id="stages-title" class="card-title">
        {t.stages}
      </h2>
      <ol class="stages">
        {stageViews(detail, now).map((view) => (
          <li
            key={view.stage}
            class={view.state}
            {...(view.state === 'current' ? { 'aria-current': 'step' as const } : {})}
          >
            <span class="stage-dot">
              <Icon name={STAGE_ICONS[view.state]} />
            </span>
            <span class="stage-word">{view.word}</span>
            <span class="stage-time">
              {view.duration_ms !== null ? duration(view.duration_ms) : view.state === 'to-come' ? t.stageToCome : '–'}
            </span>
            {view.wait_ms !== null && view.wait_ms >= 1_000 && (
              <span class="stage-wait">{t.waited({ time: duration(view.wait_ms) })}</span>
            )}
          </li>
        ))}
      </ol>
      <Durations detail={detail} />
    </section>
  );
};

/** First byte to first page read, and from there to the end: the two parts of the whole, in proportion. */
const Durations = ({ detail }: { detail: BatchDetail }) => {
  const t = batchWords();
  const { total_duration_ms: total, extraction_duration_ms: until, omr_duration_ms: reading } = detail;
  const say = (ms: number | null): string => (ms === null ? '–' : duration(ms));
  return (
    <div class="durations">
      {total !== null && until !== null && reading !== null && total > 0 && (
        <div class="duration-bar" aria-hidden="true">
          <span class="wait" style={{ flexGrow: until / total }} />
          <span class="ok" style={{ flexGrow: reading / total }} />
        </div>
      )}
      <dl class="facts">
        <Fact label={t.totalTime} tone="run">
          {say(total)}
        </Fact>
        <Fact label={t.untilReading} tone="wait">
          {say(until)}
        </Fact>
        <Fact label={t.reading} tone="ok">
          {say(reading)}
        </Fact>
      </dl>
    </div>
  );
};

function strategyWord(type: string): string {
  const t = batchWords();
  if (type === 'zip_with_qr') return t.zipCovers;
  if (type === 'zip_without_qr') return t.zipTask;
  return type === 'images' ? t.imagesTask : type;
}

/** What all groups have in common, or null; how many there are, to say that they differ. */
const common = <V extends string | number>(values: (V | null)[]): V | null => {
  const known = new Set(values.filter((value) => value !== null));
  return known.size === 1 ? ([...known][0] ?? null) : null;
};

const Facts = ({ detail, items, groups, now }: DetailProps & { groups: GroupRow[] }) => {
  const t = batchWords();
  const tasks = new Set(groups.flatMap(({ task_id }) => (task_id === null ? [] : [task_id])));
  const key = common(groups.map(({ key_id }) => key_id));
  const version = common(groups.map(({ key_version }) => key_version));
  const expected = groups.reduce((sum, { expected_count }) => sum + (expected_count ?? 0), 0);
  const until = detail.processing_completed_at === null ? now : Date.parse(detail.processing_completed_at);
  /** A batch of a whole exam has hundreds of them. */
  const list = (values: (string | null)[]): string => {
    const all = [...new Set(values.filter((value) => value !== null))];
    const rest = all.length > 3 ? [`+${count(all.length - 2)}`] : [];
    return [...(rest.length > 0 ? all.slice(0, 2) : all), ...rest].join(', ') || '–';
  };
  return (
    <section class="card" aria-labelledby="facts-title">
      <h2 id="facts-title" class="card-title">
        {t.about}
      </h2>
      <dl class="facts">
        <Fact label={t.exam}>{list(groups.map(({ exam }) => exam))}</Fact>
        <Fact label={t.centre}>{list([detail.centre, ...groups.map(({ centre }) => centre)])}</Fact>
        <Fact label={t.task}>
          {detail.task_id ?? (tasks.size === 1 ? [...tasks][0] : tasks.size > 1 ? t.several(tasks.size) : t.fromCovers)}
        </Fact>
        <Fact label={t.template}>{list(groups.map(({ template_id }) => template_id))}</Fact>
        <Fact label={t.key}>
          {key === null
            ? list(groups.map(({ key_id }) => key_id))
            : version === null
              ? key
              : t.keyVersion({ key, version })}
        </Fact>
        <Fact label={t.expected}>
          {expected > 0 ? t.expectedOf({ n: expected, read: detail.total_sheets }) : count(detail.total_sheets)}
        </Fact>
        <Fact label={t.strategy}>{strategyWord(detail.upload_type)}</Fact>
        <Fact label={t.uploadedBy}>{detail.uploaded_by}</Fact>
        <Fact label={t.begun}>{when(detail.created_at, now)}</Fact>
        <Fact label={t.elapsed}>{duration(Math.max(0, until - Date.parse(detail.created_at)))}</Fact>
        <Fact label={t.throughput}>{throughput(detail, items)}</Fact>
        <Fact label={t.size}>{bytes(detail.size)}</Fact>
        <Fact label={t.pages}>
          {count(detail.total_pages)}{' '}
          <span class="quiet-line inline">
            {t.covers(detail.covers)}, {t.blank(detail.blank_pages)}
          </span>
        </Fact>
        <Fact label={t.answers}>{count(detail.total_answers)}</Fact>
        <Fact label={t.doubtfulSheets}>{count(detail.doubtful_sheets)}</Fact>
      </dl>
    </section>
  );
};

function throughput(detail: BatchDetail, items: BatchProgress | undefined): string {
  const t = batchWords();
  if (!ENDED.includes(detail.status)) return items ? t.rate(Math.round(items.throughput_rate)) : '–';
  const ms = detail.omr_duration_ms;
  return ms === null || ms === 0 ? '–' : t.rate(Math.round((60_000 * detail.processed_sheets) / ms));
}

const Fact = ({ label, tone, children }: { label: string; tone?: string; children: preact.ComponentChildren }) => (
  <div class={`fact ${tone ?? ''}`}>
    <dt>{label}</dt>
    <dd>{children}</dd>
  </div>
);

const GROUP_STATES = {
  'suspect-key': 'suspectKey',
  'no-cover': 'beforeFirst',
  'unreadable-cover': 'coverUnread',
  'no-task': 'taskUnknown',
  'maybe-cover': 'maybeCover',
  'set-aside': 'setAside',
} as const;

/** Why a group is odd; where it can be settled it leads there. */
const GroupState = ({ batch, group, held, me, alive }: GroupsProps & { group: GroupRow }) => {
  const t = batchWords();
  if (group.state === 'ok') return null;
  const word = (
    <>
      <Icon name="alert" />
      {t[GROUP_STATES[group.state]]}
    </>
  );
  const { task_id } = group;
  if (!alive && isUnplaced(group) && mayReview(me.role))
    return (
      <a class="group-state" href={groupsPath(batch)}>
        {word}
      </a>
    );
  if (!alive && mayKeepKeys(me.role) && held?.tasks.some((one) => one.task_id === task_id))
    return (
      <>
        <span class="group-state">{word}</span>
        <MakeTask task={task_id ?? ''} role={me.role} quiet />
      </>
    );
  return <span class="group-state">{word}</span>;
};

interface GroupsProps {
  batch: string;
  held: Held | undefined;
  me: Me;
  /** groups are settled when it has ended */
  alive: boolean;
}

const Groups = ({ rows, ...about }: GroupsProps & { rows: GroupRow[] | undefined }) => {
  const { batch } = about;
  const t = batchWords();
  return (
    <section class="card" aria-labelledby="groups-title">
      <h2 id="groups-title" class="card-title">
        {t.groups} {rows && rows.length > 0 && <span class="badge">{count(rows.length)}</span>}
      </h2>
      {!rows || rows.length === 0 ? (
        <p class="quiet-line">{t.noGroups}</p>
      ) : (
        <Scroll way="down" name={t.groups}>
          <table class="table compact">
            <thead>
              <tr>
                <th scope="col">{t.task}</th>
                <th scope="col" class="number">
                  {t.cover}
                </th>
                <th scope="col" class="number">
                  {t.sheets}
                </th>
                <th scope="col" class="number">
                  {t.itemFailed}
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((group) => (
                <tr key={group.group_id}>
                  <th scope="row">
                    <span class="digits">{group.task_id ?? t.noTask}</span>
                    <GroupState group={group} {...about} />
                  </th>
                  <td class="number">
                    {group.cover_page === null ? (
                      '–'
                    ) : (
                      <a href={pagePath(batch, group.cover_page)}>{t.page({ n: group.cover_page + 1 })}</a>
                    )}
                  </td>
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
};
