// Signing in: the one thing that needs the network. Reads who is remembered; calls the session.
import './sign-in.css';
import { useState } from 'preact/hooks';
import { useApp } from '../../app.ts';
import { useLive } from '../../store.ts';
import { Logo } from '../../ui/icons.tsx';
import { Banner, ScreenTitle } from '../../ui/parts.tsx';
import { refusalText } from '../../ui/refusals.ts';
import { LanguageChoice } from '../language-choice.tsx';
import { signInWords } from './words.ts';

export const SignInScreen = ({ again, onCancel }: { again: string | null; onCancel?: () => void }) => {
  const t = signInWords();
  const { session, queue, nudge } = useApp();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const waiting = useLive('sign-in', ['uploads'], async () =>
    (await queue.getAll('uploads')).filter((upload) => upload.step.at !== 'sent'),
  );
  const submit = async (form: HTMLFormElement): Promise<void> => {
    const fields = new FormData(form);
    const username = String(fields.get('username') ?? '').trim();
    const password = String(fields.get('password') ?? '');
    if (username === '' || password === '') {
      setProblem(t.typeBoth);
      return;
    }
    setBusy(true);
    setProblem(undefined);
    const answer = await session.signIn(username, password);
    setBusy(false);
    if (answer.kind === 'unreachable') setProblem(t.unreachable);
    else if (answer.kind === 'refused')
      setProblem(answer.status === 401 ? t.wrong : refusalText(answer.code, answer.detail));
    else {
      nudge();
      onCancel?.();
    }
  };
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
        <ScreenTitle title={again === null ? t.signIn : t.again} />
        {waiting && waiting.length > 0 && (
          <Banner tone="wait" icon="safe">
            {t.safeHere(waiting.length)}
          </Banner>
        )}
        <div class="field">
          <label for="username">{t.username}</label>
          <input
            id="username"
            name="username"
            autocomplete="username"
            autocapitalize="none"
            spellcheck={false}
            defaultValue={again ?? ''}
            aria-invalid={problem !== undefined}
            {...(problem ? { 'aria-describedby': 'sign-in-problem' } : {})}
          />
        </div>
        <div class="field">
          <label for="password">{t.password}</label>
          <input
            id="password"
            name="password"
            type="password"
            autocomplete="current-password"
            aria-invalid={problem !== undefined}
            {...(problem ? { 'aria-describedby': 'sign-in-problem' } : {})}
          />
        </div>
        {problem && (
          <p class="problem" role="alert" id="sign-in-problem">
            {problem}
          </p>
        )}
        <button type="submit" class="button primary wide" disabled={busy}>
          {busy ? t.busy : t.signIn}
        </button>
        {onCancel && (
          <button type="button" class="button quiet wide" onClick={onCancel}>
            {t.notNow}
          </button>
        )}
        <LanguageChoice />
      </form>
    </main>
  );
};
