// Composition root of the page: databases, session, leader, sender's errands; then the screens.
import './ui/tokens.css';
import './ui/app.css';
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { createApi } from './api.ts';
import { type App, AppContext, createCommands, UserContext } from './app.ts';
import { NewerSchema, onChange, openQueue, openUser, type QueueDb, type UserDb } from './db.ts';
import { createOffice } from './office.ts';
import { route, startRouting } from './route.ts';
import { BatchScreen } from './screens/batch/batch.tsx';
import { BatchesScreen } from './screens/batches/batches.tsx';
import { KeyScreen } from './screens/keys/key.tsx';
import { KeysScreen } from './screens/keys/keys.tsx';
import { NewBatchScreen } from './screens/new-batch/new-batch.tsx';
import { PasswordScreen } from './screens/password/password.tsx';
import { QueueScreen } from './screens/queue/queue.tsx';
import { Shell } from './screens/shell.tsx';
import { SignInScreen } from './screens/sign-in/sign-in.tsx';
import { TaskScreen } from './screens/tasks/task.tsx';
import { TasksScreen } from './screens/tasks/tasks.tsx';
import { UserScreen } from './screens/users/user.tsx';
import { UsersScreen } from './screens/users/users.tsx';
import { startSending } from './sending.ts';
import { createSession, webLock } from './session.ts';
import { useLive } from './store.ts';
import { createLink } from './sync/link.ts';
import { startLive } from './sync/live.ts';
import { mayKeepKeys, mayKeepUsers } from './sync/office.ts';
import { Empty, ScreenTitle } from './ui/parts.tsx';
import { registerWorker } from './update.ts';
import { chooseSenders } from './uploads/sender.ts';

const Screens = ({ app }: { app: App }) => {
  const who = useLive('identity', ['device'], async () => ({ now: await app.session.identity() }));
  const [user, setUser] = useState<UserDb | null>(null);
  const [signingIn, setSigningIn] = useState(false);
  // Without a network it cannot be done, and queueing and reading must go on.
  const [postponed, setPostponed] = useState(false);
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
    return <PasswordScreen username={who.now.me.username} onCancel={() => setPostponed(true)} />;
  if (!user) return null;
  const { me, signed_in } = who.now;
  const nowhere = (
    <>
      <ScreenTitle title="Nothing here" />
      <Empty title={`There is no page ${location.pathname} for you.`}>
        <a class="button" href="/">
          To the batches
        </a>
      </Empty>
    </>
  );
  const screen = (() => {
    switch (route.value.screen) {
      case 'keys':
        return mayKeepKeys(me.role) ? <KeysScreen /> : nowhere;
      case 'key':
        return mayKeepKeys(me.role) ? <KeyScreen key={route.value.id ?? ''} id={route.value.id} me={me} /> : nowhere;
      case 'tasks':
        return mayKeepKeys(me.role) ? <TasksScreen /> : nowhere;
      case 'task':
        return mayKeepKeys(me.role) ? <TaskScreen key={route.value.id ?? ''} id={route.value.id} me={me} /> : nowhere;
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
      case 'batch':
        return <BatchScreen key={route.value.id} id={route.value.id} />;
      case 'nowhere':
        return nowhere;
    }
  })();
  return (
    <UserContext.Provider value={user}>
      <Shell me={me} signedIn={signed_in} onSignIn={() => setSigningIn(true)}>
        {screen}
      </Shell>
    </UserContext.Provider>
  );
};

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
    render(
      <Closed
        title="This address is not secure"
        words="Sheaf needs https, or localhost, to keep bytes on this tablet."
      />,
      root,
    );
    return;
  }
  startRouting();
  const registering = registerWorker();
  let queue: QueueDb;
  try {
    queue = await openQueue();
  } catch (error) {
    const words =
      error instanceof NewerSchema
        ? 'A newer Sheaf was used on this tablet. Load this page again to get it.'
        : `This browser does not let Sheaf keep anything on this tablet: ${error instanceof Error ? error.message : error}.`;
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
    commands: createCommands(queue, sending.wake),
    office: createOffice({ api, session }),
  };
  onChange((stores) => {
    // Reading on would fail on every screen.
    if (stores.includes('queue-gone')) render(<Closed words="Sheaf was updated in another tab." />, root);
  });
  render(
    <AppContext.Provider value={app}>
      <Screens app={app} />
    </AppContext.Provider>,
    root,
  );
  await registering;
  runErrands(app);
  addEventListener('online', sending.wake);
}

const Closed = ({ title = 'Please reload', words }: { title?: string; words: string }) => (
  <main class="sign-in" id="main">
    <div class="card sign-in-card">
      <h1>{title}</h1>
      <p>{words} Nothing that is queued is lost.</p>
      <button type="button" class="button primary wide" onClick={() => location.reload()}>
        Reload
      </button>
    </div>
  </main>
);

start().catch((error: unknown) => {
  reportError(error);
});
