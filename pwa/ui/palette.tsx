// The command palette: type a few letters of where to go or what to do; arrows choose, Enter does it.
import './palette.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import { KeyHint } from './controls.tsx';
import { Icon } from './icons.tsx';
import { partWords } from './part-words.ts';
import type { IconName } from './words.ts';

export interface Command {
  id: string;
  icon: IconName;
  word: string;
  keys?: string;
  run: () => void;
}

const MOST = 12;

export const CommandPalette = ({ commands, onClose }: { commands: readonly Command[]; onClose: () => void }) => {
  const t = partWords();
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  useEffect(() => dialog.current?.showModal(), []);
  const sought = text.trim().toLowerCase();
  const found = commands.filter(({ word }) => word.toLowerCase().includes(sought)).slice(0, MOST);
  const chosen = Math.min(at, found.length - 1);
  const run = (command: Command | undefined): void => {
    if (!command) return;
    dialog.current?.close();
    command.run();
  };
  return (
    <dialog ref={dialog} class="palette" aria-label={t.commands} onClose={onClose}>
      <div class="palette-field">
        <Icon name="search" />
        <input
          type="text"
          role="combobox"
          aria-label={t.findCommand}
          aria-expanded="true"
          aria-controls="palette-list"
          aria-activedescendant={found[chosen] ? `command-${found[chosen].id}` : undefined}
          placeholder={t.findCommand}
          autocomplete="off"
          spellcheck={false}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setAt(0);
          }}
          onKeyDown={(event) => {
            if (event.key === 'Enter') run(found[chosen]);
            else if (event.key === 'ArrowDown') setAt(Math.min(found.length - 1, chosen + 1));
            else if (event.key === 'ArrowUp') setAt(Math.max(0, chosen - 1));
            else return;
            event.preventDefault();
          }}
        />
      </div>
      <div id="palette-list" role="listbox" aria-label={t.commands} class="palette-list">
        {found.map((command, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field above has the keyboard
          <div
            key={command.id}
            id={`command-${command.id}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === chosen}
            onClick={() => run(command)}
            onPointerMove={() => setAt(index)}
          >
            <Icon name={command.icon} />
            <bdi>{command.word}</bdi>
            {command.keys && <KeyHint keys={command.keys} />}
          </div>
        ))}
      </div>
      {found.length === 0 && <p class="pad quiet-line">{t.noCommand}</p>}
    </dialog>
  );
};
