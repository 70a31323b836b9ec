// What may be done to a batch now, by whom, and the questions before what cannot be taken back.
import { useState } from 'preact/hooks';
import type { Me } from '../../../shared/protocol/auth.ts';
import type { BatchDetail } from '../../../shared/protocol/batch.ts';
import { ENDED } from '../../../shared/protocol/stage.ts';
import { useApp, useUser } from '../../app.ts';
import { go } from '../../route.ts';
import { toast } from '../../toast.ts';
import { Menu } from '../../ui/controls.tsx';
import { Icon } from '../../ui/icons.tsx';
import { Confirm } from '../../ui/parts.tsx';
import { batchWords } from './words.ts';

type Asking = 'cancel' | 'reprocess' | 'delete' | null;

export const BatchActions = ({
  detail,
  me,
  held,
}: {
  detail: BatchDetail;
  me: Me;
  /** groups wait for somebody: that comes first, and stands beneath */
  held: boolean;
}) => {
  const t = batchWords();
  const user = useUser();
  const { batches } = useApp();
  const [asking, setAsking] = useState<Asking>(null);
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<string | null>(null);
  const { batch_id: id, name, status } = detail;
  const run = async (work: () => Promise<string | null>): Promise<string | null> => {
    setAsking(null);
    setBusy(true);
    const said = await work();
    setBusy(false);
    setTrouble(said);
    return said;
  };
  const alive = !ENDED.includes(status);
  const mayChange = me.role !== 'viewer' && me.role !== 'reviewer';
  const hasResults = status === 'completed' || status === 'completed_with_errors';
  const remove = async (): Promise<void> => {
    if ((await run(() => batches.remove(user, id))) !== null) return;
    toast.value = { words: t.wasDeleted({ name }), undo: () => batches.control(user, id, 'restore') };
    go('/');
  };
  return (
    <>
      <div class="batch-actions">
        {mayChange && alive && status !== 'paused' && (
          <button
            type="button"
            class="button"
            disabled={busy}
            onClick={() => run(() => batches.control(user, id, 'pause'))}
          >
            <Icon name="paused" />
            {t.pause}
          </button>
        )}
        {mayChange && status === 'paused' && (
          <button
            type="button"
            class="button primary"
            disabled={busy}
            onClick={() => run(() => batches.control(user, id, 'resume'))}
          >
            <Icon name="play" />
            {t.resume}
          </button>
        )}
        {mayChange && !alive && detail.failed_sheets > 0 && (
          <button
            type="button"
            class={`button ${held ? '' : 'primary'}`}
            disabled={busy}
            onClick={() => run(() => batches.reprocess(user, id, 'failed'))}
          >
            <Icon name="again" />
            {t.retryFailed}
          </button>
        )}
        {hasResults && (
          <Menu
            id="export"
            label={t.export}
            button={
              <>
                <Icon name="export" />
                <span>{t.export}</span>
              </>
            }
          >
            <button type="button" class="button quiet" onClick={() => run(() => batches.export(detail, 'wide'))}>
              {t.exportWide}
            </button>
            <button type="button" class="button quiet" onClick={() => run(() => batches.export(detail, 'long'))}>
              {t.exportLong}
            </button>
          </Menu>
        )}
        {mayChange && (
          <Menu id="batch-more" label={t.more} button={<Icon name="more" />}>
            {alive && (
              <button type="button" class="button quiet" onClick={() => setAsking('cancel')}>
                <Icon name="stop" />
                {t.cancel}
              </button>
            )}
            {!alive && (
              <button type="button" class="button quiet" onClick={() => setAsking('reprocess')}>
                <Icon name="again" />
                {t.reprocess}
              </button>
            )}
            {me.is_admin && (
              <button type="button" class="button quiet" onClick={() => setAsking('delete')}>
                <Icon name="remove" />
                {t.delete}
              </button>
            )}
          </Menu>
        )}
      </div>
      {trouble && (
        <p class="problem" role="alert">
          {trouble}
        </p>
      )}
      {asking === 'cancel' && (
        <Confirm
          title={t.cancelAsk}
          action={t.cancel}
          onCancel={() => setAsking(null)}
          onConfirm={() => run(() => batches.control(user, id, 'cancel'))}
        >
          <p>{t.cancelWords}</p>
        </Confirm>
      )}
      {asking === 'reprocess' && (
        <Confirm
          title={t.reprocessAsk}
          action={t.reprocess}
          onCancel={() => setAsking(null)}
          onConfirm={() => run(() => batches.reprocess(user, id, 'all'))}
        >
          <p>{t.reprocessWords(detail.total_sheets)}</p>
        </Confirm>
      )}
      {asking === 'delete' && (
        <Confirm
          title={t.deleteAsk({ name })}
          action={t.delete}
          onCancel={() => setAsking(null)}
          onConfirm={() => {
            remove().catch(reportError);
          }}
        >
          <p>{t.deleteWords}</p>
        </Confirm>
      )}
    </>
  );
};
