// The frame around every screen: where one can go, how the sync stands, who is signed in, what is to be said.
import './shell.css';
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Me, Role } from '../../shared/protocol/auth.ts';
import { useApp, useUser } from '../app.ts';
import type { Edit } from '../db.ts';
import { badge, install, installing } from '../install.ts';
import { batchPath, go, type Route, route } from '../route.ts';
import { useLive, useNow } from '../store.ts';
import { mayKeepKeys, mayKeepUsers, mayReview } from '../sync/office.ts';
import { Menu } from '../ui/controls.tsx';
import { count, when } from '../ui/format.ts';
import { Icon, Logo } from '../ui/icons.tsx';
import { type Command, CommandPalette } from '../ui/palette.tsx';
import { Banner, Confirm, Pill } from '../ui/parts.tsx';
import { createShortcuts } from '../ui/shortcuts.ts';
import type { IconName, Tone } from '../ui/words.ts';
import { applyUpdate, update } from '../update.ts';
import { isFresh } from './link-words.ts';
import { readQueue } from './queue/read.ts';
import { sumUp, viewUpload } from './queue/state.ts';
import { shellWords } from './words.ts';

type Word = 'batches' | 'newBatch' | 'queue' | 'review' | 'keys' | 'tasks' | 'users' | 'settings';
type Place = {
  screen: Route['screen'];
  href: string;
  icon: IconName;
  word: Word;
  keys: string;
  for?: (role: Role) => boolean;
};
const PLACES: Place[] = [
  { screen: 'batches', href: '/', icon: 'batches', word: 'batches', keys: 'g b' },
  { screen: 'new', href: '/new', icon: 'add', word: 'newBatch', keys: 'g n' },
  { screen: 'queue', href: '/queue', icon: 'queue', word: 'queue', keys: 'g q' },
  { screen: 'review', href: '/review', icon: 'review', word: 'review', keys: 'g r', for: mayReview },
  { screen: 'keys', href: '/keys', icon: 'key', word: 'keys', keys: 'g k', for: mayKeepKeys },
  { screen: 'tasks', href: '/tasks', icon: 'task', word: 'tasks', keys: 'g t', for: mayKeepKeys },
  { screen: 'users', href: '/users', icon: 'users', word: 'users', keys: 'g u', for: mayKeepUsers },
  { screen: 'settings', href: '/settings', icon: 'settings', word: 'settings', keys: 'g s' },
];
export const placesFor = (role: Role): Place[] => PLACES.filter((place) => place.for?.(role) ?? true);
/** On the narrowest screens the bar has room for these; the others stand under "More". */
const ALWAYS = 3;
/** The list that a single thing's screen belongs to. */
const LIST_OF: Partial<Record<Route['screen'], Route['screen']>> = {
  batch: 'batches',
  sheet: 'batches',
  key: 'keys',
  task: 'tasks',
  user: 'users',
};

/** Where one sees what was changed here and refused. */
const PLACE_OF = { key: '/keys', task: '/tasks', correct: '/review' } as const;

export interface ShellProps {
  me: Me;
  signedIn: boolean;
  onSignIn: () => void;
  children: ComponentChildren;
}

export const Shell = ({ me, signedIn, onSignIn, children }: ShellProps) => {
  const t = shellWords();
  const { queue, session, commands } = useApp();
  const user = useUser();
  const now = useNow(5_000);
  const edits = useLive('shell-outbox', ['outbox'], () => user.getAll('outbox')) ?? [];
  const refused = edits.filter(({ state }) => state.at === 'refused');
  const [leaving, setLeaving] = useState(false);
  const [later, setLater] = useState(false);
  const [palette, setPalette] = useState<Command[] | null>(null);
  const stored = useLive('shell', ['uploads', 'chunks', 'device'], async () => ({
    ...(await readQueue(queue)),
    link: await queue.get('device', 'link'),
  }));
  const views = stored?.uploads.map(({ upload, chunks }) => viewUpload(upload, chunks, stored.lease, now)) ?? [];
  const sum = sumUp(views);
  const here = LIST_OF[route.value.screen] ?? route.value.screen;
  const attention = sum.attention + refused.length;
  const places = placesFor(me.role);
  const changes = (kind: Edit['change']['kind']) => edits.filter(({ change }) => change.kind === kind).length;
  const link = stored?.link?.key === 'link' ? stored.link : null;
  const waiting = sum.uploads + edits.length;
  useEffect(() => {
    if (stored) badge(waiting);
  }, [stored !== undefined, waiting]);

  const openPalette = async (): Promise<void> => {
    const rows = await user.getAll('batches');
    setPalette([
      ...places.map(({ href, icon, word, keys }) => ({ id: href, icon, word: t[word], keys, run: () => go(href) })),
      { id: 'sign-out', icon: 'user' as const, word: t.signOut, run: () => setLeaving(true) },
      ...rows
        .sort((a, b) => b.created_at.localeCompare(a.created_at))
        .map(({ batch_id, name }) => ({
          id: batch_id,
          icon: 'file' as const,
          word: name,
          run: () => go(batchPath(batch_id)),
        })),
    ]);
  };
  useShortcuts(places, () => {
    openPalette().catch(() => {});
  });

  const sync = ((): { tone: Tone; icon: IconName; words: string } => {
    if (sum.work === 'sending')
      return {
        tone: 'run',
        icon: 'sending',
        words: t.sending({ at: Math.min(sum.done + 1, sum.of), of: sum.of }),
      };
    if (link?.state === 'offline')
      return { tone: 'wait', icon: 'offline', words: t.offline({ time: when(link.since, now) }) };
    if (!signedIn)
      return { tone: 'doubt', icon: 'user', words: waiting > 0 ? t.signedOutWaiting(waiting) : t.signedOut };
    if (!isFresh(link, now)) return { tone: 'wait', icon: 'clock', words: t.connecting };
    if (sum.work === 'waiting' || edits.length > 0)
      return { tone: 'wait', icon: 'clock', words: t.onlineWaiting(waiting) };
    return { tone: 'ok', icon: 'online', words: t.online };
  })();
  const copying = commands.staging().length > 0;
  const toBeSent = (place: Place): number => {
    if (place.screen === 'queue') return sum.uploads;
    if (place.screen === 'review') return changes('correct');
    return place.screen === 'keys' ? changes('key') : place.screen === 'tasks' ? changes('task') : 0;
  };
  const entry = (place: Place, rare: boolean) => (
    <a
      key={place.screen}
      href={place.href}
      class={rare ? 'rare' : ''}
      {...(here === place.screen ? { 'aria-current': 'page' as const } : {})}
    >
      <Icon name={place.icon} />
      <span>{t[place.word]}</span>
      <ToBeSent n={toBeSent(place)} words={t.toBeSent} />
    </a>
  );

  return (
    <div class="shell">
      <a class="skip" href="#main">
        {t.skip}
      </a>
      <header class="top">
        <a class="brand" href="/" aria-label="Sheaf">
          <Logo />
          <span>Sheaf</span>
        </a>
        <div class="top-end">
          <button type="button" class="button quiet find" aria-keyshortcuts="Control+K" onClick={openPalette}>
            <Icon name="search" />
            <span class="off-screen">{t.search}</span>
            <kbd>Ctrl K</kbd>
          </button>
          {attention > 0 && (
            <a class="pill-link" href={sum.attention > 0 ? '/queue' : PLACE_OF[refused[0]?.change.kind ?? 'key']}>
              <Pill tone="bad" icon="alert">
                {t.attention(attention)}
              </Pill>
            </a>
          )}
          <span role="status" class="sync" data-sync={sync.words}>
            <Pill tone={sync.tone} icon={sync.icon}>
              {sync.words}
            </Pill>
          </span>
          {installing.value === 'offered' && (
            <button type="button" class="button install" aria-label={t.install} onClick={install}>
              <Icon name="install" />
              <span>{t.install}</span>
            </button>
          )}
          <a class="button quiet account" href="/settings" aria-label={t.account({ name: me.username })}>
            <Icon name="user" />
            <bdi class="account-name">{me.username}</bdi>
          </a>
          <button type="button" class="button quiet sign-out" aria-label={t.signOut} onClick={() => setLeaving(true)}>
            <Icon name="leave" />
            <span>{t.signOut}</span>
          </button>
        </div>
      </header>
      <nav class="places" aria-label={t.main}>
        {places.map((place, index) => entry(place, index >= ALWAYS))}
        <div class="more">
          <Menu
            id="more-places"
            label={t.more}
            button={
              <>
                <Icon name="more" />
                <span>{t.more}</span>
              </>
            }
          >
            {places.slice(ALWAYS).map((place) => entry(place, false))}
          </Menu>
        </div>
      </nav>
      <main id="main" class="content" tabIndex={-1}>
        {update.value === 'applied-elsewhere' && (
          <Banner
            tone="run"
            icon="running"
            actions={
              <button type="button" class="button" disabled={copying} onClick={() => location.reload()}>
                {t.reload}
              </button>
            }
          >
            {t.updatedElsewhere}
          </Banner>
        )}
        {update.value === 'agreed' && (
          <Banner tone="run" icon="running">
            {t.updateFollows}
          </Banner>
        )}
        {update.value === 'ready' && !later && (
          <Banner
            tone="run"
            icon="running"
            actions={
              <>
                <button type="button" class="button quiet" onClick={() => setLater(true)}>
                  {t.later}
                </button>
                <button type="button" class="button" disabled={copying} onClick={applyUpdate}>
                  {t.updateNow}
                </button>
              </>
            }
          >
            {copying ? t.updateAfterCopy : t.updateReady}
          </Banner>
        )}
        {!signedIn && (
          <Banner
            tone="doubt"
            icon="user"
            actions={
              <button type="button" class="button" onClick={onSignIn}>
                {t.signIn}
              </button>
            }
          >
            {t.sessionEnded}
          </Banner>
        )}
        {children}
      </main>
      {palette && <CommandPalette commands={palette} onClose={() => setPalette(null)} />}
      {leaving && (
        <Confirm
          title={t.signOutAsk({ name: me.username })}
          action={t.signOut}
          onCancel={() => setLeaving(false)}
          onConfirm={() => {
            setLeaving(false);
            // Whoever signs in next starts at the beginning.
            go('/');
            return session.signOut();
          }}
        >
          <p>{mayKeepKeys(me.role) ? t.forgottenOffice : t.forgotten}</p>
          {edits.length > 0 && <p>{t.changesStay(edits.length)}</p>}
          {sum.kept > 0 && <p>{t.uploadsStay(sum.kept)}</p>}
        </Confirm>
      )}
    </div>
  );
};

const ToBeSent = ({ n, words }: { n: number; words: string }) =>
  n === 0 ? null : (
    <span class="count">
      {count(n)}
      <span class="off-screen">{words}</span>
    </span>
  );

/** `g b` and the like go places, `j` and `k` walk through the rows of a list, `/` finds in it. */
function useShortcuts(places: readonly Place[], onPalette: () => void): void {
  const known = places.map(({ keys }) => keys).join();
  useEffect(() => {
    const typed = createShortcuts([...known.split(','), 'j', 'k', '/', 'mod+k', '?']);
    const walk = (step: 1 | -1): void => {
      const links = [...document.querySelectorAll<HTMLElement>('main .row-link')];
      const at = links.indexOf(document.activeElement as HTMLElement);
      links[at < 0 ? 0 : Math.max(0, Math.min(links.length - 1, at + step))]?.focus();
    };
    const listen = (event: KeyboardEvent): void => {
      const { target } = event;
      if (document.querySelector('dialog[open]')) return;
      const inField = target instanceof HTMLElement && target.matches('input:not([type=radio]), textarea, select');
      const found = typed({
        key: event.key,
        ctrl: (event.ctrlKey || event.metaKey) && !event.altKey,
        inField,
        at: event.timeStamp,
      });
      if (found === null) return;
      event.preventDefault();
      if (found === 'mod+k') onPalette();
      else if (found === '?') go('/settings');
      else if (found === '/') document.querySelector<HTMLElement>('[data-shortcut="/"]')?.focus();
      else if (found === 'j' || found === 'k') walk(found === 'j' ? 1 : -1);
      else go(PLACES.find(({ keys }) => keys === found)?.href ?? '/');
    };
    addEventListener('keydown', listen);
    return () => removeEventListener('keydown', listen);
  }, [known]);
}
