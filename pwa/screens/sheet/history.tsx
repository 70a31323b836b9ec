// What people decided about a page: who, when, what stood there before, what after, and why.
import { useNow } from '../../store.ts';
import { when } from '../../ui/format.ts';
import { Pill } from '../../ui/parts.tsx';
import { roleWords } from '../users/roles.ts';
import { fieldName, valueName } from './say.ts';
import type { Entry } from './view.ts';
import { sheetWords } from './words.ts';

/** @param unsent one of those that the server does not show yet it does not have either */
export const History = ({ entries, unsent }: { entries: readonly Entry[]; unsent: boolean }) => {
  const t = sheetWords();
  const now = useNow(60_000);
  return (
    <section class="card history" aria-labelledby="history-title">
      <h2 id="history-title" class="card-title">
        {t.history}
      </h2>
      {entries.length === 0 ? (
        <p class="quiet-line">{t.noHistory}</p>
      ) : (
        <ol class="history-list">
          {entries.map(({ correction, before, pending }) => {
            const { correction_id, field, value, username, role, at, reason } = correction;
            return (
              <li key={correction_id}>
                <p class="history-what">
                  <b>{fieldName(field)}</b>{' '}
                  <span>{t.was({ before: valueName(field, before), after: valueName(field, value) })}</span>
                </p>
                <p class="quiet-line">
                  <bdi>{username}</bdi> · {roleWords(role).word}
                  {at !== '' && ` · ${when(at, now)}`}
                </p>
                {reason !== null && (
                  <p class="history-why" dir="auto">
                    {reason}
                  </p>
                )}
                {pending && (
                  <Pill tone="wait" icon="clock">
                    {unsent ? t.notSent : t.sent}
                  </Pill>
                )}
              </li>
            );
          })}
        </ol>
      )}
    </section>
  );
};
