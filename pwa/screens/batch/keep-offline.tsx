// "Keep offline": what a person has to look at in this batch is brought onto the device, and how far that is.
import { useUser } from '../../app.ts';
import { forgetPictures } from '../../media/store.ts';
import { useLive } from '../../store.ts';
import { keepBatch, unpinBatch } from '../../sync/feed.ts';
import { Switch } from '../../ui/controls.tsx';
import { bytes } from '../../ui/format.ts';
import { batchWords } from './words.ts';

export const KeepOffline = ({ batch }: { batch: string }) => {
  const t = batchWords();
  const user = useUser();
  const got = useLive(`keep ${batch}`, ['kept', 'keeping', 'pictures'], async () => {
    const kept = await user.get('kept', batch);
    const rows = kept?.pinned ? await user.getAllFromIndex('pictures', 'batch', batch) : [];
    return {
      pinned: kept?.pinned ?? false,
      keeping: kept?.pinned ? await user.get('keeping', batch) : undefined,
      size: rows.reduce((sum, { size }) => sum + size, 0),
    };
  });
  if (!got) return null;
  const { pinned, keeping, size } = got;
  const words = (): string => {
    if (!keeping) return t.keepBegins;
    const { state, none } = keeping;
    const here = keeping.here + none.length;
    if (state === 'whole') return keeping.wanted === 0 ? t.keepNothing : t.keepWhole({ size: bytes(size) });
    const so = { here, of: keeping.wanted, size: bytes(size) };
    if (state === 'no-room') return t.keepFull(so);
    return state === 'cut' ? t.keepCut(so) : t.keepGoing(so);
  };
  return (
    <section class="keep-offline" aria-label={t.keepOffline}>
      <Switch
        label={t.keepOffline}
        on={pinned}
        onChange={async (on) => {
          if (on) return keepBatch(user, batch, true, Date.now());
          await unpinBatch(user, batch, Date.now());
          await forgetPictures(user, batch);
        }}
      />
      <p class="hint" role="status" data-keeping={pinned ? (keeping?.state ?? 'going') : 'off'}>
        {pinned ? words() : t.keepWords}
      </p>
    </section>
  );
};
