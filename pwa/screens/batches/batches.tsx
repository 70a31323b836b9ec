// The list of batches: reads the stored rows and when they were true; opens one.
import { useState } from 'preact/hooks';
import type { Me } from '../../../shared/protocol/auth.ts';
import { type BatchRow, PAGE_SIZE } from '../../../shared/protocol/batch.ts';
import { ENDED } from '../../../shared/protocol/stage.ts';
import { useApp, useUser } from '../../app.ts';
import { batchPath, go } from '../../route.ts';
import { useLive, useNow } from '../../store.ts';
import { ago, count, plural } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Empty, ScreenTitle, SegmentBar, StatusPill } from '../../ui/parts.tsx';
import { segmentsOf } from '../batch/story.ts';
import { TrueAt } from '../true-at.tsx';

const TYPES: Record<string, string> = { zip_with_qr: 'Covers', zip_without_qr: 'One task', images: 'Images' };

export const BatchesScreen = ({ me }: { me: Me }) => {
  const user = useUser();
  const { queue } = useApp();
  const now = useNow(20_000);
  const [page, setPage] = useState(1);
  const stored = useLive('batches', ['batches', 'lists'], async () => ({
    rows: (await user.getAll('batches')).sort((a, b) => b.created_at.localeCompare(a.created_at)),
    list: await user.get('lists', 'batches'),
  }));
  const onTablet = useLive(
    'batches-queue',
    ['uploads'],
    async () => (await queue.getAll('uploads')).filter((upload) => upload.step.at !== 'sent').length,
  );
  const rows = stored?.rows ?? [];
  const pages = Math.max(1, Math.ceil(rows.length / PAGE_SIZE));
  const shown = rows.slice((page - 1) * PAGE_SIZE, page * PAGE_SIZE);
  const running = rows.filter((row) => !ENDED.includes(row.status)).length;
  const review = rows.reduce((sum, row) => sum + row.doubtful_sheets, 0);
  const failed = rows.reduce((sum, row) => sum + row.failed_sheets, 0);
  return (
    <>
      <ScreenTitle title="Batches">
        <a class="button primary" href="/new">
          <Icon name="add" />
          New batch
        </a>
      </ScreenTitle>
      {rows.length > 0 && (
        <dl class="figures">
          <Figure label="In progress" value={running} />
          <Figure label="Doubtful sheets" value={review} />
          <Figure label="Failed sheets" value={failed} />
          <Figure label="On this tablet" value={onTablet ?? 0} href="/queue" />
        </dl>
      )}
      <TrueAt at={stored?.list?.true_at} />
      {stored && rows.length === 0 && (
        <Empty title={stored.list ? 'No batches yet.' : 'Nothing is kept on this tablet yet.'}>
          <p>
            {stored.list
              ? 'Queue a ZIP of scans: it is read while it is still being sent.'
              : 'The list appears as soon as the server can be reached. A new batch can be queued right now.'}
          </p>
          {(onTablet ?? 0) > 0 && (
            <a class="button" href="/queue">
              {plural(onTablet ?? 0, 'upload')} on this tablet
            </a>
          )}
        </Empty>
      )}
      {rows.length > 0 && (
        <div class="card table-card">
          <table class="table batches">
            <thead>
              <tr>
                <th scope="col">Batch</th>
                <th scope="col">Status</th>
                <th scope="col" class="wide-only">
                  Sheets
                </th>
                <th scope="col" class="number">
                  Read
                </th>
                {me.is_admin && (
                  <th scope="col" class="desk-only">
                    Uploaded by
                  </th>
                )}
                <th scope="col" class="number">
                  Age
                </th>
              </tr>
            </thead>
            <tbody>
              {shown.map((row) => (
                <BatchLine key={row.batch_id} row={row} now={now} admin={me.is_admin} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {rows.length > 0 && (
        <nav class="pager" aria-label="Pages">
          <button type="button" class="button" disabled={page <= 1} onClick={() => setPage(page - 1)}>
            Previous
          </button>
          <span>
            Page {page} of {pages} · {plural(stored?.list?.total ?? rows.length, 'batch').replace(/batchs$/, 'batches')}
          </span>
          <button type="button" class="button" disabled={page >= pages} onClick={() => setPage(page + 1)}>
            Next
          </button>
        </nav>
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

const BatchLine = ({ row, now, admin }: { row: BatchRow; now: number; admin: boolean }) => (
  // The link in the first cell is the control; a tap anywhere in the row is a larger target for it.
  <tr
    class="line"
    data-batch={row.batch_id}
    onClick={(event) => {
      if (!(event.target as Element).closest('a')) go(batchPath(row.batch_id));
    }}
  >
    <th scope="row">
      <a class="row-link" href={batchPath(row.batch_id)}>
        {row.name}
      </a>
      <span class="quiet-line">
        {TYPES[row.upload_type] ?? row.upload_type}
        {row.task_id ? ` · task ${row.task_id}` : ''}
      </span>
    </th>
    <td>
      <StatusPill status={row.status} />
    </td>
    <td class="wide-only bar-cell">
      <SegmentBar segments={segmentsOf(row, undefined)} />
    </td>
    <td class="number">
      {count(row.processed_sheets)}
      <span class="quiet-line">of {row.total_sheets > 0 ? count(row.total_sheets) : '?'}</span>
    </td>
    {admin && <td class="desk-only">{row.uploaded_by}</td>}
    <td class="number">{ago(row.created_at, now)}</td>
  </tr>
);
