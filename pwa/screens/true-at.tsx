// "Last true at 10:42": said wherever stored things are shown while the server cannot be asked.
import { useApp } from '../app.ts';
import { useLive, useNow } from '../store.ts';
import { when } from '../ui/format.ts';
import { Icon } from '../ui/icons.tsx';
import { partWords } from '../ui/part-words.ts';
import { isFresh } from './link-words.ts';

export const TrueAt = ({ at }: { at: number | undefined }) => {
  const { queue } = useApp();
  const now = useNow(20_000);
  const link = useLive('true-at', ['device'], async () => queue.get('device', 'link'));
  if (at === undefined || link?.key !== 'link' || isFresh(link, now)) return null;
  return (
    <p class="true-at">
      <Icon name="offline" />
      <span>{partWords().keptAt({ time: when(at, now) })}</span>
    </p>
  );
};
