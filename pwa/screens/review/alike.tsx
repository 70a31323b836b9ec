// Many snippets that were read the same, at once: the odd one stands out. Those that are picked out are left for one by
// one; the others are accepted in one go.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { pageOf } from '../../../shared/sheet-line.ts';
import { snippetOf } from '../../media/pictures.ts';
import { Snippet } from '../../media/snippet.tsx';
import { Icon } from '../../ui/icons.tsx';
import { Empty } from '../../ui/parts.tsx';
import { alike, type Doubt } from './queue.ts';
import { fieldWord, kindWord, valueWord } from './say.ts';
import { reviewWords } from './words.ts';

/** As many as are looked at without scrolling far. */
const AT_ONCE = 24;

export const AlikePanel = ({
  doubts,
  beneath,
  onAccept,
}: {
  doubts: readonly Doubt[];
  /** said when none is left */
  beneath: ComponentChildren;
  onAccept: (right: readonly Doubt[]) => void;
}) => {
  const t = reviewWords();
  const [chosen, setChosen] = useState<string | null>(null);
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  /** picked out on an earlier page */
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const groups = alike(doubts.filter(({ key }) => !left.has(key)));
  const group = groups.find(({ name }) => name === chosen) ?? groups[0];
  if (!group) return <Empty title={t.alikeNone}>{beneath}</Empty>;
  const shown = group.doubts.slice(0, AT_ONCE);
  const right = shown.filter(({ key }) => !picked.has(key));
  const pick = (key: string): void =>
    setPicked((before) => {
      const next = new Set(before);
      if (!next.delete(key)) next.add(key);
      return next;
    });
  return (
    <section class="card review-alike" aria-labelledby="alike-title">
      <div class="card-head">
        <h2 id="alike-title" class="card-title">
          {t.alikeName({
            value: t.readAs({ value: valueWord(group.read) }),
            kind: kindWord(group.kind),
            n: group.doubts.length,
          })}
        </h2>
        <div class="field">
          <label for="alike-which">{t.alikeWhich}</label>
          <select id="alike-which" value={group.name} onChange={(event) => setChosen(event.currentTarget.value)}>
            {groups.map(({ name, read, kind, doubts: own }) => (
              <option key={name} value={name}>
                {t.alikeName({ value: valueWord(read), kind: kindWord(kind), n: own.length })}
              </option>
            ))}
          </select>
        </div>
      </div>
      <p class="hint">{t.alikeWords}</p>
      <ul class="alike-grid">
        {shown.map((doubt) => {
          const where = { field: fieldWord(doubt.field), page: pageOf(doubt.page.line) + 1 };
          return (
            <li key={doubt.key}>
              <button
                type="button"
                class="alike-one"
                aria-pressed={picked.has(doubt.key)}
                data-doubt={doubt.key}
                onClick={() => pick(doubt.key)}
              >
                <Snippet of={snippetOf(doubt.page.batch, doubt.page.batch_no, doubt.page.line, doubt.field)} alt="" />
                <span class="alike-name">
                  {picked.has(doubt.key) && <Icon name="failed" />}
                  {t.ofPage(where)}
                  {picked.has(doubt.key) && `: ${t.pickedOut}`}
                </span>
              </button>
            </li>
          );
        })}
      </ul>
      <div class="review-actions">
        <button
          type="button"
          class="button primary"
          data-act="all-right"
          onClick={() => {
            setLeft(new Set([...left, ...shown.map(({ key }) => key).filter((key) => picked.has(key))]));
            setPicked(new Set());
            if (right.length > 0) onAccept(right);
          }}
        >
          <Icon name="done" />
          {right.length > 0 ? t.allRight(right.length) : t.next}
        </button>
        {shown.length > right.length && <span class="hint">{t.pickedN(shown.length - right.length)}</span>}
      </div>
    </section>
  );
};
