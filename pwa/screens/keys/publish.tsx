// From draft to published: what it would change, asked of the server and shown as it was answered, then the second person.
import './keys.css';
import { useState } from 'preact/hooks';
import type { Me } from '../../../shared/protocol/auth.ts';
import type { KeyAnswer, KeyImpact, KeyProblem } from '../../../shared/protocol/key.ts';
import { useApp, useUser } from '../../app.ts';
import { useLive, useNow } from '../../store.ts';
import { count, points, share, when } from '../../ui/format.ts';
import { Banner, Confirm } from '../../ui/parts.tsx';
import { ProblemList } from './problem-list.tsx';
import { keyWords } from './words.ts';

export const Publish = ({ draft, problems, me }: { draft: KeyAnswer; problems: KeyProblem[]; me: Me }) => {
  const t = keyWords();
  const user = useUser();
  const { office } = useApp();
  const now = useNow(60_000);
  const { key_id, version, rev } = draft;
  const [cut, setCut] = useState('');
  const [busy, setBusy] = useState(false);
  const [asking, setAsking] = useState(false);
  const [trouble, setTrouble] = useState<string | null>(null);
  const stored = useLive(`report ${key_id}`, ['reports'], async () => ({ report: await user.get('reports', key_id) }));
  const kept = stored?.report;
  const report = kept?.version === version && kept.rev === rev ? kept : null;
  const mine = draft.edited_by === me.user_id;
  const errors = problems.some(({ level }) => level === 'error') || report?.validation.publishable === false;
  const run = async (work: () => Promise<string | null>): Promise<void> => {
    setBusy(true);
    setTrouble(await work());
    setBusy(false);
  };
  return (
    <section class="card publish" aria-labelledby="publish-title">
      <h2 id="publish-title" class="card-title">
        {t.publishTitle({ version })}
      </h2>
      <div class="impact-ask">
        <div class="field small">
          <label for="cut">{t.passMark}</label>
          <input id="cut" type="number" step="any" value={cut} onInput={(event) => setCut(event.currentTarget.value)} />
        </div>
        <button
          type="button"
          class="button"
          disabled={busy}
          onClick={() =>
            run(() => office.report(user, { key_id, version, rev }, cut.trim() === '' ? null : Number(cut)))
          }
        >
          {busy ? t.asking : t.showImpact}
        </button>
      </div>
      {report && (
        <>
          <Impact impact={report.impact} cut={report.cut_score} />
          <p class="quiet-line">
            {t.answeredAt({ when: when(report.true_at, now) })}{' '}
            {report.validation.problems.length === 0 ? t.checkClean : t.checkFound(report.validation.problems.length)}
          </p>
          {problems.length === 0 && <ProblemList problems={report.validation.problems} />}
        </>
      )}
      {mine && (
        <Banner tone="wait" icon="user">
          {t.mine}
        </Banner>
      )}
      {trouble && (
        <p class="problem" role="alert">
          {trouble}
        </p>
      )}
      <div class="publish-end">
        <button
          type="button"
          class={`button ${mine ? '' : 'primary'}`}
          disabled={busy || errors}
          onClick={() => setAsking(true)}
        >
          {mine ? t.publishAlone : t.publish}
        </button>
        <p class="hint">{errors ? t.errorsFirst : mine ? t.aloneHint : t.publishHint}</p>
      </div>
      {asking && (
        <Confirm
          title={t.publishAsk({ version, key: key_id })}
          action={t.publish}
          onCancel={() => setAsking(false)}
          onConfirm={() => {
            setAsking(false);
            return run(() => office.publish(user, key_id, rev));
          }}
        >
          <p>{report ? t.wouldChange(report.impact.sheets_changed, { all: report.impact.sheets }) : t.notLooked}</p>
          <p>{t.noWayBack}</p>
        </Confirm>
      )}
    </section>
  );
};

const say = (n: number | null): string => (n === null ? '–' : points(n));
const shift = (n: number | null): string => (n === null ? '' : ` (${n > 0 ? '+' : ''}${points(n)})`);

const Impact = ({ impact, cut }: { impact: KeyImpact; cut: number | null }) => {
  const t = keyWords();
  return (
    <>
      <dl class="figures impact">
        <Figure label={t.sheetsChange} value={t.of({ n: impact.sheets_changed, all: impact.sheets })} />
        <Figure
          label={t.mean}
          value={
            impact.mean_before === null
              ? say(impact.mean_after)
              : `${say(impact.mean_before)} → ${say(impact.mean_after)}${shift(impact.mean_shift)}`
          }
        />
        {cut !== null && <Figure label={t.newlyPassed({ cut: say(cut) })} value={count(impact.newly_passed ?? 0)} />}
        {cut !== null && <Figure label={t.newlyFailed({ cut: say(cut) })} value={count(impact.newly_failed ?? 0)} />}
      </dl>
      {impact.anomalies.length > 0 && (
        <div class="anomalies">
          <p>
            <b>{t.oddTitle}</b> {t.oddWords}
          </p>
          <ul>
            {impact.anomalies.slice(0, 6).map((odd) => (
              <li key={`${odd.variant} ${odd.question}`}>
                {(odd.variant ? t.oddBooklet : t.odd)({
                  booklet: odd.variant,
                  question: odd.question,
                  accepted: odd.accepted,
                  share: share(odd.chosen_share),
                  chosen: odd.chosen || t.nothing,
                })}
              </li>
            ))}
          </ul>
        </div>
      )}
      {impact.biggest_moves.length > 0 && (
        <table class="table compact moves">
          <caption>{t.moves}</caption>
          <thead>
            <tr>
              <th scope="col">{t.roll}</th>
              <th scope="col" class="number">
                {t.before}
              </th>
              <th scope="col" class="number">
                {t.after}
              </th>
            </tr>
          </thead>
          <tbody>
            {impact.biggest_moves.slice(0, 5).map((move) => (
              <tr key={move.sheet_id}>
                <th scope="row">{move.roll ?? t.noRoll}</th>
                <td class="number">{say(move.before)}</td>
                <td class="number">{say(move.after)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
};

const Figure = ({ label, value }: { label: string; value: string }) => (
  <div class="figure">
    <dt>{label}</dt>
    <dd>{value}</dd>
  </div>
);
