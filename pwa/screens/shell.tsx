// The frame around every screen: where one can go, how the sync stands, who is signed in, what is to be said.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { Me, Role } from '../../shared/protocol/auth.ts';
import { useApp, useUser } from '../app.ts';
import { go, type Route, route } from '../route.ts';
import { useLive, useNow } from '../store.ts';
import { mayKeepKeys, mayKeepUsers } from '../sync/office.ts';
import { count, plural, when } from '../ui/format.ts';
import { Icon, Logo } from '../ui/icons.tsx';
import { Banner, Confirm, Pill } from '../ui/parts.tsx';
import type { IconName, Tone } from '../ui/words.ts';
import { applyUpdate, update } from '../update.ts';
import { isFresh } from './link-words.ts';
import { readQueue } from './queue/read.ts';
import { sumUp, viewUpload } from './queue/state.ts';

type Place = { screen: Route['screen']; href: string; icon: IconName; word: string; for?: (role: Role) => boolean };
const PLACES: Place[] = [
  { screen: 'batches', href: '/', icon: 'batches', word: 'Batches' },
  { screen: 'new', href: '/new', icon: 'add', word: 'New batch' },
  { screen: 'queue', href: '/queue', icon: 'queue', word: 'Queue' },
  { screen: 'keys', href: '/keys', icon: 'key', word: 'Answer keys', for: mayKeepKeys },
  { screen: 'tasks', href: '/tasks', icon: 'task', word: 'Tasks', for: mayKeepKeys },
  { screen: 'users', href: '/users', icon: 'users', word: 'Users', for: mayKeepUsers },
];
/** The list that a single thing's screen belongs to. */
const LIST_OF: Partial<Record<Route['screen'], Route['screen']>> = {
  batch: 'batches',
  key: 'keys',
  task: 'tasks',
  user: 'users',
};

export interface ShellProps {
  me: Me;
  signedIn: boolean;
  onSignIn: () => void;
  children: ComponentChildren;
}

export const Shell = ({ me, signedIn, onSignIn, children }: ShellProps) => {
  const { queue, session, commands } = useApp();
  const user = useUser();
  const now = useNow(5_000);
  const edits = useLive('shell-outbox', ['outbox'], () => user.getAll('outbox')) ?? [];
  const refused = edits.filter(({ state }) => state.at === 'refused');
  const [leaving, setLeaving] = useState(false);
  const [later, setLater] = useState(false);
  const stored = useLive('shell', ['uploads', 'chunks', 'device'], async () => ({
    ...(await readQueue(queue)),
    link: await queue.get('device', 'link'),
  }));
  const views = stored?.uploads.map(({ upload, chunks }) => viewUpload(upload, chunks, stored.lease, now)) ?? [];
  const sum = sumUp(views);
  const here = LIST_OF[route.value.screen] ?? route.value.screen;
  const attention = sum.attention + refused.length;
  const places = PLACES.filter((place) => place.for?.(me.role) ?? true);
  const changes = (kind: 'key' | 'task') => edits.filter(({ change }) => change.kind === kind).length;
  const link = stored?.link?.key === 'link' ? stored.link : null;

  const waiting = sum.uploads + edits.length;
  const sync = ((): { tone: Tone; icon: IconName; words: string } => {
    if (sum.work === 'sending')
      return { tone: 'run', icon: 'sending', words: `Sending ${Math.min(sum.done + 1, sum.of)} of ${sum.of}` };
    if (link?.state === 'offline')
      return { tone: 'wait', icon: 'offline', words: `Offline since ${when(link.since, now)}` };
    if (!signedIn)
      return {
        tone: 'doubt',
        icon: 'user',
        words: waiting > 0 ? `Signed out · ${waiting} waiting` : 'Signed out',
      };
    if (!isFresh(link, now)) return { tone: 'wait', icon: 'clock', words: 'Connecting …' };
    if (sum.work === 'waiting' || edits.length > 0)
      return { tone: 'wait', icon: 'clock', words: `Online · ${waiting} waiting` };
    return { tone: 'ok', icon: 'online', words: 'Online' };
  })();
  const copying = commands.staging().length > 0;

  return (
    <div class="shell">
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="/">
          <Logo />
          <span>Sheaf</span>
        </a>
        <div class="top-end">
          {attention > 0 && (
            <a
              class="pill-link"
              href={sum.attention > 0 ? '/queue' : refused[0]?.change.kind === 'task' ? '/tasks' : '/keys'}
            >
              <Pill tone="bad" icon="alert">
                {attention === 1 ? '1 needs attention' : `${attention} need attention`}
              </Pill>
            </a>
          )}
          <span role="status" class="sync" data-sync={sync.words}>
            <Pill tone={sync.tone} icon={sync.icon}>
              {sync.words}
            </Pill>
          </span>
          <button type="button" class="button quiet account" onClick={() => setLeaving(true)}>
            <Icon name="user" />
            <span class="account-name">{me.username}</span>
            <span class="off-screen">: sign out</span>
          </button>
        </div>
      </header>
      <nav class="places" aria-label="Main">
        {places.map((place) => (
          <a
            key={place.screen}
            href={place.href}
            {...(here === place.screen ? { 'aria-current': 'page' as const } : {})}
          >
            <Icon name={place.icon} />
            <span>{place.word}</span>
            <ToBeSent
              n={
                place.screen === 'queue'
                  ? sum.uploads
                  : place.screen === 'keys'
                    ? changes('key')
                    : place.screen === 'tasks'
                      ? changes('task')
                      : 0
              }
            />
          </a>
        ))}
      </nav>
      <main id="main" class="content" tabIndex={-1}>
        {update.value === 'applied-elsewhere' && (
          <Banner
            tone="run"
            icon="running"
            actions={
              <button type="button" class="button" disabled={copying} onClick={() => location.reload()}>
                Reload
              </button>
            }
          >
            Sheaf was updated in another tab.
          </Banner>
        )}
        {update.value === 'agreed' && (
          <Banner tone="run" icon="running">
            The update follows as soon as nothing is being sent.
          </Banner>
        )}
        {update.value === 'ready' && !later && (
          <Banner
            tone="run"
            icon="running"
            actions={
              <>
                <button type="button" class="button quiet" onClick={() => setLater(true)}>
                  Later
                </button>
                <button type="button" class="button" disabled={copying} onClick={applyUpdate}>
                  Update now
                </button>
              </>
            }
          >
            {copying
              ? 'Update ready. It can be applied when copying is done.'
              : 'Update ready. Nothing that is queued is lost.'}
          </Banner>
        )}
        {!signedIn && (
          <Banner
            tone="doubt"
            icon="user"
            actions={
              <button type="button" class="button" onClick={onSignIn}>
                Sign in
              </button>
            }
          >
            Your session has ended. What is on this tablet can be read; new batches are sent after you sign in.
          </Banner>
        )}
        {children}
      </main>
      {leaving && (
        <Confirm
          title={`Sign out ${me.username}?`}
          action="Sign out"
          onCancel={() => setLeaving(false)}
          onConfirm={() => {
            setLeaving(false);
            // Whoever signs in next starts at the beginning.
            go('/');
            return session.signOut();
          }}
        >
          <p>The batches{mayKeepKeys(me.role) ? ', keys and tasks' : ''} kept on this tablet for you are forgotten.</p>
          {edits.length > 0 && (
            <p>
              {plural(edits.length, 'change')} of keys or tasks {edits.length === 1 ? 'has' : 'have'} not been sent.{' '}
              {edits.length === 1 ? 'It stays' : 'They stay'} on this tablet until you sign in here again.
            </p>
          )}
          {sum.kept > 0 && (
            <p>
              {plural(sum.kept, 'upload')} in the queue {sum.kept === 1 ? 'stays' : 'stay'} on this tablet. What the
              server already knows of is still sent; the rest waits until you sign in again.
            </p>
          )}
        </Confirm>
      )}
    </div>
  );
};

const ToBeSent = ({ n }: { n: number }) =>
  n === 0 ? null : (
    <span class="count">
      {count(n)}
      <span class="off-screen"> to be sent</span>
    </span>
  );
