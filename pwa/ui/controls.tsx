// Things to choose and type with, and things that float: props in, callbacks out.
import './controls.css';
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Icon } from './icons.tsx';
import { partWords } from './part-words.ts';
import type { IconName } from './words.ts';

/** A label, an input, and beneath it what is wrong, or else a hint. Only the field that is wrong turns red. */
export const TextField = ({
  id,
  label,
  problem,
  hint,
  ...input
}: {
  id: string;
  label: string;
  problem?: string | undefined;
  hint?: string;
} & JSX.IntrinsicElements['input']) => (
  <div class="field">
    <label for={id}>{label}</label>
    <input
      id={id}
      name={id}
      {...input}
      aria-invalid={problem !== undefined}
      {...(problem || hint ? { 'aria-describedby': `${id}-about` } : {})}
    />
    {problem ? (
      <p class="problem" role="alert" id={`${id}-about`}>
        {problem}
      </p>
    ) : (
      hint && (
        <p class="hint" id={`${id}-about`}>
          {hint}
        </p>
      )
    )}
  </div>
);

export interface Option<V extends string> {
  value: V;
  word: string;
}

/** One of a few, all in view. */
export function Segmented<V extends string>({
  name,
  legend,
  options,
  value,
  onChange,
}: {
  name: string;
  legend: string;
  options: readonly Option<V>[];
  value: V;
  onChange: (value: V) => void;
}) {
  return (
    <fieldset class="segmented">
      <legend class="off-screen">{legend}</legend>
      {options.map((option) => (
        <label key={option.value}>
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={value === option.value}
            onChange={() => onChange(option.value)}
          />
          <span>{option.word}</span>
        </label>
      ))}
    </fieldset>
  );
}

export const Switch = ({ label, on, onChange }: { label: string; on: boolean; onChange: (on: boolean) => void }) => (
  <label class="switch">
    <input
      type="checkbox"
      role="switch"
      checked={on}
      aria-checked={on}
      onChange={(event) => onChange(event.currentTarget.checked)}
    />
    <span>{label}</span>
  </label>
);

export const IconButton = ({
  icon,
  label,
  onClick,
  ...more
}: { icon: IconName; label: string; onClick: () => void } & JSX.IntrinsicElements['button']) => (
  <button type="button" class="button quiet icon-button" aria-label={label} title={label} onClick={onClick} {...more}>
    <Icon name={icon} />
  </button>
);

/** A button with more to do behind it. The native popover closes on Escape and on a tap elsewhere. */
export const Menu = ({
  id,
  label,
  button,
  children,
}: {
  id: string;
  label: string;
  button: ComponentChildren;
  children: ComponentChildren;
}) => {
  const box = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  return (
    <>
      <button
        ref={opener}
        type="button"
        class="button quiet"
        aria-label={label}
        aria-haspopup="true"
        popovertarget={id}
      >
        {button}
      </button>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: a tap on one of its buttons closes it */}
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the buttons inside are reached by the keyboard */}
      <div
        ref={box}
        id={id}
        popover="auto"
        class="menu"
        onToggle={(event) => {
          if (event.newState !== 'open' || !box.current || !opener.current) return;
          const { top, bottom, left, right } = opener.current.getBoundingClientRect();
          const rtl = getComputedStyle(box.current).direction === 'rtl';
          // Above its button where the bar at the bottom leaves no room beneath it.
          const { offsetHeight } = box.current;
          const below = bottom + 4 + offsetHeight < innerHeight;
          box.current.style.insetBlockStart = `${below ? bottom + 4 : Math.max(8, top - 4 - offsetHeight)}px`;
          box.current.style.insetInlineEnd = `${Math.max(8, rtl ? left : innerWidth - right)}px`;
        }}
        onClick={(event) => {
          if ((event.target as Element).closest('button, a')) box.current?.hidePopover();
        }}
      >
        {children}
      </div>
    </>
  );
};

/** A dialog at the side of the screen. */
export const Drawer = ({
  title,
  onClose,
  children,
}: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}) => {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="drawer" aria-labelledby="drawer-title" onClose={onClose}>
      <div class="drawer-head">
        <h2 id="drawer-title">{title}</h2>
        <IconButton icon="failed" label={partWords().close} onClick={() => dialog.current?.close()} />
      </div>
      <div class="drawer-body">{children}</div>
    </dialog>
  );
};

/** How full something is. `high`: from this share on it is a warning. */
export const Meter = ({
  label,
  value,
  of,
  high = 0.8,
}: {
  label: string;
  value: number;
  of: number;
  high?: number;
}) => <meter class="meter" aria-label={label} min={0} max={Math.max(1, of)} high={of * high} value={value} />;

export const KeyHint = ({ keys }: { keys: string }) => (
  <span class="key-hint">
    {keys.split(' ').map((key) => (
      <kbd key={key}>{key}</kbd>
    ))}
  </span>
);

/** `rows`: keys as `KeyHint` takes them, and what they do. */
export const ShortcutList = ({ rows }: { rows: readonly (readonly [keys: string, words: string])[] }) => (
  <dl class="shortcuts">
    {rows.map(([keys, words]) => (
      <div key={keys}>
        <dt>
          <KeyHint keys={keys} />
        </dt>
        <dd>{words}</dd>
      </div>
    ))}
  </dl>
);

/** Something was done, and may be undone for a while. */
export const Toast = ({ words, onUndo, onClose }: { words: string; onUndo?: () => void; onClose: () => void }) => (
  <div class="toast" role="status">
    <span>{words}</span>
    {onUndo && (
      <button type="button" class="button" onClick={onUndo}>
        {partWords().undo}
      </button>
    )}
    <IconButton icon="failed" label={partWords().close} onClick={onClose} />
  </div>
);

export const Spinner = ({ words }: { words: string }) => (
  <p class="spinner" role="status">
    <Icon name="running" />
    <span>{words}</span>
  </p>
);
