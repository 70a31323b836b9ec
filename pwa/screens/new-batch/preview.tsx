// What a batch holds, as far as this device has looked: its groups, what is odd, and a person's word where the pages do
// not tell. What was said travels with the upload.
import './preview.css';
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Settled } from '../../../shared/grouping.ts';
import type { PageCorrection } from '../../../shared/protocol/upload.ts';
import { type LookThrough, lookThrough } from '../../look-through.ts';
import { type Odd, previewOf } from '../../preview/look-at.ts';
import { count } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Pill } from '../../ui/parts.tsx';
import { previewWords } from './preview-words.ts';

/** More groups than these are counted, not drawn. */
const MOST_GROUPS = 60;
const MOST_PAGES = 24;

export interface PreviewProps {
  files: readonly File[];
  zip: boolean;
  /** null: the covers tell */
  typedTask: string | null;
  onGrouping: (grouping: PageCorrection[]) => void;
}

export const PreviewPanel = ({ files, zip, typedTask, onGrouping }: PreviewProps) => {
  const t = previewWords();
  const [look, setLook] = useState<LookThrough | null>(null);
  const [settled, setSettled] = useState<ReadonlyMap<number, Settled>>(new Map());
  useEffect(() => {
    const begun = lookThrough(files, zip);
    setLook(begun);
    setSettled(new Map());
    return () => begun.stop();
  }, [files, zip]);
  const progress = look?.progress.value;
  const preview = useMemo(
    () => progress && previewOf(progress.pages, typedTask, settled, progress.twins),
    [progress?.pages, typedTask, settled],
  );
  if (!look || !progress || !preview) return null;
  const say = (page: number, said: Settled | null): void => {
    const next = new Map(settled);
    if (said) next.set(page, said);
    else next.delete(page);
    setSettled(next);
    onGrouping(
      [...next].map(([page_index, word]) => ({ page_index, name: progress.pages[page_index]?.name ?? '', ...word })),
    );
  };
  const { total, state } = progress;
  const alive = state === 'looking' || state === 'resting';
  const name = files.length === 1 ? (files[0]?.name ?? '') : '';
  const groups = preview.groups.slice(0, MOST_GROUPS);
  return (
    <section class="card preview" aria-label={name ? t.titleOf({ name }) : t.title} data-state={state}>
      <div class="preview-head">
        <h2 class="card-title">{name ? t.titleOf({ name }) : t.title}</h2>
        {alive && (
          <button type="button" class="button quiet" onClick={look.stop}>
            <Icon name="stop" />
            {t.stop}
          </button>
        )}
      </div>
      {state === 'not-readable' ? (
        <p class="hint">{t.notReadable}</p>
      ) : (
        <>
          {total !== null && <progress class="progress" aria-label={t.title} max={total} value={preview.looked} />}
          <p class="hint" role="status">
            {total === null
              ? t.starting
              : state === 'done'
                ? t.done(total)
                : t.looking(total, { done: preview.looked })}{' '}
            {state === 'resting' && t.resting}
            {state === 'stopped' && t.stopped}
          </p>
          <Oddities odd={preview.odd} thumbs={progress.thumbs} quiet={preview.looked > 0} />
          {typedTask === null && groups.length > 0 && (
            <>
              <h3 class="preview-sub">
                {t.groups} <span class="badge">{count(preview.groups.length)}</span>
              </h3>
              <ul class="preview-groups">
                {groups.map((group) => (
                  <li
                    key={group.first_page}
                    data-group={group.first_page + 1}
                    class={group.state === 'ok' ? '' : 'held'}
                  >
                    <Picture blob={progress.thumbs.get(group.cover_page ?? group.first_page)} page={group.first_page} />
                    <div class="preview-group">
                      <p class="preview-task digits">
                        {group.task_id === null ? t.noTask : t.task({ id: group.task_id })}
                      </p>
                      <p class="quiet-line">
                        {t.sheets(group.sheets)} · {t.from({ n: group.first_page + 1 })}
                        {group.failed_sheets > 0 && ` · ${t.failed(group.failed_sheets)}`}
                        {group.on_server > 0 && ` · ${t.onServer(group.on_server)}`}
                      </p>
                      {group.state !== 'ok' && (
                        <Pill tone="doubt" icon="alert">
                          {
                            {
                              'no-cover': t.beforeCover,
                              'unreadable-cover': t.coverUnread,
                              'maybe-cover': t.maybeCover,
                              'set-aside': t.setAside,
                              'ask-server': t.askServer,
                            }[group.state]
                          }
                        </Pill>
                      )}
                      {group.first_page < preview.counted_until && (
                        <Word
                          page={group.first_page}
                          said={settled.get(group.first_page)}
                          first={group === preview.groups[0]}
                          open={group.state !== 'ok' && group.state !== 'ask-server'}
                          onSay={say}
                        />
                      )}
                    </div>
                  </li>
                ))}
              </ul>
              {preview.groups.length > groups.length && (
                <p class="quiet-line">{t.more(preview.groups.length - groups.length)}</p>
              )}
              <Joined settled={settled} onSay={say} />
            </>
          )}
        </>
      )}
    </section>
  );
};

/** What a person may say of a group. Where the cover told it is folded away. */
const Word = ({
  page,
  said,
  first,
  open,
  onSay,
}: {
  page: number;
  said: Settled | undefined;
  first: boolean;
  open: boolean;
  onSay: (page: number, said: Settled | null) => void;
}) => {
  const t = previewWords();
  const [id, setId] = useState('');
  if (said)
    return (
      <p class="preview-word">
        <span class="quiet-line inline">{t.corrected}</span>
        <button type="button" class="button quiet" onClick={() => onSay(page, null)}>
          {t.asRead}
        </button>
      </p>
    );
  return (
    <details class="preview-say" open={open}>
      <summary>
        <Icon name="draft" />
        <span aria-hidden="true">{t.change}</span>
        <span class="off-screen">{t.giveTask({ n: page + 1 })}</span>
      </summary>
      <div class="preview-word">
        <input
          class="digits"
          inputMode="numeric"
          autocomplete="off"
          aria-label={t.giveTask({ n: page + 1 })}
          placeholder="00000000"
          value={id}
          onInput={(event) => {
            const digits = event.currentTarget.value.replace(/\D/g, '').slice(0, 8);
            event.currentTarget.value = digits;
            setId(digits);
          }}
        />
        <button
          type="button"
          class="button"
          disabled={id.length !== 8}
          onClick={() => onSay(page, { what: 'task', task_id: id })}
        >
          {t.set}
        </button>
        {!first && (
          <button type="button" class="button quiet" onClick={() => onSay(page, { what: 'join' })}>
            {t.join}
          </button>
        )}
        <button type="button" class="button quiet" onClick={() => onSay(page, { what: 'set-aside' })}>
          {t.putAside}
        </button>
      </div>
    </details>
  );
};

/** A group that was joined to another has no card any more: here its word can be taken back. */
const Joined = ({
  settled,
  onSay,
}: {
  settled: ReadonlyMap<number, Settled>;
  onSay: (page: number, said: Settled | null) => void;
}) => {
  const t = previewWords();
  const joined = [...settled].filter(([, { what }]) => what === 'join');
  return (
    <>
      {joined.map(([page]) => (
        <p key={page} class="preview-word">
          <span class="quiet-line inline">
            {t.join}, {t.from({ n: page + 1 })}
          </span>
          <button type="button" class="button quiet" onClick={() => onSay(page, null)}>
            {t.asRead}
          </button>
        </p>
      ))}
    </>
  );
};

const ODD = {
  'cover-unread': 'unread',
  'before-cover': 'before',
  'on-server': 'onServerOnly',
  unreadable: 'unreadable',
  turned: 'turned',
  duplicate: 'duplicate',
  blank: 'blank',
} as const satisfies Record<Odd['what'], string>;

const Oddities = ({
  odd,
  thumbs,
  quiet,
}: {
  odd: readonly Odd[];
  thumbs: ReadonlyMap<number, Blob>;
  quiet: boolean;
}) => {
  const t = previewWords();
  if (odd.length === 0) return quiet ? <p class="hint">{t.nothingOdd}</p> : null;
  return (
    <ul class="oddities">
      {odd.map(({ what, pages }) => (
        <li key={what} data-odd={what}>
          <details>
            <summary>
              <Icon name="alert" />
              {t[ODD[what]](pages.length)}
            </summary>
            <div class="odd-pages">
              {pages.slice(0, MOST_PAGES).map((page) => (
                <figure key={page}>
                  <Picture blob={thumbs.get(page)} page={page} />
                  <figcaption>{count(page + 1)}</figcaption>
                </figure>
              ))}
              {pages.length > MOST_PAGES && <span class="quiet-line">{t.andMore(pages.length - MOST_PAGES)}</span>}
            </div>
          </details>
        </li>
      ))}
    </ul>
  );
};

const Picture = ({ blob, page }: { blob: Blob | undefined; page: number }) => {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    if (!blob) return;
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return (
    <span class="preview-picture">
      {url && blob ? <img src={url} alt={previewWords().scanOf({ n: page + 1 })} /> : <Icon name="file" />}
    </span>
  );
};
