// Review of one batch, or of all that are kept on this device: what waits, one by one or many alike, a second reading, and
// pages that nobody can place. Reads the store alone; every decision goes into the outbox and counts here at once.
import './review.css';
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Me } from '../../../shared/protocol/auth.ts';
import { residualOf, SURE, wrongAtMost } from '../../../shared/residual.ts';
import { askFor, weightOf } from '../../../shared/review.ts';
import { correctionsOf, pageOf } from '../../../shared/sheet-line.ts';
import { useApp, useUser } from '../../app.ts';
import type { Edit } from '../../db.ts';
import { groupsPath, reviewPath } from '../../route.ts';
import { useLive } from '../../store.ts';
import { decide } from '../../sync/decisions.ts';
import { keepBatch } from '../../sync/feed.ts';
import { holds } from '../../sync/held.ts';
import { sendAgain, unsay } from '../../sync/outbox.ts';
import { Segmented, ShortcutList } from '../../ui/controls.tsx';
import { count, listed, points, share } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Banner, Empty, Pill, ScreenTitle } from '../../ui/parts.tsx';
import { heldLine } from '../held.tsx';
import { heldWords } from '../held-words.ts';
import { TrueAt } from '../true-at.tsx';
import { AlikePanel } from './alike.tsx';
import { MarkPanel, type Said } from './marks.tsx';
import { failedPages, groupRows, PagesPanel } from './pages.tsx';
import { baseOf, type Doubt, inOrder, ORDERS, type Order, secondReadings, waits } from './queue.ts';
import { isTaskless, REVIEW_STORES, type ReviewData, readReview, scoreOf } from './read.ts';
import { fieldWord, reviewKeys, valueWord } from './say.ts';
import { comeBack, currentOf, heard, leave, listOf, START, skip, step } from './walk.ts';
import { reviewWords } from './words.ts';

const MODES = ['marks', 'alike', 'second', 'pages'] as const;
type Mode = (typeof MODES)[number];

/** One decision, or several that were made in one go, so that it can be undone. */
interface Made {
  doubts: readonly Doubt[];
  edits: {
    n: number;
    batch: string;
    items: { sheet_id: string; field: string; value: string | null; before: string | null; base_rev: number }[];
  }[];
  words: string;
  /** whose score it may change, and what it was */
  sheet: { sheet_id: string; score: number | null } | null;
}

const modeWord = (mode: Mode): string => {
  const t = reviewWords();
  return { marks: t.modeMarks, alike: t.modeAlike, second: t.modeSecond, pages: t.modePages }[mode];
};
const orderWord = (order: Order): string => {
  const t = reviewWords();
  return { worst: t.orderWorst, page: t.orderPage, kind: t.orderKind }[order];
};

export const ReviewScreen = ({ batch, groups, me }: { batch: string | null; groups: boolean; me: Me }) => {
  const t = reviewWords();
  const user = useUser();
  const { nudge } = useApp();
  useEffect(() => {
    if (batch !== null) keepBatch(user, batch, false, Date.now()).then(nudge, () => {});
  }, [batch, user, nudge]);
  const data = useLive(`review ${batch ?? ''}`, REVIEW_STORES, () => readReview(user, me, batch));
  const title = batch === null ? t.title : (data?.names.get(batch) ?? t.title);
  return (
    <>
      {batch !== null && (
        <a class="back" href="/review">
          <Icon name="back" />
          {t.toAll}
        </a>
      )}
      <ScreenTitle title={title} />
      {data && data.batches.length > 0 && <TrueAt at={Math.min(...data.batches.map(({ true_at }) => true_at))} />}
      {data?.refused.map((edit) => (
        <Refused key={edit.n} edit={edit} data={data} />
      ))}
      {data && data.batches.length > 0 && (
        <Desk key={batch ?? ''} data={data} me={me} one={batch !== null} first={groups ? 'pages' : 'marks'} />
      )}
      {data && data.batches.length === 0 && batch !== null && (
        <Empty title={t.fetching}>
          <p>{t.fetchingWords}</p>
        </Empty>
      )}
      {data && batch === null && data.known.length === 0 && <Empty title={t.nothingToReview} />}
      {data && batch === null && <Batches data={data} />}
    </>
  );
};

const Refused = ({ edit, data }: { edit: Edit; data: ReviewData }) => {
  const t = reviewWords();
  const user = useUser();
  if (edit.state.at !== 'refused' || edit.change.kind !== 'correct') return null;
  const page = data.pages.get(edit.change.items[0]?.sheet_id ?? '');
  return (
    <Banner
      tone="bad"
      icon="alert"
      actions={
        <>
          <button type="button" class="button" onClick={() => sendAgain(user, edit.subject)}>
            {t.sendAgain}
          </button>
          <button type="button" class="button quiet" onClick={() => unsay(user, edit.n)}>
            {t.discard}
          </button>
        </>
      }
    >
      {t.refused({ page: page ? t.page({ n: pageOf(page.line) + 1 }) : edit.subject, why: edit.state.detail })}
    </Banner>
  );
};

const Batches = ({ data }: { data: ReviewData }) => {
  const t = reviewWords();
  const user = useUser();
  if (data.known.length === 0) return null;
  return (
    <section class="card" aria-labelledby="review-batches">
      <h2 id="review-batches" class="card-title">
        {t.toReview}
      </h2>
      {data.batches.length === 0 && <p class="quiet-line">{t.nothingKeptWords}</p>}
      <ul class="review-batches">
        {data.known.map(({ batch_id, name, doubtful, held, kept }) => (
          <li key={batch_id} class="review-line" data-batch={batch_id}>
            <div class="review-batch">
              <a class="row-link" href={doubtful === 0 && holds(held) ? groupsPath(batch_id) : reviewPath(batch_id)}>
                <bdi>{name}</bdi>
              </a>
              <span class="quiet-line inline">
                {/* "0 sheets" beside what does wait would read as if nothing did. */}
                {listed([doubtful > 0 || !holds(held) ? t.doubtfulSheets(doubtful) : '', held ? heldLine(held) : ''])}
              </span>
            </div>
            {kept ? (
              <Pill tone="ok" icon="safe">
                {t.kept}
              </Pill>
            ) : (
              <button
                type="button"
                class="button"
                aria-label={t.keepNamed({ name })}
                onClick={() => keepBatch(user, batch_id, true, Date.now())}
              >
                {t.keep}
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
};

const Desk = ({ data, me, one, first }: { data: ReviewData; me: Me; one: boolean; first: Mode }) => {
  const t = reviewWords();
  const user = useUser();
  const [mode, setMode] = useState<Mode>(first);
  const [order, setOrder] = useState<Order>('worst');
  const [walk, setWalk] = useState(START);
  const [made, setMade] = useState<readonly Made[]>([]);
  const [undone, setUndone] = useState(false);
  const pages = useMemo(() => data.batches.flatMap((batch) => batch.pages), [data]);
  const stored = useMemo(() => {
    const { mine, elsewhere } = waits(pages, me);
    return { mine, elsewhere, second: secondReadings(pages, me) };
  }, [pages, me.user_id, me.role]);
  const residual = useMemo(() => residualOf(pages), [pages]);
  // A promise about answers is one about scores: what belongs to no task has none.
  const scored = useMemo(() => residualOf(pages.filter((page) => !isTaskless(page))), [pages]);
  const taskless = useMemo(() => pages.filter(isTaskless).length, [pages]);
  const waiting = useMemo(() => groupRows(data).filter(({ waits }) => waits).length + failedPages(data).length, [data]);
  const toGroups = waiting > 0 && <ToGroups data={data} onOpen={() => setMode('pages')} />;
  const doubts = useMemo(
    () => inOrder(mode === 'second' ? stored.second : stored.mine, order),
    [stored, mode === 'second', order],
  );
  useEffect(() => setWalk((before) => heard(before, doubts)), [doubts]);
  const list = listOf(doubts, walk, (all) => inOrder(all, order));
  const current = currentOf(list, walk);
  const last = made.at(-1);

  async function make(
    about: readonly Doubt[],
    fieldIn: (doubt: Doubt) => string,
    valueIn: (doubt: Doubt) => string,
    words: string,
    note: string,
  ): Promise<void> {
    const [first] = about;
    if (!first) return;
    setUndone(false);
    setWalk(
      leave(
        list,
        walk,
        about.map(({ key }) => key),
      ),
    );
    const score = scoreOf(first.page, data.taskOf)?.score ?? null;
    const edits: Made['edits'] = [];
    for (const batch of new Set(about.map(({ page }) => page.batch))) {
      const own = about.filter(({ page }) => page.batch === batch);
      const items = own.map((doubt) => ({
        sheet_id: doubt.page.sheet_id,
        field: fieldIn(doubt),
        value: valueIn(doubt),
        base_rev: baseOf(doubt),
      }));
      const n = await decide(user, batch, items, note.trim() || null);
      edits.push({
        n,
        batch,
        items: items.map((item, i) => ({
          ...item,
          before: own[i]?.page.ruled.get(item.field)?.value ?? null,
        })),
      });
    }
    const sheet = about.length === 1 && first.why !== 'second' ? { sheet_id: first.page.sheet_id, score } : null;
    setMade((before) => [...before, { doubts: about, edits, words, sheet }]);
  }

  async function undo(): Promise<void> {
    if (!last) return;
    setMade((before) => before.slice(0, -1));
    setWalk((before) => comeBack(before, last.doubts));
    setUndone(true);
    for (const { n, batch, items } of last.edits) {
      // Not sent yet: it was never said. Otherwise what stood there before is said again.
      if (await unsay(user, n)) continue;
      await decide(
        user,
        batch,
        items.map(({ sheet_id, field, before, base_rev }) => ({ sheet_id, field, value: before, base_rev })),
      );
    }
  }

  const onSay = (said: Said): void => {
    if (said.what === 'undo') void undo();
    else if (!current) return;
    else if (said.what === 'value') {
      const words = t.decidedLast({ ...where(current), value: valueWord(said.value) });
      void make(
        [current],
        ({ field }) => field,
        () => said.value,
        words,
        said.note,
      );
    } else if (said.what === 'ask') {
      void make(
        [current],
        ({ field }) => askFor(field),
        () => 'true',
        t.askedLast(where(current)),
        said.note,
      );
    } else if (said.what === 'skip') setWalk(skip(list, walk));
    else setWalk(step(list, walk, said.what === 'next' ? 1 : -1));
  };

  return (
    <>
      <Left left={residual.left} residual={scored} taskless={taskless} elsewhere={stored.elsewhere} />
      <div class="review-modes">
        <Segmented
          name="review-mode"
          legend={t.how}
          options={MODES.map((value) => ({
            value,
            word: value === 'pages' && waiting > 0 ? `${modeWord(value)} ${count(waiting)}` : modeWord(value),
          }))}
          value={mode}
          onChange={(next) => {
            setMode(next);
            setWalk(START);
          }}
        />
        {(mode === 'marks' || mode === 'second') && (
          <Segmented
            name="review-order"
            legend={t.order}
            options={ORDERS.map((value) => ({ value, word: orderWord(value) }))}
            value={order}
            onChange={(next) => {
              setOrder(next);
              setWalk((before) => ({ ...before, at: null, late: [] }));
            }}
          />
        )}
      </div>
      {(last || undone || (current && mode !== 'pages')) && (
        <LastMade made={undone ? null : (last ?? null)} undone={undone} data={data} onUndo={undo} />
      )}
      {mode === 'pages' && <PagesPanel data={data} role={me.role} />}
      {mode === 'alike' && (
        <AlikePanel
          doubts={list}
          beneath={toGroups}
          onAccept={(right) =>
            void make(
              right,
              ({ field }) => field,
              ({ read }) => read,
              t.acceptedMany(right.length),
              '',
            )
          }
        />
      )}
      {(mode === 'marks' || mode === 'second') &&
        (current ? (
          <MarkPanel
            doubt={current}
            templates={data.templates}
            place={t.position({ at: list.indexOf(current) + 1, of: list.length })}
            batchName={one ? null : (data.names.get(current.page.batch) ?? null)}
            mayUndo={made.length > 0}
            mayAsk={current.why === 'doubt' && weightOf(me.role) < 2}
            onSay={onSay}
          />
        ) : (
          <Empty title={mode === 'second' ? t.noSecond : waiting > 0 ? t.noMarksLeft : t.noneLeft}>
            {mode === 'second' && <p>{t.noSecondWords}</p>}
            {toGroups}
          </Empty>
        ))}
      {(mode === 'marks' || mode === 'second') && <Keys />}
    </>
  );
};

const where = ({ field, page }: Doubt) => ({ field: fieldWord(field), page: pageOf(page.line) + 1 });

/** Nothing is left to look at in a tab, and yet something waits in another. */
const ToGroups = ({ data, onOpen }: { data: ReviewData; onOpen: () => void }) => {
  const t = reviewWords();
  const lines = [...data.held.values()].filter(holds).map(heldLine);
  const failed = failedPages(data).length;
  return (
    <>
      <p>{listed([...new Set(lines), failed > 0 ? t.failedN(failed) : ''])}</p>
      <button type="button" class="button primary" data-act="to-groups" onClick={onOpen}>
        {heldWords().toGroups}
      </button>
    </>
  );
};

/** @param residual of the sheets that have a task: nothing is promised of the others */
const Left = ({
  left,
  residual,
  taskless,
  elsewhere,
}: {
  left: number;
  residual: ReturnType<typeof residualOf>;
  taskless: number;
  elsewhere: number;
}) => {
  const t = reviewWords();
  const after = wrongAtMost(residual, 'after');
  const now = wrongAtMost(residual, 'now');
  const sure = <span class="quiet-line inline">{t.boundHolds({ share: share(SURE) })}</span>;
  return (
    <p class="review-left" role="status" data-left={left}>
      {left > 0 ? (
        <>
          <b>{t.left(left)}</b>
          {residual.fields > 0 && (
            <>
              {'; '}
              {t.expectAfter(after)}
              {now > after && ` (${t.asItStands(now)})`}
            </>
          )}
          . {residual.fields > 0 && sure}
        </>
      ) : (
        <>
          <b>{taskless > 0 ? t.noMarksLeft : t.noneLeft}</b> {residual.fields > 0 && t.expectNow(after)}{' '}
          {residual.fields > 0 && sure}
        </>
      )}
      {taskless > 0 && ` ${heldWords().without(taskless)}`}
      {elsewhere > 0 && ` ${t.elsewhere(elsewhere)}.`}
    </p>
  );
};

/** What was decided last, and what came of it: the sheet's score as it is now. */
const LastMade = ({
  made,
  undone,
  data,
  onUndo,
}: {
  made: Made | null;
  undone: boolean;
  data: ReviewData;
  onUndo: () => Promise<void>;
}) => {
  const t = reviewWords();
  if (!made)
    return (
      <p class="review-last" role="status">
        {undone ? t.undone : t.lastHere}
      </p>
    );
  const about = made.sheet ? data.pages.get(made.sheet.sheet_id) : undefined;
  const told = about ? [...correctionsOf(about.line), ...about.pending] : [];
  // What was read from the store before this was kept there has the score from before it.
  const page = made.edits.every(({ items }) =>
    items.every(({ field, value }) => told.some((one) => one.field === field && one.value === value)),
  )
    ? about
    : undefined;
  const result = page ? scoreOf(page, data.taskOf) : null;
  const score = result?.score ?? null;
  return (
    <p class="review-last" role="status">
      <span>{made.words}</span>{' '}
      {page &&
        (score === null ? (
          <span>{t.noScore}.</span>
        ) : (
          <span data-score={score}>
            {t.score({ score: points(score), max: points(result?.max_score ?? 0) })}
            {made.sheet?.score !== null && made.sheet?.score !== undefined && made.sheet.score !== score
              ? ` (${t.scoreWas({ score: points(made.sheet.score) })})`
              : ''}
            .
          </span>
        ))}
      <button type="button" class="button quiet" onClick={() => void onUndo()}>
        {t.undo}
      </button>
    </p>
  );
};

const Keys = () => (
  <details class="card review-keys">
    <summary>{reviewWords().keysTitle}</summary>
    <ShortcutList rows={reviewKeys()} />
  </details>
);
