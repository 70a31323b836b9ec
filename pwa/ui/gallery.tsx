// Every part in every state, on one page: `npm run dev`, then /gallery.html. It is not part of what is built.
import './tokens.css';
import './app.css';
import { type ComponentChildren, render } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { BATCH_STATUSES } from '../../shared/protocol/stage.ts';
import { Sparkbars } from './bars.tsx';
import {
  Drawer,
  IconButton,
  KeyHint,
  Menu,
  Meter,
  Segmented,
  ShortcutList,
  Spinner,
  Switch,
  TextField,
  Toast,
} from './controls.tsx';
import { Icon, Logo } from './icons.tsx';
import { LANGUAGES, type Language, speak } from './language.ts';
import { List, Pager } from './list.tsx';
import { CommandPalette } from './palette.tsx';
import { Banner, Confirm, Empty, Pill, ScreenTitle, Scroll, SegmentBar, StatusPill } from './parts.tsx';
import { WindowedList } from './window.tsx';
import type { IconName, Tone } from './words.ts';

const TONES: Tone[] = ['ok', 'run', 'doubt', 'bad', 'wait'];
const SIGNS: Record<Tone, IconName> = { ok: 'done', run: 'running', doubt: 'alert', bad: 'failed', wait: 'clock' };
const nothing = (): void => {};

const Part = ({ name, children }: { name: string; children: ComponentChildren }) => (
  <section class="card">
    <h2 class="card-title">{name}</h2>
    <div class="stack">{children}</div>
  </section>
);

const ROWS = Array.from({ length: 120 }, (_, i) => ({
  id: `row-${i + 1}`,
  sheets: (i * 37) % 91,
  failed: i % 9 === 0,
}));

const Gallery = () => {
  const [theme, setTheme] = useState<'light' | 'dark'>('light');
  const [language, setLanguage] = useState<Language>('en');
  const [on, setOn] = useState(true);
  const [page, setPage] = useState(2);
  const [over, setOver] = useState<'confirm' | 'drawer' | 'palette' | 'toast' | null>(null);
  const box = useRef<HTMLDivElement>(null);
  document.documentElement.dataset.theme = theme;
  document.documentElement.lang = language;
  document.documentElement.dir = LANGUAGES[language].dir;
  return (
    <main class="content">
      <ScreenTitle title="Parts of Sheaf">
        <Segmented
          name="theme"
          legend="Theme"
          options={[
            { value: 'light', word: 'Light' },
            { value: 'dark', word: 'Dark' },
          ]}
          value={theme}
          onChange={setTheme}
        />
        <Segmented
          name="language"
          legend="Language"
          options={(Object.keys(LANGUAGES) as Language[]).map((value) => ({ value, word: LANGUAGES[value].name }))}
          value={language}
          onChange={(code) => {
            speak(code).then(() => setLanguage(code), reportError);
          }}
        />
      </ScreenTitle>
      <Part name="Buttons">
        <span class="pills">
          {['primary', '', 'quiet', 'danger'].map((kind) => (
            <button key={kind} type="button" class={`button ${kind}`}>
              <Icon name="add" />
              {kind || 'plain'}
            </button>
          ))}
          <button type="button" class="button primary" disabled>
            disabled
          </button>
          <IconButton icon="more" label="More" onClick={nothing} />
          <Menu id="gallery-menu" label="Menu" button={<span>Menu</span>}>
            <button type="button" class="button quiet">
              One
            </button>
            <button type="button" class="button quiet">
              Another
            </button>
          </Menu>
          <a class="button" href="/gallery.html">
            To the parts
          </a>
        </span>
      </Part>
      <Part name="Status">
        <span class="pills">
          {BATCH_STATUSES.map((status) => (
            <StatusPill key={status} status={status} />
          ))}
        </span>
        <span class="pills">
          {TONES.map((tone) => (
            <Pill key={tone} tone={tone} icon={SIGNS[tone]}>
              {tone}
            </Pill>
          ))}
          {(['live', 'connecting', 'lost'] as const).map((state) => (
            <span key={state} class={`connection ${state}`}>
              <i />
              {state}
            </span>
          ))}
        </span>
        {TONES.map((tone) => (
          <Banner
            key={tone}
            tone={tone}
            icon={SIGNS[tone]}
            actions={
              <button type="button" class="button">
                Do
              </button>
            }
          >
            A banner that is {tone}.
          </Banner>
        ))}
        <Spinner words="Loading …" />
      </Part>
      <Part name="Bars">
        <SegmentBar
          legend
          segments={[
            { tone: 'ok', label: 'read', value: 212 },
            { tone: 'run', label: 'being read', value: 12 },
            { tone: 'bad', label: 'failed', value: 8 },
            { tone: 'rest', label: 'to come', value: 300 },
          ]}
        />
        <SegmentBar segments={[]} />
        <Meter label="Nearly empty" value={10} of={100} />
        <Meter label="Nearly full" value={92} of={100} />
        <progress class="progress" aria-label="Progress" max={100} value={40} />
        <Sparkbars
          label="Thirty runs"
          bars={Array.from({ length: 30 }, (_, i) => ({
            id: String(i),
            words: `run ${i}`,
            tone: TONES[i % 5] ?? 'ok',
            height: 5 + ((i * 13) % 40),
          }))}
        />
      </Part>
      <Part name="Fields">
        <TextField id="plain" label="A field" hint="With a hint." />
        <TextField id="wrong" label="A field that is wrong" problem="It says what is wrong." value="abc" />
        <TextField id="off" label="A field that cannot be used" disabled />
        <Switch label="A switch" on={on} onChange={setOn} />
        <Switch label="The other way" on={!on} onChange={(is) => setOn(!is)} />
        <KeyHint keys="Ctrl K" />
        <ShortcutList
          rows={[
            ['j k', 'Move along the rows'],
            ['Enter', 'Open the row'],
          ]}
        />
      </Part>
      <Part name="List">
        <List
          name="gallery"
          rows={ROWS}
          id={(row) => row.id}
          texts={(row) => [row.id]}
          find="Find a row"
          noneFound="No row is called that."
          mark="row"
          all="All"
          choices={[{ value: 'failed', word: 'Failed', take: (row) => row.failed }]}
          columns={[
            {
              head: 'Row',
              cell: (row) => (
                <a class="row-link" href="/gallery.html">
                  {row.id}
                </a>
              ),
              compare: (a, b) => a.id.localeCompare(b.id),
            },
            { head: 'Sheets', number: true, cell: (row) => row.sheets, compare: (a, b) => a.sheets - b.sheets },
          ]}
        />
        <Pager page={page} pages={3} words="a pager" onPage={setPage} />
        <Empty title="Nothing here yet.">
          <p>And what to do about it.</p>
        </Empty>
        <Scroll way="down" name="A box that scrolls">
          <p>Words.</p>
        </Scroll>
        <WindowedList
          name="Eleven thousand rows"
          count={11_404}
          rowHeight={44}
          open={new Map([[2, 56]])}
          box={box}
          row={(index) => <div class="feed-line">{index + 1}</div>}
        />
      </Part>
      <Part name="Over the page">
        <span class="pills">
          {(['confirm', 'drawer', 'palette', 'toast'] as const).map((what) => (
            <button key={what} type="button" class="button" onClick={() => setOver(what)}>
              {what}
            </button>
          ))}
        </span>
      </Part>
      <Part name="Signs">
        <span class="pills">
          <Logo />
          {(['batches', 'queue', 'key', 'task', 'users', 'camera', 'storage', 'back', 'open', 'leave'] as const).map(
            (name) => (
              <Icon key={name} name={name} />
            ),
          )}
        </span>
      </Part>
      {over === 'confirm' && (
        <Confirm title="Really?" action="Do it" onConfirm={() => setOver(null)} onCancel={() => setOver(null)}>
          <p>What follows from it.</p>
        </Confirm>
      )}
      {over === 'drawer' && (
        <Drawer title="A drawer" onClose={() => setOver(null)}>
          <p>At the side.</p>
        </Drawer>
      )}
      {over === 'palette' && (
        <CommandPalette
          commands={[{ id: 'a', icon: 'batches', word: 'Batches', keys: 'g b', run: nothing }]}
          onClose={() => setOver(null)}
        />
      )}
      {over === 'toast' && <Toast words="Something was done." onUndo={nothing} onClose={() => setOver(null)} />}
    </main>
  );
};

render(<Gallery />, document.getElementById('gallery') as HTMLElement);
