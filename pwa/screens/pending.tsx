// What is said of an edit that the server has not taken: that it waits, or why it was refused and what can be done.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { useUser } from '../app.ts';
import type { Edit } from '../db.ts';
import { discard, isPending, sendAgain } from '../sync/outbox.ts';
import { Banner, Confirm, Pill } from '../ui/parts.tsx';

export const refusalOf = (edits: readonly Edit[]) => edits.find(({ state }) => state.at === 'refused')?.state ?? null;

export const PendingPill = ({ edits }: { edits: readonly Edit[] }) => {
  if (!edits.some(isPending)) return null;
  return refusalOf(edits) ? (
    <Pill tone="bad" icon="alert">
      Refused
    </Pill>
  ) : (
    <Pill tone="wait" icon="clock">
      Not sent yet
    </Pill>
  );
};

const ADVICE: Record<string, string> = {
  CONFLICT: 'Yours is kept. Compare, then send yours in its place or take the server’s.',
  FORBIDDEN: 'Yours is kept. Ask an admin for the right and send it again, or discard it.',
  VALIDATION_FAILED: 'Yours is kept. Put it right below and save it, or discard it.',
  NOT_FOUND: 'Yours is kept. Ask who can see it, or discard it.',
};

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
  const user = useUser();
  const [leaving, setLeaving] = useState(false);
  const refused = refusalOf(edits);
  if (!edits.some(isPending)) return null;
  const drop = (
    <button type="button" class="button quiet" onClick={() => setLeaving(true)}>
      {refused?.at === 'refused' && refused.code === 'CONFLICT' ? 'Take the server’s' : 'Discard mine'}
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
                {refused.code === 'CONFLICT' ? 'Send mine' : 'Send again'}
              </button>
              {drop}
            </>
          }
        >
          <p>
            <b>{refused.detail}</b> {ADVICE[refused.code] ?? 'Yours is kept. Send it again, or discard it.'}
          </p>
          {children}
        </Banner>
      ) : (
        <Banner tone="wait" icon="clock" actions={drop}>
          Kept on this tablet. It is sent by itself as soon as the server can be reached.
        </Banner>
      )}
      {leaving && (
        <Confirm
          title="Discard your changes?"
          action="Discard them"
          onCancel={() => setLeaving(false)}
          onConfirm={() => {
            setLeaving(false);
            return discard(user, subject);
          }}
        >
          <p>What you changed of {name} and the server does not have is deleted from this tablet.</p>
        </Confirm>
      )}
    </>
  );
};
