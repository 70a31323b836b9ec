// New batches: strategy, files, task id; nothing is queued before all of it is right. Works without a network.
import './new-batch.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Me } from '../../../shared/protocol/auth.ts';
import { CHUNK_SIZE, chunkCount, type PageCorrection } from '../../../shared/protocol/upload.ts';
import { isScanName } from '../../../shared/scan-names.ts';
import { useApp } from '../../app.ts';
import { dropShared, incoming } from '../../install.ts';
import { go } from '../../route.ts';
import { bytes, listed } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Banner, ScreenTitle } from '../../ui/parts.tsx';
import type { IconName } from '../../ui/words.ts';
import { type Complaints, checkBatch, needsTask, type Strategy } from '../../uploads/check.ts';
import { lazily } from '../lazily.tsx';
import { ScanTask } from './scan-task.tsx';
import { newWords } from './words.ts';

const STRATEGIES = [
  { value: 'zip_with_qr', icon: 'cover', title: 'zipCovers', words: 'zipCoversWords' },
  { value: 'zip_without_qr', icon: 'file', title: 'zipTask', words: 'zipTaskWords' },
  { value: 'images', icon: 'images', title: 'images', words: 'imagesWords' },
] as const satisfies { value: Strategy; icon: IconName; title: string; words: string }[];

/** The engine is large: it comes when there is something to look into. */
const PreviewPanel = lazily(async () => (await import('./preview.tsx')).PreviewPanel);

/** Files that become one batch. The id is made when they are picked, so that two taps on "queue" are one batch. */
interface Picked {
  id: string;
  files: File[];
  /** what a person said of its groups, looking into it */
  grouping: PageCorrection[];
  /** what is wrong with the files, as far as that can be said here; null until they were looked at */
  problem: string | null | undefined;
}
const sizeOf = (files: readonly File[]): number => files.reduce((sum, file) => sum + file.size, 0);
const DIGITS = 8;

export const NewBatchScreen = ({ me }: { me: Me }) => {
  const t = newWords();
  const { commands } = useApp();
  const [strategy, setStrategy] = useState<Strategy>('zip_with_qr');
  const [picked, setPicked] = useState<Picked[]>([]);
  const [taskId, setTaskId] = useState('');
  const [cutOff, setCutOff] = useState(false);
  const [complaints, setComplaints] = useState<Complaints>({});
  const [busy, setBusy] = useState(false);
  const [over, setOver] = useState(false);
  const [scanning, setScanning] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const size = picked.reduce((sum, { files }) => sum + sizeOf(files), 0);
  const zip = strategy !== 'images';
  const room = useRoom(size);

  const pick = (files: File[], how: Strategy = strategy): void => {
    if (files.length === 0) return;
    const batches = how === 'images' ? [files] : files.map((file) => [file]);
    const fresh = batches.map((some) => ({ id: crypto.randomUUID(), files: some, grouping: [], problem: null }));
    setPicked(fresh);
    setComplaints(({ files: _, ...others }) => others);
    for (const { id, files: some } of fresh) {
      // What would be refused when it is queued is said now, and not looked into.
      checkBatch(how, some, taskId).then(({ files: problem }) => {
        setPicked((before) => before.map((one) => (one.id === id ? { ...one, problem } : one)));
      }, reportError);
    }
  };
  const wrong = complaints.files ?? picked.find(({ problem }) => problem)?.problem;
  // Opened with Sheaf, or shared with it.
  useEffect(() => {
    const files = incoming.value;
    if (files.length === 0) return;
    const how: Strategy = files.every((file) => /\.zip$/i.test(file.name)) ? 'zip_with_qr' : 'images';
    setStrategy(how);
    pick(files, how);
  }, [incoming.value]);

  const setTask = (text: string): void => {
    const digits = text.replace(/\D/g, '');
    setTaskId(digits.slice(0, DIGITS));
    setCutOff(digits.length > DIGITS);
  };

  const queue = async (): Promise<void> => {
    setBusy(true);
    try {
      const found: Complaints = picked.length === 0 ? await checkBatch(strategy, [], taskId) : {};
      for (const { files } of picked) Object.assign(found, await checkBatch(strategy, files, taskId));
      setComplaints(found);
      if (found.task_id !== undefined) return document.getElementById('task-id')?.focus();
      if (found.files !== undefined) return document.getElementById('choose-files')?.focus();
      const owner = { user_id: me.user_id, username: me.username };
      const task_id = needsTask(strategy) ? taskId : null;
      for (const { id, files, grouping } of picked)
        await commands.queueBatch({ id, owner, strategy, task_id, files, grouping });
      await dropShared();
      go('/queue');
    } finally {
      setBusy(false);
    }
  };

  return (
    <form
      class="new-batch"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        return queue();
      }}
    >
      <ScreenTitle title={t.title} />
      <fieldset class="choices">
        <legend>{t.how}</legend>
        {STRATEGIES.map((choice) => (
          <label key={choice.value} class="choice card">
            <input
              type="radio"
              name="strategy"
              value={choice.value}
              checked={strategy === choice.value}
              onChange={() => {
                setStrategy(choice.value);
                setPicked([]);
                setComplaints({});
              }}
            />
            <Icon name={choice.icon} />
            <span class="choice-title">{t[choice.title]}</span>
            <span class="choice-words">{t[choice.words]}</span>
          </label>
        ))}
      </fieldset>

      {needsTask(strategy) && (
        <div class="field task-field">
          <label for="task-id">{t.taskId}</label>
          <div class="task-input">
            <input
              id="task-id"
              class="digits"
              inputMode="numeric"
              autocomplete="off"
              placeholder={t.digits}
              value={taskId}
              onInput={(event) => {
                setTask(event.currentTarget.value);
                // What was left out must leave the field too, though the state has not changed.
                event.currentTarget.value = event.currentTarget.value.replace(/\D/g, '').slice(0, DIGITS);
              }}
              aria-invalid={complaints.task_id !== undefined}
              aria-describedby={complaints.task_id ? 'task-problem' : 'task-hint'}
            />
            <button type="button" class="button" onClick={() => setScanning(true)}>
              <Icon name="camera" />
              {t.scan}
            </button>
          </div>
          {complaints.task_id ? (
            <p class="problem" id="task-problem" role="alert">
              {complaints.task_id}
            </p>
          ) : (
            <p class="hint" id="task-hint">
              {cutOff ? t.taskExtra : t.taskHint}
            </p>
          )}
        </div>
      )}

      <div class="field">
        <span class="label" id="files-label">
          {zip ? t.zipFile : t.imageFiles}
        </span>
        {/* biome-ignore lint/a11y/noStaticElementInteractions: dropping is a shortcut for the button inside */}
        <div
          class={`drop ${over ? 'over' : ''} ${wrong ? 'wrong' : ''}`}
          onDragOver={(event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave={() => setOver(false)}
          onDrop={(event) => {
            event.preventDefault();
            setOver(false);
            pick([...(event.dataTransfer?.files ?? [])]);
          }}
        >
          {picked.length === 0 ? (
            <p class="drop-words">{zip ? t.dropZip : t.dropImages}</p>
          ) : (
            <div class="picked">
              <Icon name={zip ? 'file' : 'images'} />
              <div>
                <p class="picked-name">{pickedWords(picked)}</p>
                <p class="quiet-line">
                  {listed([
                    bytes(size),
                    t.chunks(picked.reduce((sum, { files }) => sum + chunkCount(sizeOf(files), CHUNK_SIZE), 0)),
                  ])}
                </p>
              </div>
            </div>
          )}
          <button
            type="button"
            id="choose-files"
            class="button"
            aria-describedby={wrong ? 'files-label files-problem' : 'files-label'}
            onClick={() => input.current?.click()}
          >
            {picked.length > 0 ? t.another : zip ? t.chooseZip : t.chooseImages}
          </button>
          {!zip && (
            <button type="button" class="button quiet" onClick={() => pickFolder((files) => pick(files))}>
              {t.chooseFolder}
            </button>
          )}
          <input
            key={strategy}
            ref={input}
            type="file"
            class="off-screen"
            tabIndex={-1}
            aria-label={zip ? t.zipFile : t.imageFiles}
            accept={
              zip
                ? '.zip,application/zip'
                : 'image/jpeg,image/png,image/webp,image/tiff,application/pdf,.tif,.tiff,.pdf'
            }
            multiple
            onChange={(event) => pick([...(event.currentTarget.files ?? [])])}
          />
        </div>
        {wrong && (
          <p class="problem" id="files-problem" role="alert">
            {wrong}
          </p>
        )}
      </div>
      {picked
        .filter(({ problem }) => problem === undefined)
        .map((batch) => (
          <PreviewPanel
            key={batch.id}
            files={batch.files}
            zip={zip}
            typedTask={needsTask(strategy) ? taskId : null}
            onGrouping={(grouping) =>
              setPicked((before) => before.map((one) => (one.id === batch.id ? { ...one, grouping } : one)))
            }
          />
        ))}
      {room !== null && size > room && (
        <Banner tone="bad" icon="storage">
          {t.noRoom({ size: bytes(size), room: bytes(room) })}
        </Banner>
      )}
      {room !== null && size <= room && size > 0.8 * room && (
        <Banner tone="doubt" icon="storage">
          {t.nearlyNoRoom({ room: bytes(room) })}
        </Banner>
      )}

      <div class="form-end">
        <button type="submit" class="button primary" disabled={busy}>
          <Icon name="queue" />
          {picked.length > 1 ? t.queueAll(picked.length) : t.queueIt}
        </button>
        <p class="hint">{t.offline}</p>
      </div>
      {scanning && (
        <ScanTask
          onTask={(id) => {
            setTask(id);
            setScanning(false);
          }}
          onClose={() => setScanning(false)}
        />
      )}
    </form>
  );
};

function pickedWords(picked: readonly Picked[]): string {
  const t = newWords();
  const [first] = picked;
  if (picked.length > 1) return t.severalZips(picked.length);
  return first?.files.length === 1 ? (first.files[0]?.name ?? '') : t.inOrder(first?.files.length ?? 0);
}

/** Free bytes for this origin, or null where the browser does not say. */
function useRoom(size: number): number | null {
  const [room, setRoom] = useState<number | null>(null);
  useEffect(() => {
    navigator.storage?.estimate?.().then(
      ({ quota, usage }) => setRoom(quota === undefined ? null : quota - (usage ?? 0)),
      () => {},
    );
  }, [size]);
  return room;
}

/** All images of a folder, in the order of their names: scanners count in them. */
function pickFolder(onFiles: (files: File[]) => void): void {
  const input = document.createElement('input');
  input.type = 'file';
  input.webkitdirectory = true;
  input.onchange = () => {
    const files = [...(input.files ?? [])].filter(({ name }) => isScanName(name));
    onFiles(files.sort((a, b) => a.webkitRelativePath.localeCompare(b.webkitRelativePath, 'en', { numeric: true })));
  };
  input.click();
}
