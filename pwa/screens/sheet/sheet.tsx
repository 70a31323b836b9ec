// One page of a batch: its scan to be looked at closely with what was read drawn over it, the same as a table, its history, and
// decisions made from there. Reads what is kept on this device; says that somebody wants the batch, so that it is kept.
import './sheet.css';
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Homography } from '../../../shared/omr/warp.ts';
import type { Me } from '../../../shared/protocol/auth.ts';
import type { SheetReading } from '../../../shared/protocol/reading.ts';
import { useApp, useUser } from '../../app.ts';
import { KEPT_PX } from '../../media/keep.ts';
import { pageOf, readingOf } from '../../media/pictures.ts';
import { nameOf } from '../../media/store.ts';
import { usePicture } from '../../media/use-picture.tsx';
import { mediaWords } from '../../media/words.ts';
import { batchPath, go, pagePath } from '../../route.ts';
import { useLive } from '../../store.ts';
import { DECIDED_STORES } from '../../sync/decisions.ts';
import { keepBatch } from '../../sync/feed.ts';
import { mayReview } from '../../sync/office.ts';
import { unsay } from '../../sync/outbox.ts';
import { Spinner } from '../../ui/controls.tsx';
import { count } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Banner, Empty, Pill, ScreenTitle } from '../../ui/parts.tsx';
import { TrueAt } from '../true-at.tsx';
import { FieldEditor } from './field-editor.tsx';
import { FieldTable } from './field-table.tsx';
import { History } from './history.tsx';
import { LAYERS, type Layer, LayerSign, Overlay } from './overlay.tsx';
import { around, fieldAt, fieldFrame, place, turned } from './place.ts';
import { fieldName, valueName } from './say.ts';
import { type FieldView, fieldViews, type PageView, readPageView } from './view.ts';
import { sheetWords } from './words.ts';
import type { Size } from './zoom.ts';
import { ZoomBox } from './zoom-box.tsx';

export const SheetScreen = ({ batch, page, me }: { batch: string; page: number; me: Me }) => {
  const t = sheetWords();
  const user = useUser();
  const { nudge } = useApp();
  useEffect(() => {
    keepBatch(user, batch, false, Date.now()).then(nudge, () => {});
  }, [batch, user, nudge]);
  const view = useLive(`page ${batch} ${page}`, [...DECIDED_STORES, 'templates'], () =>
    readPageView(user, me, batch, page, mayReview(me.role)),
  );
  const name = useLive(`name ${batch}`, ['batches'], async () => (await user.get('batches', batch))?.name);
  const shown = view === undefined || view === null || view === 'gone' ? null : view;
  useLayoutEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        (event.target as Element).closest('input:not([type=checkbox], [type=radio]), textarea, dialog')
      )
        return;
      const to = event.key === 'p' ? shown?.previous : event.key === 'n' ? shown?.next : null;
      if (to !== null && to !== undefined) go(pagePath(batch, to));
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, [batch, shown?.previous, shown?.next]);
  return (
    <>
      <a class="back" href={batchPath(batch)}>
        <Icon name="back" />
        <bdi>{name ?? t.toBatch}</bdi>
      </a>
      <ScreenTitle title={t.page({ n: page + 1 })}>
        {shown && (
          <nav class="page-steps" aria-label={t.page({ n: page + 1 })}>
            <Step to={shown.previous} batch={batch} icon="back" word={t.previous} />
            <Step to={shown.next} batch={batch} icon="forward" word={t.next} />
          </nav>
        )}
      </ScreenTitle>
      <TrueAt at={shown?.true_at} />
      {view === null && (
        <Empty title={t.notKept}>
          <p>{t.notKeptWords}</p>
        </Empty>
      )}
      {view === 'gone' && <Empty title={t.gone} />}
      {shown && <PageScreen key={`${batch} ${page}`} view={shown} me={me} />}
    </>
  );
};

const Step = ({
  to,
  batch,
  icon,
  word,
}: {
  to: number | null;
  batch: string;
  icon: 'back' | 'forward';
  word: string;
}) =>
  to === null ? (
    <span class="button quiet icon-button" aria-hidden="true">
      <Icon name={icon} />
    </span>
  ) : (
    <a class="button quiet icon-button" href={pagePath(batch, to)} aria-label={word} title={word}>
      <Icon name={icon} />
    </a>
  );

const PageScreen = ({ view, me }: { view: PageView; me: Me }) => {
  const t = sheetWords();
  const user = useUser();
  const { refused, template } = view;
  const measured = useMeasured(view);
  const fields = useMemo(() => fieldViews(view, measured ?? null), [view, measured]);
  const [selected, setSelected] = useState<{ label: string; at: number } | null>(null);
  const [said, setSaid] = useState('');
  const field = fields.find(({ label }) => label === selected?.label);
  const select = useCallback((label: string) => {
    setSaid('');
    setSelected((before) => ({ label, at: (before?.at ?? 0) + 1 }));
  }, []);
  // On a tablet the field opens far above the row that was chosen.
  const side = useRef<HTMLDivElement>(null);
  useEffect(() => {
    side.current?.querySelector('.field-editor')?.scrollIntoView({ block: 'nearest' });
  }, [selected?.at]);
  return (
    <>
      <Standing view={view} fields={fields} />
      {refused.map(
        ({ n, state }) =>
          state.at === 'refused' && (
            <Banner
              key={n}
              tone="bad"
              icon="alert"
              actions={
                <button type="button" class="button" onClick={() => unsay(user, n)}>
                  {t.forget}
                </button>
              }
            >
              {t.refused({ why: state.detail })}
            </Banner>
          ),
      )}
      <div class="sheet-panels">
        <ScanPanel view={view} fields={fields} measured={measured} selected={selected} onSelect={select} />
        <div class="sheet-side" ref={side}>
          <p role="status" class="said">
            {said}
          </p>
          {field ? (
            <FieldEditor
              // What was typed belongs to the field and to what stood there.
              key={`${field.label} ${field.final}`}
              view={view}
              field={field}
              mayDecide={mayReview(me.role)}
              onClose={() => setSelected(null)}
              onSaid={setSaid}
            />
          ) : (
            fields.length > 0 && <p class="quiet-line">{t.pickField}</p>
          )}
          {fields.length > 0 && <FieldTable fields={fields} selected={selected?.label ?? null} onSelect={select} />}
          <History entries={view.history} unsent={view.page.unsent} />
        </div>
      </div>
      {template === null && fields.length > 0 && <p class="hint">{t.noOverlay}</p>}
    </>
  );
};

/** undefined: not known yet; null: not on this device. */
function useMeasured({ page }: PageView): SheetReading | null | undefined {
  const { pictures } = useApp();
  const user = useUser();
  const [measured, setMeasured] = useState<SheetReading | null>();
  const of = readingOf(page.batch, page.batch_no, page.line);
  const isSheet = page.line[3] === 'sheet';
  useEffect(() => {
    let over = false;
    if (!isSheet) return;
    pictures
      .measured(user, of, (reading) => {
        if (!over) setMeasured(reading);
      })
      .catch(reportError);
    return () => {
      over = true;
    };
  }, [nameOf(of), page.line[8], isSheet, user, pictures]);
  return measured;
}

const KINDS = { cover: 'isCover', blank: 'isBlank', foreign: 'isForeign' } as const;

const Standing = ({ view, fields }: { view: PageView; fields: readonly FieldView[] }) => {
  const t = sheetWords();
  const { page, score, sheet } = view;
  const { line } = page;
  const kind = line[3];
  const waiting = fields.filter(({ waits }) => waits !== null).length;
  return (
    <section class="card standing" aria-label={t.score}>
      <p class="file-name">
        <bdi>{line[1]}</bdi>
      </p>
      {line[2] === 'failed' ? (
        <Banner tone="bad" icon="failed">
          {t.failed}
          {line[6] !== null && <span dir="auto">: {line[6]}</span>}
        </Banner>
      ) : kind === 'sheet' ? (
        <dl class="facts">
          <div class="fact score-fact">
            <dt>{t.score}</dt>
            <dd data-score={score.score ?? ''}>
              {score.score === null
                ? t.notScored
                : t.outOf({ score: count(score.score), max: count(score.max_score ?? 0) })}
              <span class="quiet-line inline"> {score.here ? t.worked : t.asStored}</span>
            </dd>
          </div>
          <div class="fact">
            <dt>{fieldName('roll')}</dt>
            <dd>
              <bdi class="digits">{valueName('roll', sheet?.final.marks.roll ?? '')}</bdi>
            </dd>
          </div>
          <div class="fact">
            <dt>{fieldName('variant')}</dt>
            <dd>{valueName('variant', sheet?.final.marks.variant ?? '')}</dd>
          </div>
          <div class="fact">
            <dt>{t.task}</dt>
            <dd>
              <bdi class="digits">{sheet?.final.task_id ?? line[5] ?? '–'}</bdi>
            </dd>
          </div>
        </dl>
      ) : (
        <p>{kind === null ? t.isWaiting : t[KINDS[kind]]}</p>
      )}
      <div class="pills">
        {sheet?.final.void && (
          <Pill tone="wait" icon="remove">
            {t.voided}
          </Pill>
        )}
        {kind === 'sheet' &&
          (waiting > 0 ? (
            <Pill tone="doubt" icon="alert">
              {t.lookAt(waiting)}
            </Pill>
          ) : (
            <Pill tone="ok" icon="done">
              {t.nothingToSee}
            </Pill>
          ))}
      </div>
    </section>
  );
};

const ON: readonly Layer[] = ['read', 'doubt', 'decided', 'overruled'];
const LAYER_WORDS = {
  read: 'layerRead',
  doubt: 'layerDoubt',
  decided: 'layerDecided',
  overruled: 'layerOverruled',
  key: 'layerKey',
  fill: 'layerFill',
} as const;

const ScanPanel = ({
  view,
  fields,
  measured,
  selected,
  onSelect,
}: {
  view: PageView;
  fields: readonly FieldView[];
  measured: SheetReading | null | undefined;
  selected: { label: string; at: number } | null;
  onSelect: (label: string) => void;
}) => {
  const t = sheetWords();
  const { page, template } = view;
  const { batch, batch_no, line } = page;
  const [layers, setLayers] = useState<ReadonlySet<Layer>>(new Set(ON));
  const [close, setClose] = useState(false);
  const [natural, setNatural] = useState<Size | null>(null);
  const small = usePicture(pageOf(batch, batch_no, line, KEPT_PX));
  // The scan itself has more to show when somebody comes nearer; it is megabytes, and only the server has it.
  const whole = usePicture(close ? pageOf(batch, batch_no, line, null) : null);
  const best = whole.at === 'here' ? whole : small;
  const raster = (small.at === 'here' ? small.raster : null) ?? natural;
  const placed = useMemo(
    () => (raster && template && measured ? place(template, measured.to_image as unknown as Homography, raster) : null),
    [raster?.width, raster?.height, template, measured],
  );
  const turn = placed?.turn ?? 0;
  const size = placed?.size ?? (raster ? turned(turn, raster).size : null);
  const focus = useMemo(() => {
    const box = selected && placed && template ? fieldFrame(template, selected.label, 4) : null;
    return box && placed && selected ? { part: around(placed.at, box), at: selected.at } : null;
  }, [selected?.label, selected?.at, placed, template]);
  const shownLayers = LAYERS.filter((layer) => layer !== 'key' || fields.some(({ judged }) => judged?.accepted));
  if (best.at !== 'here')
    return (
      <section class="card scan-panel away" aria-label={t.viewer}>
        {best.at === 'loading' ? (
          <Spinner words={mediaWords().loading} />
        ) : (
          <p class="hint">{best.at === 'away' ? mediaWords().away : mediaWords().none({ why: best.why })}</p>
        )}
      </section>
    );
  return (
    <section class="card scan-panel" aria-label={t.viewer}>
      {size === null ? (
        <img class="measuring" src={best.url} alt="" onLoad={(event) => setNatural(naturalOf(event.currentTarget))} />
      ) : (
        <ZoomBox
          size={size}
          focus={focus}
          onZoom={(scale) => {
            if (raster && scale * devicePixelRatio > KEPT_PX / raster.width) setClose(true);
          }}
          onTap={({ x, y }) => {
            const at = placed?.back(x, y);
            const label =
              at && template
                ? fieldAt(
                    template,
                    fields.map((one) => one.label),
                    at,
                  )
                : null;
            if (label) onSelect(label);
          }}
        >
          <img
            class="zoom-scan"
            src={best.url}
            alt={t.scanAlt({ n: line[0] + 1 })}
            draggable={false}
            data-px={best === whole ? 'scan' : KEPT_PX}
            style={{
              width: `${raster?.width ?? 0}px`,
              height: `${raster?.height ?? 0}px`,
              left: `${(size.width - (raster?.width ?? 0)) / 2}px`,
              top: `${(size.height - (raster?.height ?? 0)) / 2}px`,
              transform: turn === 0 ? 'none' : `rotate(${turn}deg)`,
            }}
          />
          {placed && template && measured && (
            <Overlay
              placed={placed}
              template={template}
              reading={measured}
              fields={fields}
              layers={layers}
              selected={selected?.label ?? null}
            />
          )}
        </ZoomBox>
      )}
      {placed && (
        <fieldset class="layers">
          <legend>{t.overlay}</legend>
          {shownLayers.map((layer) => (
            <label key={layer}>
              <input
                type="checkbox"
                checked={layers.has(layer)}
                onChange={() => {
                  const next = new Set(layers);
                  if (!next.delete(layer)) next.add(layer);
                  setLayers(next);
                }}
              />
              <LayerSign layer={layer} />
              {t[LAYER_WORDS[layer]]}
            </label>
          ))}
        </fieldset>
      )}
      {line[3] === 'sheet' && measured === null && <p class="hint">{t.noOverlay}</p>}
    </section>
  );
};

const naturalOf = ({ naturalWidth, naturalHeight }: HTMLImageElement): Size => ({
  width: naturalWidth,
  height: naturalHeight,
});
