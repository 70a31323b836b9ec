// The few signs that Sheaf uses, drawn on a 24 grid with a 2 px pen. They always stand beside a word, so they are silent
// for screen readers.
import type { ComponentChildren, JSX } from 'preact';
import type { IconName } from './words.ts';

/** `turned`: points along the line of reading, so it is mirrored with it. */
const draw =
  (shape: ComponentChildren, turned = false) =>
  () => (
    <svg
      class={`icon ${turned ? 'turns' : ''}`}
      viewBox="0 0 24 24"
      aria-hidden="true"
      fill="none"
      stroke="currentColor"
      stroke-width="2"
      stroke-linecap="round"
      stroke-linejoin="round"
    >
      {shape}
    </svg>
  );

const ICONS: Record<IconName, () => JSX.Element> = {
  batches: draw(<path d="M4 5h16M4 12h16M4 19h10" />),
  add: draw(<path d="M12 5v14M5 12h14" />),
  queue: draw(<path d="M12 16V4m0 0-5 5m5-5 5 5M4 20h16" />),
  online: draw(<path d="M5 12.5 10 17 19 7" />),
  offline: draw(<path d="M3 3l18 18M8.5 8.8A7 7 0 0 0 5 11m14 0a7 7 0 0 0-5-3M9 15a4 4 0 0 1 6 0M12 19h.01" />),
  sending: draw(<path d="M12 19V5m0 0-6 6m6-6 6 6" />),
  alert: draw(
    <path d="M12 8v5m0 3h.01M10.3 4 2.6 17.5A2 2 0 0 0 4.3 20.5h15.4a2 2 0 0 0 1.7-3L13.7 4a2 2 0 0 0-3.4 0Z" />,
  ),
  clock: draw(<path d="M12 7v5l3 2M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z" />),
  done: draw(<path d="M8 12.5l3 3 5.5-6M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z" />),
  failed: draw(<path d="M9 9l6 6m0-6-6 6M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z" />),
  running: draw(<path d="M12 3a9 9 0 1 0 9 9" />),
  paused: draw(<path d="M10 9v6m4-6v6M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z" />),
  file: draw(<path d="M14 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8l-5-5Zm0 0v5h5" />),
  images: draw(<path d="M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01" />),
  cover: draw(<path d="M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2v2h-2zM18 18h2v2h-2z" />),
  safe: draw(<path d="M12 3l7 3v5c0 4.5-3 8-7 10-4-2-7-5.5-7-10V6l7-3Zm-3 9 2.2 2.2L15 10" />),
  user: draw(<path d="M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-7 8a7 7 0 0 1 14 0" />),
  key: draw(<path d="M14 10a4 4 0 1 0-3.2 3.9L13 16h2v2h2v2h3v-3.5l-6.1-6.1M8.5 8.5h.01" />),
  task: draw(<path d="M9 4h6v3H9zM9 5H6v15h12V5h-3M9 12h6M9 16h4" />),
  users: draw(
    <path d="M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Zm-6 8a6 6 0 0 1 12 0M16 4.5a3.5 3.5 0 0 1 0 6.4M18 14a6 6 0 0 1 3 5" />,
  ),
  draft: draw(<path d="M4 20h4L19 9l-4-4L4 16v4Zm9-13 4 4" />),
  up: draw(<path d="M12 19V5m0 0-5 5m5-5 5 5" />),
  down: draw(<path d="M12 5v14m0 0-5-5m5 5 5-5" />),
  search: draw(<path d="M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm5-2 4.5 4.5" />),
  more: draw(<path d="M5 12h.01M12 12h.01M19 12h.01" />),
  settings: draw(
    <path d="M4 7h10m4 0h2M4 17h2m4 0h10M16 9a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM8 19a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z" />,
  ),
  install: draw(<path d="M12 4v10m0 0-4-4m4 4 4-4M5 18v2h14v-2" />),
  camera: draw(<path d="M4 8h3l2-3h6l2 3h3v11H4zM12 16a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z" />),
  play: draw(<path d="M8 5v14l11-7z" />),
  stop: draw(<path d="M6 6h12v12H6z" />),
  again: draw(<path d="M20 12a8 8 0 1 1-2.5-5.8M20 3v4h-4" />),
  remove: draw(<path d="M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13" />),
  export: draw(<path d="M12 4v11m0 0-4-4m4 4 4-4M5 20h14" />),
  open: draw(<path d="M9 6l6 6-6 6" />, true),
  storage: draw(<path d="M4 7c0-4 16-4 16 0v10c0 4-16 4-16 0zM4 7c0 4 16 4 16 0M4 12c0 4 16 4 16 0" />),
  review: draw(
    <path d="M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12Zm9.5 3a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z" />,
  ),
  leave: draw(<path d="M10 4H5v16h5M10 12h10m0 0-4-4m4 4-4 4" />, true),
  minus: draw(<path d="M5 12h14" />),
  forward: draw(<path d="M5 12h14m0 0-6-6m6 6-6 6" />, true),
  back: draw(<path d="M19 12H5m0 0 6-6m-6 6 6 6" />, true),
};

export const Icon = ({ name }: { name: IconName }) => {
  const Drawn = ICONS[name];
  return <Drawn />;
};

export const Logo = () => (
  <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
    <rect x="7" y="5" width="15" height="21" rx="2" transform="rotate(-9 16 16)" class="logo-back" />
    <rect x="9" y="6" width="15" height="21" rx="2" transform="rotate(7 16 16)" class="logo-front" />
    <g transform="rotate(7 16 16)" class="logo-marks">
      <circle cx="13" cy="12" r="1.6" />
      <circle cx="19.5" cy="16.5" r="1.6" />
      <circle cx="13" cy="21" r="1.6" />
    </g>
  </svg>
);
