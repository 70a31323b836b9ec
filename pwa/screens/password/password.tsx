// Choosing one's own password, before the server does anything else for an account that somebody else made.
import { useState } from 'preact/hooks';
import { useApp } from '../../app.ts';
import { Logo } from '../../ui/icons.tsx';
import { ScreenTitle } from '../../ui/parts.tsx';

/** The server's own rule; it looks at more than the length. */
const SHORTEST = 10;

export const PasswordScreen = ({ username, onCancel }: { username: string; onCancel: () => void }) => {
  const { session, nudge } = useApp();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const submit = async (form: HTMLFormElement): Promise<void> => {
    const fields = new FormData(form);
    const [current, next, again] = ['current', 'next', 'again'].map((name) => String(fields.get(name) ?? ''));
    if (!current || !next) return setProblem('Type your present password and a new one.');
    if (next.length < SHORTEST) return setProblem(`Use at least ${SHORTEST} characters.`);
    if (next !== again) return setProblem('The two new passwords differ.');
    setBusy(true);
    setProblem(undefined);
    const answer = await session.changePassword(current, next);
    setBusy(false);
    if (answer.kind === 'ok') nudge();
    else if (answer.kind === 'unreachable') setProblem('The server cannot be reached. Try again with a network.');
    else setProblem(answer.errors[0]?.message ?? answer.detail);
  };
  const described = problem ? { 'aria-invalid': true, 'aria-describedby': 'password-problem' } : {};
  return (
    <main class="sign-in" id="main">
      <form
        class="card sign-in-card"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          return submit(event.currentTarget);
        }}
      >
        <div class="brand">
          <Logo />
          <span>Sheaf</span>
        </div>
        <ScreenTitle title="Choose your own password" />
        <p class="hint">Somebody else made your account. Until the password is yours alone, the server waits.</p>
        <input
          class="off-screen"
          name="username"
          autocomplete="username"
          value={username}
          readOnly
          tabIndex={-1}
          aria-hidden="true"
        />
        <div class="field">
          <label for="current">Present password</label>
          <input id="current" name="current" type="password" autocomplete="current-password" {...described} />
        </div>
        <div class="field">
          <label for="next">New password</label>
          <input id="next" name="next" type="password" autocomplete="new-password" {...described} />
        </div>
        <div class="field">
          <label for="again">New password again</label>
          <input id="again" name="again" type="password" autocomplete="new-password" {...described} />
        </div>
        {problem && (
          <p class="problem" role="alert" id="password-problem">
            {problem}
          </p>
        )}
        <button type="submit" class="button primary wide" disabled={busy}>
          {busy ? 'Changing …' : 'Change it'}
        </button>
        <button type="button" class="button quiet wide" onClick={onCancel}>
          Not now
        </button>
      </form>
    </main>
  );
};
