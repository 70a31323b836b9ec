// Composition root of the page: databases, session, leader, sender's errands; then the screens.
import './ui/tokens.css';
import './ui/app.css';
import { type ComponentChildren, render } from 'preact';
import { useEffect, useErrorBoundary, useState } from 'preact/hooks';
import { createApi } from './api.ts';
import { type App, AppContext, createCommands, UserContext } from './app.ts';
import { createBatchActions } from './batch-actions.ts';
import { NewerSchema, onChange, openQueue, openUser, type QueueDb, type UserDb } from './db.ts';
import { listenForInstall, listenOutside } from './install.ts';
import { applyLooks } from './looks.ts';
import { createPictures } from './media/pictures.ts';
import { createOffice } from './office.ts';
import { go, route, startRouting } from './route.ts';
import { BatchesScreen } from './screens/batches/batches.tsx';
import { lazily } from './screens/lazily.tsx';
import { Shell } from './screens/shell.tsx';
import { SignInScreen } from './screens/sign-in/sign-in.tsx';
import { closedWords, shellWords } from './screens/words.ts';
import { startSending } from './sending.ts';
import { createSession, webLock } from './session.ts';
import { useLive } from './store.ts';
import { createLink } from './sync/link.ts';
import { startLive } from './sync/live.ts';
import { mayKeepKeys, mayKeepUsers, mayReview } from './sync/office.ts';
import { toast } from './toast.ts';
import { Toast } from './ui/controls.tsx';
import { language } from './ui/language.ts';
import { Empty, ScreenTitle } from './ui/parts.tsx';
import { registerWorker } from './update.ts';
import { chooseSenders } from './uploads/sender.ts';

// The app opens on the list; the other screens come while somebody looks at it.
const BatchScreen = lazily(async () => (await import('./screens/batch/batch.tsx')).BatchScreen, 'soon');
const NewBatchScreen = lazily(async () => (await import('./screens/new-batch/new-batch.tsx')).NewBatchScreen, 'soon');
const QueueScreen = lazily(async () => (await import('./screens/queue/queue.tsx')).QueueScreen, 'soon');
const SettingsScreen = lazily(async () => (await import('./screens/settings/settings.tsx')).SettingsScreen, 'soon');
const PasswordScreen = lazily(async () => (await import('./screens/password/password.tsx')).PasswordScreen);
// Review, keys, tasks and users are the office's: a tablet at a centre never asks for them.
const ReviewScreen = lazily(async () => (await import('./screens/review/review.tsx')).ReviewScreen);
const KeysScreen = lazily(async () => (await import('./screens/keys/keys.tsx')).KeysScreen);
const KeyScreen = lazily(async () => (await import('./screens/keys/key.tsx')).KeyScreen);
const TasksScreen = lazily(async () => (await import('./screens/tasks/tasks.tsx')).TasksScreen);
const TaskScreen = lazily(async () => (await import('./screens/tasks/task.tsx')).TaskScreen);
const UsersScreen = lazily(async () => (await import('./screens/users/users.tsx')).UsersScreen);
const SheetScreen = lazily(async () => (await import('./screens/sheet/sheet.tsx')).SheetScreen);
const UserScreen = lazily(async () => (await import('./screens/users/user.tsx')).UserScreen);

/** A fault in one screen: what was half drawn is taken away and it is said; the other places stay open. */
const Guarded = ({ path, children }: { path: string; children: ComponentChildren }) => {
  const [fault, forget] = useErrorBoundary((caught) => reportError(caught));
  useEffect(forget, [path]);
  if (fault === undefined) return children;
  return (
    <Empty title={closedWords().failed}>
      <p>
        {String(fault)}. {closedWords().nothingLost}
      </p>
      <button type="button" class="button primary" onClick={() => location.reload()}>
        {closedWords().reload}
      </button>
    </Empty>
  );
};

/** All of it is drawn anew in another language. */
const Spoken = ({ app }: { app: App }) => {
  const [code, setCode] = useState(language.get());
  useEffect(() => language.listen((next) => setCode(next)), []);
  return <Screens key={code} app={app} />;
};

const Screens = ({ app }: { app: App }) => {
  const who = useLive('identity', ['device'], async () => ({ now: await app.session.identity() }));
  const [user, setUser] = useState<UserDb | null>(null);
  const [signingIn, setSigningIn] = useState(false);
  // Without a network it cannot be done, and queueing and reading must go on.
  const [postponed, setPostponed] = useState(false);
  const [changing, setChanging] = useState(false);
  const userId = who?.now?.me.user_id;
  useEffect(() => {
    if (userId === undefined) return;
    const opening = openUser(userId);
    opening.then(setUser, (error: unknown) => {
      if (!(error instanceof NewerSchema)) throw error;
      location.reload();
    });
    return () => {
      setUser(null);
      opening.then((db) => db.close()).catch(() => {});
    };
  }, [userId]);
  if (!who) return null;
  if (!who.now) return <SignInScreen again={null} />;
  if (signingIn && !who.now.signed_in)
    return <SignInScreen again={who.now.me.username} onCancel={() => setSigningIn(false)} />;
  if (who.now.me.must_change_password && who.now.signed_in && !postponed)
    return <PasswordScreen due username={who.now.me.username} onDone={() => setPostponed(true)} />;
  if (changing) return <PasswordScreen due={false} username={who.now.me.username} onDone={() => setChanging(false)} />;
  if (!user) return null;
  const { me, signed_in } = who.now;
  const t = shellWords();
  const nowhere = (
    <>
      <ScreenTitle title={t.nowhere} />
      <Empty title={t.noPage({ path: location.pathname })}>
        <a class="button" href="/">
          {t.toBatches}
        </a>
      </Empty>
    </>
  );
  const screen = (() => {
    switch (route.value.screen) {
      case 'review':
        return mayReview(me.role) ? (
          <ReviewScreen
            key={`${route.value.batch ?? ''} ${route.value.groups ?? ''}`}
            batch={route.value.batch}
            groups={route.value.groups ?? false}
            me={me}
          />
        ) : (
          nowhere
        );
      case 'keys':
        return mayKeepKeys(me.role) ? <KeysScreen /> : nowhere;
      case 'key':
        return mayKeepKeys(me.role) ? <KeyScreen key={route.value.id ?? ''} id={route.value.id} me={me} /> : nowhere;
      case 'tasks':
        return mayKeepKeys(me.role) ? <TasksScreen /> : nowhere;
      case 'task':
        return mayKeepKeys(me.role) ? (
          <TaskScreen
            key={`${route.value.id ?? ''} ${route.value.number ?? ''}`}
            id={route.value.id}
            number={route.value.number ?? null}
            me={me}
          />
        ) : (
          nowhere
        );
      case 'users':
        return mayKeepUsers(me.role) ? <UsersScreen /> : nowhere;
      case 'user':
        return mayKeepUsers(me.role) ? <UserScreen key={route.value.id ?? ''} id={route.value.id} me={me} /> : nowhere;
      case 'batches':
        return <BatchesScreen me={me} />;
      case 'new':
        return <NewBatchScreen me={me} />;
      case 'queue':
        return <QueueScreen userId={me.user_id} />;
      case 'settings':
        return <SettingsScreen me={me} onPassword={() => setChanging(true)} />;
      case 'batch':
        return <BatchScreen key={route.value.id} id={route.value.id} me={me} />;
      case 'sheet':
        return <SheetScreen batch={route.value.batch} page={route.value.page} me={me} />;
      case 'nowhere':
        return nowhere;
    }
  })();
  return (
    <UserContext.Provider value={user}>
      <Shell me={me} signedIn={signed_in} onSignIn={() => setSigningIn(true)}>
        <Guarded path={location.pathname}>{screen}</Guarded>
      </Shell>
      {toast.value && (
        <Toast
          key={toast.value.words}
          words={toast.value.words}
          onClose={() => {
            toast.value = null;
          }}
          {...(toast.value.undo ? { onUndo: undo } : {})}
        />
      )}
    </UserContext.Provider>
  );
};

async function undo(): Promise<void> {
  const trouble = await toast.value?.undo?.();
  toast.value = typeof trouble === 'string' ? { words: trouble } : null;
}

/** How often copies whose tab is gone are looked for. */
const INTERRUPTED_MS = 5_000;

/** What is looked at when the app comes into view, when the network may be back, and now and then. */
function runErrands(app: App): void {
  // One that fails (the database was closed under us) is run again soon.
  const look = () => void app.commands.lookForInterrupted().catch(() => {});
  const comeBack = (): void => {
    if (document.visibilityState !== 'visible') return;
    app.nudge();
    look();
  };
  document.addEventListener('visibilitychange', comeBack);
  // Hints only: what is believed is the answer, or the silence, that follows.
  addEventListener('online', comeBack);
  addEventListener('offline', comeBack);
  setInterval(look, INTERRUPTED_MS);
  comeBack();
}

async function start(): Promise<void> {
  const root = document.getElementById('app') as HTMLElement;
  if (!isSecureContext || !('locks' in navigator)) {
    render(<Closed title={closedWords().insecure} words={closedWords().insecureWords} />, root);
    return;
  }
  listenForInstall();
  await applyLooks();
  startRouting();
  const registering = registerWorker();
  let queue: QueueDb;
  try {
    queue = await openQueue();
  } catch (error) {
    const words =
      error instanceof NewerSchema
        ? closedWords().newer
        : closedWords().noStore({ why: error instanceof Error ? error.message : String(error) });
    render(<Closed words={words} />, root);
    return;
  }
  await chooseSenders(queue, location.search);
  const api = createApi({ heard: createLink(queue).heard });
  const session = createSession({ queue, api, exclusively: webLock, now: () => performance.now() });
  const sending = startSending({ queue, api, session });
  const live = startLive({
    queue,
    api,
    session,
    standBehind: sending.standBehind,
    signal: new AbortController().signal,
  });
  const app: App = {
    queue,
    session,
    nudge: live.nudge,
    commands: createCommands(queue, sending),
    office: createOffice({ api, session }),
    batches: createBatchActions({ api, session, nudge: live.nudge }),
    pictures: createPictures({ api, session, now: Date.now }),
  };
  onChange((stores) => {
    // Reading on would fail on every screen.
    if (stores.includes('queue-gone')) render(<Closed words={closedWords().updated} />, root);
  });
  render(
    <AppContext.Provider value={app}>
      <Spoken app={app} />
    </AppContext.Provider>,
    root,
  );
  listenOutside(() => go('/new'));
  await registering;
  runErrands(app);
  addEventListener('online', sending.wake);
}

const Closed = ({ title = closedWords().pleaseReload, words }: { title?: string; words: string }) => (
  <main class="sign-in" id="main">
    <div class="card sign-in-card">
      <h1>{title}</h1>
      <p>
        {words} {closedWords().nothingLost}
      </p>
      <button type="button" class="button primary wide" onClick={() => location.reload()}>
        {closedWords().reload}
      </button>
    </div>
  </main>
);

start().catch((error: unknown) => {
  reportError(error);
});
