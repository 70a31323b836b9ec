// From draft to published: what it would change, asked of the server and shown as it was answered, then the second person.
import { useState } from 'preact/hooks';
import type { Me } from '../../../shared/protocol/auth.ts';
import type { KeyAnswer, KeyImpact, KeyProblem } from '../../../shared/protocol/key.ts';
import { useApp, useUser } from '../../app.ts';
import { useLive, useNow } from '../../store.ts';
import { count, plural, when } from '../../ui/format.ts';
import { Banner, Confirm } from '../../ui/parts.tsx';
import { ProblemList } from './problem-list.tsx';

export const Publish = ({ draft, problems, me }: { draft: KeyAnswer; problems: KeyProblem[]; me: Me }) => {
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
        Publish version {version}
      </h2>
      <div class="impact-ask">
        <div class="field small">
          <label for="cut">Pass mark, if any</label>
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
          {busy ? 'Asking …' : 'Show the impact'}
        </button>
      </div>
      {report && (
        <>
          <Impact impact={report.impact} cut={report.cut_score} />
          <p class="quiet-line">
            As the server answered at {when(report.true_at, now)}.{' '}
            {report.validation.problems.length === 0
              ? 'Its own check found nothing.'
              : `Its own check found ${plural(report.validation.problems.length, 'problem')}.`}
          </p>
          {problems.length === 0 && <ProblemList problems={report.validation.problems} />}
        </>
      )}
      {mine && (
        <Banner tone="wait" icon="user">
          You edited this draft last, so another supervisor publishes it.
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
          {mine ? 'Publish alone' : 'Publish'}
        </button>
        <p class="hint">
          {errors
            ? 'Put the errors right first.'
            : mine
              ? 'Only where nobody else could: it is written down that one person did both.'
              : 'A published version never changes. Sheets that go by it are scored at once.'}
        </p>
      </div>
      {asking && (
        <Confirm
          title={`Publish version ${version} of ${key_id}?`}
          action="Publish"
          onCancel={() => setAsking(false)}
          onConfirm={() => {
            setAsking(false);
            return run(() => office.publish(user, key_id, rev));
          }}
        >
          <p>
            {report
              ? `${plural(report.impact.sheets_changed, 'sheet')} of ${count(report.impact.sheets)} would get another score.`
              : 'You have not looked at what it changes. Cancel, and show the impact first.'}
          </p>
          <p>It cannot be taken back; a next version can.</p>
        </Confirm>
      )}
    </section>
  );
};

const points = new Intl.NumberFormat('en', { maximumFractionDigits: 2 });
const say = (n: number | null): string => (n === null ? '–' : points.format(n));
const shift = (n: number | null): string => (n === null ? '' : ` (${n > 0 ? '+' : ''}${points.format(n)})`);

const Impact = ({ impact, cut }: { impact: KeyImpact; cut: number | null }) => (
  <>
    <dl class="figures impact">
      <Figure label="Sheets that change" value={`${count(impact.sheets_changed)} of ${count(impact.sheets)}`} />
      <Figure
        label="Mean score"
        value={
          impact.mean_before === null
            ? say(impact.mean_after)
            : `${say(impact.mean_before)} → ${say(impact.mean_after)}${shift(impact.mean_shift)}`
        }
      />
      {cut !== null && <Figure label={`Newly at ${say(cut)} or above`} value={count(impact.newly_passed ?? 0)} />}
      {cut !== null && <Figure label={`Newly below ${say(cut)}`} value={count(impact.newly_failed ?? 0)} />}
    </dl>
    {impact.anomalies.length > 0 && (
      <div class="anomalies">
        <p>
          <b>Questions to look at again:</b> the best candidates chose another answer.
        </p>
        <ul>
          {impact.anomalies.slice(0, 6).map((odd) => (
            <li key={`${odd.variant} ${odd.question}`}>
              {odd.variant ? `Booklet ${odd.variant}, question` : 'Question'} {odd.question}: {odd.accepted} is
              accepted, {Math.round(odd.chosen_share * 100)} % of them chose {odd.chosen || 'nothing'}
            </li>
          ))}
        </ul>
      </div>
    )}
    {impact.biggest_moves.length > 0 && (
      <table class="table compact moves">
        <caption>Biggest moves</caption>
        <thead>
          <tr>
            <th scope="col">Roll</th>
            <th scope="col" class="number">
              Before
            </th>
            <th scope="col" class="number">
              After
            </th>
          </tr>
        </thead>
        <tbody>
          {impact.biggest_moves.slice(0, 5).map((move) => (
            <tr key={move.sheet_id}>
              <th scope="row">{move.roll ?? 'no roll number'}</th>
              <td class="number">{say(move.before)}</td>
              <td class="number">{say(move.after)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    )}
  </>
);

const Figure = ({ label, value }: { label: string; value: string }) => (
  <div class="figure">
    <dt>{label}</dt>
    <dd>{value}</dd>
  </div>
);
