// What is said of an edit that the server has not taken: that it waits, or why it was refused and what can be done.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { useUser } from '../app.ts';
import type { Edit } from '../db.ts';
import { discard, isPending, sendAgain } from '../sync/outbox.ts';
import { Banner, Confirm, Pill } from '../ui/parts.tsx';
import { refusal } from '../ui/refusals.ts';
import { pendingWords } from './pending-words.ts';

export const refusalOf = (edits: readonly Edit[]) => edits.find(({ state }) => state.at === 'refused')?.state ?? null;

export const PendingPill = ({ edits }: { edits: readonly Edit[] }) => {
  if (!edits.some(isPending)) return null;
  return refusalOf(edits) ? (
    <Pill tone="bad" icon="alert">
      {pendingWords().refused}
    </Pill>
  ) : (
    <Pill tone="wait" icon="clock">
      {pendingWords().notSent}
    </Pill>
  );
};

function adviceFor(code: string): string {
  const t = pendingWords();
  switch (code) {
    case 'CONFLICT':
    case 'FORBIDDEN':
    case 'VALIDATION_FAILED':
    case 'NOT_FOUND':
      return t[code];
    default:
      return t.other;
  }
}

/** `children`: how the two differ, where it is known. */
export const Pending = ({
  edits,
  subject,
  name,
  children,
}: {
  edits: readonly Edit[];
  subject: string;
  name: string;
  children?: ComponentChildren;
}) => {
  const t = pendingWords();
  const user = useUser();
  const [leaving, setLeaving] = useState(false);
  const refused = refusalOf(edits);
  if (!edits.some(isPending)) return null;
  const said = refused?.at === 'refused' ? refusal(refused.code, refused.detail) : { words: '', beneath: null };
  const drop = (
    <button type="button" class="button quiet" onClick={() => setLeaving(true)}>
      {refused?.at === 'refused' && refused.code === 'CONFLICT' ? t.takeTheirs : t.discardMine}
    </button>
  );
  return (
    <>
      {refused?.at === 'refused' ? (
        <Banner
          tone="bad"
          icon="alert"
          actions={
            <>
              <button type="button" class="button" onClick={() => sendAgain(user, subject)}>
                {refused.code === 'CONFLICT' ? t.sendMine : t.sendAgain}
              </button>
              {drop}
            </>
          }
        >
          <p>
            <b>{said.words}</b> {adviceFor(refused.code)}
          </p>
          {said.beneath && (
            <p class="quiet-line" dir="ltr">
              {said.beneath}
            </p>
          )}
          {children}
        </Banner>
      ) : (
        <Banner tone="wait" icon="clock" actions={drop}>
          {t.kept}
        </Banner>
      )}
      {leaving && (
        <Confirm
          title={t.discardTitle}
          action={t.discardThem}
          onCancel={() => setLeaving(false)}
          onConfirm={() => {
            setLeaving(false);
            return discard(user, subject);
          }}
        >
          <p>{t.discardWords({ name })}</p>
        </Confirm>
      )}
    </>
  );
};
