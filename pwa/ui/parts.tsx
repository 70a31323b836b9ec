// The small parts that screens are put together from: props in, callbacks out.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { BatchStatus } from '../../shared/protocol/stage.ts';
import { count } from './format.ts';
import { Icon } from './icons.tsx';
import { partWords } from './part-words.ts';
import type { IconName, Segment, Tone } from './words.ts';

export const Pill = ({ tone, icon, children }: { tone: Tone; icon: IconName; children: ComponentChildren }) => (
  <span class={`pill ${tone}`}>
    <Icon name={icon} />
    <span>{children}</span>
  </span>
);

/** Every state has a word, a sign and a colour. */
const STATUS: Record<BatchStatus, { tone: Tone; icon: IconName }> = {
  uploading: { tone: 'run', icon: 'sending' },
  uploaded: { tone: 'run', icon: 'running' },
  validating: { tone: 'run', icon: 'running' },
  processing: { tone: 'run', icon: 'running' },
  reprocessing: { tone: 'run', icon: 'running' },
  completed: { tone: 'ok', icon: 'done' },
  completed_with_errors: { tone: 'doubt', icon: 'alert' },
  failed: { tone: 'bad', icon: 'failed' },
  paused: { tone: 'wait', icon: 'paused' },
  cancelled: { tone: 'wait', icon: 'failed' },
};
export const StatusPill = ({ status }: { status: BatchStatus }) => (
  <Pill tone={STATUS[status].tone} icon={STATUS[status].icon}>
    {partWords()[status]}
  </Pill>
);

/** One bar of all sheets by what became of them; the legend says the same in words. */
export const SegmentBar = ({ segments, legend = false }: { segments: Segment[]; legend?: boolean }) => {
  const total = segments.reduce((sum, segment) => sum + segment.value, 0);
  const said = segments.filter((segment) => segment.value > 0);
  const words = said.map((segment) => `${count(segment.value)} ${segment.label}`).join(', ');
  return (
    <div class="segments">
      <div class={`segment-bar ${legend ? 'big' : ''}`} role="img" aria-label={words || partWords().nothingYet}>
        {said.map((segment) => (
          <span key={segment.label} class={segment.tone} style={{ flexGrow: total > 0 ? segment.value / total : 0 }} />
        ))}
      </div>
      {legend && (
        <ul class="legend" aria-hidden="true">
          {segments.map((segment) => (
            <li key={segment.label}>
              <i class={segment.tone} />
              <b>{count(segment.value)}</b> {segment.label}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
};

export const Banner = ({
  tone,
  icon,
  children,
  actions,
}: {
  tone: Tone;
  icon: IconName;
  children: ComponentChildren;
  actions?: ComponentChildren;
}) => (
  <div class={`banner ${tone}`} role="status">
    <Icon name={icon} />
    <div class="banner-words">{children}</div>
    {actions && <div class="banner-actions">{actions}</div>}
  </div>
);

export const Empty = ({ title, children }: { title: string; children?: ComponentChildren }) => (
  <div class="empty">
    <p class="empty-title">{title}</p>
    {children}
  </div>
);

/** A question before something that cannot be taken back. The native dialog keeps the focus inside and gives it back. */
export const Confirm = ({
  title,
  action,
  onConfirm,
  onCancel,
  children,
}: {
  title: string;
  action: string;
  onConfirm: () => void;
  onCancel: () => void;
  children: ComponentChildren;
}) => {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="confirm-title" onClose={onCancel}>
      <h2 id="confirm-title">{title}</h2>
      <div class="dialog-words">{children}</div>
      <div class="dialog-actions">
        <button type="button" class="button quiet" onClick={onCancel}>
          {partWords().cancel}
        </button>
        <button type="button" class="button danger" onClick={onConfirm}>
          {action}
        </button>
      </div>
    </dialog>
  );
};

/** The heading of a screen; takes the focus when the screen opens, so that screen readers start there. */
export const ScreenTitle = ({ title, children }: { title: string; children?: ComponentChildren }) => {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Sheaf`;
  }, [title]);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <div class="screen-title">
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      {children}
    </div>
  );
};

/** A box that scrolls. The keyboard must be able to reach it, and a screen reader to say what it is. */
export const Scroll = ({
  way,
  name,
  children,
}: {
  way: 'down' | 'across';
  name: string;
  children: ComponentChildren;
}) => (
  // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
  // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
  <div class={`scroll ${way}`} role="group" tabIndex={0} aria-label={partWords().scrolls({ name })}>
    {children}
  </div>
);
