// Choosing one's own password: because somebody else made the account, or because one wants another.
import '../sign-in/sign-in.css';
import { useState } from 'preact/hooks';
import { useApp } from '../../app.ts';
import { TextField } from '../../ui/controls.tsx';
import { Logo } from '../../ui/icons.tsx';
import { ScreenTitle } from '../../ui/parts.tsx';
import { refusalText } from '../../ui/refusals.ts';
import { signInWords } from '../sign-in/words.ts';

/** The server's own rule; it looks at more than the length. */
const SHORTEST = 10;
type Field = 'current' | 'next' | 'again';

export const PasswordScreen = ({
  username,
  due,
  onDone,
}: {
  username: string;
  /** the server waits for it */
  due: boolean;
  onDone: () => void;
}) => {
  const t = signInWords();
  const { session, nudge } = useApp();
  const [busy, setBusy] = useState(false);
  const [problems, setProblems] = useState<Partial<Record<Field, string>>>({});
  const [trouble, setTrouble] = useState<string>();
  const complain = (field: Field, words: string): void => {
    setProblems({ [field]: words });
    document.getElementById(field)?.focus();
  };
  const submit = async (form: HTMLFormElement): Promise<void> => {
    const fields = new FormData(form);
    const text = (name: Field): string => String(fields.get(name) ?? '');
    setTrouble(undefined);
    if (text('current') === '') return complain('current', t.typePresent);
    if (text('next') === '') return complain('next', t.typeNext);
    if (text('next').length < SHORTEST) return complain('next', t.tooShort({ n: SHORTEST }));
    if (text('next') !== text('again')) return complain('again', t.differ);
    setProblems({});
    setBusy(true);
    const answer = await session.changePassword(text('current'), text('next'));
    setBusy(false);
    if (answer.kind === 'ok') {
      nudge();
      onDone();
    } else if (answer.kind === 'unreachable') setTrouble(t.needsNetwork);
    else {
      const [error] = answer.errors;
      if (error?.field === 'new_password') complain('next', error.message);
      else if (error?.field === 'current_password') complain('current', error.message);
      else setTrouble(refusalText(answer.code, error?.message ?? answer.detail));
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
        <ScreenTitle title={due ? t.chooseOwn : t.change} />
        <p class="hint">{due ? t.whyOwn : t.whyChange}</p>
        <input
          class="off-screen"
          name="username"
          autocomplete="username"
          value={username}
          readOnly
          tabIndex={-1}
          aria-hidden="true"
        />
        <TextField
          id="current"
          label={t.present}
          type="password"
          autocomplete="current-password"
          problem={problems.current}
        />
        <TextField id="next" label={t.next} type="password" autocomplete="new-password" problem={problems.next} />
        <TextField
          id="again"
          label={t.nextAgain}
          type="password"
          autocomplete="new-password"
          problem={problems.again}
        />
        {trouble && (
          <p class="problem" role="alert">
            {trouble}
          </p>
        )}
        <button type="submit" class="button primary wide" disabled={busy}>
          {busy ? t.changing : t.changeIt}
        </button>
        <button type="button" class="button quiet wide" onClick={onDone}>
          {t.notNow}
        </button>
      </form>
    </main>
  );
};
