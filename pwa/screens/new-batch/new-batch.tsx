// A new batch: strategy, files, task id; nothing is queued before all of it is right. Works without a network.
import { useRef, useState } from 'preact/hooks';
import type { Me } from '../../../shared/protocol/auth.ts';
import { CHUNK_SIZE, chunkCount } from '../../../shared/protocol/upload.ts';
import { useApp } from '../../app.ts';
import { go } from '../../route.ts';
import { bytes, plural } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { ScreenTitle } from '../../ui/parts.tsx';
import type { IconName } from '../../ui/words.ts';
import { type Complaints, checkBatch, needsTask, type Strategy } from '../../uploads/check.ts';

const STRATEGIES: { value: Strategy; icon: IconName; title: string; words: string }[] = [
  {
    value: 'zip_with_qr',
    icon: 'cover',
    title: 'ZIP with cover sheets',
    words: 'The QR code on each cover names the task of the sheets behind it.',
  },
  {
    value: 'zip_without_qr',
    icon: 'file',
    title: 'ZIP for one task',
    words: 'No covers: all sheets belong to the task that you type.',
  },
  {
    value: 'images',
    icon: 'images',
    title: 'Images for one task',
    words: 'Pages as JPG, PNG, WebP, TIFF or PDF.',
  },
];

export const NewBatchScreen = ({ me }: { me: Me }) => {
  const { commands } = useApp();
  // Made with the form, not with the tap: however often "queue" is tapped, it is one batch.
  const [id] = useState(() => crypto.randomUUID());
  const [strategy, setStrategy] = useState<Strategy>('zip_with_qr');
  const [files, setFiles] = useState<File[]>([]);
  const [taskId, setTaskId] = useState('');
  const [complaints, setComplaints] = useState<Complaints>({});
  const [busy, setBusy] = useState(false);
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const size = files.reduce((sum, file) => sum + file.size, 0);
  const zip = strategy !== 'images';

  const pick = (picked: File[]): void => {
    if (picked.length === 0) return;
    setFiles(picked);
    setComplaints((before) => (before.task_id ? { task_id: before.task_id } : {}));
  };

  const submit = async (): Promise<void> => {
    const found = await checkBatch(strategy, files, taskId);
    setComplaints(found);
    if (found.files !== undefined || found.task_id !== undefined) {
      document.getElementById(found.files !== undefined ? 'choose-files' : 'task-id')?.focus();
      return;
    }
    setBusy(true);
    const task_id = needsTask(strategy) ? taskId : null;
    await commands.queueBatch({ id, owner: { user_id: me.user_id, username: me.username }, strategy, task_id, files });
    go('/queue');
  };

  return (
    <form
      class="new-batch"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        return submit();
      }}
    >
      <ScreenTitle title="New batch" />
      <fieldset class="choices">
        <legend>What do you have?</legend>
        {STRATEGIES.map((choice) => (
          <label key={choice.value} class="choice card">
            <input
              type="radio"
              name="strategy"
              value={choice.value}
              checked={strategy === choice.value}
              onChange={() => {
                setStrategy(choice.value);
                setFiles([]);
                setComplaints({});
              }}
            />
            <Icon name={choice.icon} />
            <span class="choice-title">{choice.title}</span>
            <span class="choice-words">{choice.words}</span>
          </label>
        ))}
      </fieldset>

      {needsTask(strategy) && (
        <div class="field task-field">
          <label for="task-id">Task id</label>
          <input
            id="task-id"
            class="digits"
            inputMode="numeric"
            autocomplete="off"
            maxLength={8}
            placeholder="8 digits"
            value={taskId}
            onInput={(event) => setTaskId(event.currentTarget.value.replace(/\D/g, ''))}
            aria-invalid={complaints.task_id !== undefined}
            aria-describedby={complaints.task_id ? 'task-problem' : 'task-hint'}
          />
          {complaints.task_id ? (
            <p class="problem" id="task-problem" role="alert">
              {complaints.task_id}
            </p>
          ) : (
            <p class="hint" id="task-hint">
              Printed on the cover sheet, under the QR code.
            </p>
          )}
        </div>
      )}

      <div class="field">
        <span class="label" id="files-label">
          {zip ? 'ZIP file' : 'Images'}
        </span>
        {/* biome-ignore lint/a11y/noStaticElementInteractions: dropping is a shortcut for the button inside */}
        <div
          class={`drop ${over ? 'over' : ''} ${complaints.files ? 'wrong' : ''}`}
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
          {files.length === 0 ? (
            <p class="drop-words">Drop {zip ? 'the ZIP file' : 'the images'} here, or</p>
          ) : (
            <div class="picked">
              <Icon name={zip ? 'file' : 'images'} />
              <div>
                <p class="picked-name">
                  {files.length === 1 ? files[0]?.name : `${plural(files.length, 'file')}, in this order`}
                </p>
                <p class="quiet-line">
                  {bytes(size)} · {plural(chunkCount(size, CHUNK_SIZE), 'chunk')}
                </p>
              </div>
            </div>
          )}
          <button
            type="button"
            id="choose-files"
            class="button"
            aria-describedby={complaints.files ? 'files-label files-problem' : 'files-label'}
            onClick={() => input.current?.click()}
          >
            {files.length > 0 ? 'Choose another' : zip ? 'Choose a ZIP file' : 'Choose images'}
          </button>
          <input
            key={strategy}
            ref={input}
            type="file"
            class="off-screen"
            tabIndex={-1}
            aria-label={zip ? 'ZIP file' : 'Images'}
            accept={
              zip
                ? '.zip,application/zip'
                : 'image/jpeg,image/png,image/webp,image/tiff,application/pdf,.tif,.tiff,.pdf'
            }
            multiple={!zip}
            onChange={(event) => pick([...(event.currentTarget.files ?? [])])}
          />
        </div>
        {complaints.files && (
          <p class="problem" id="files-problem" role="alert">
            {complaints.files}
          </p>
        )}
      </div>

      <div class="form-end">
        <button type="submit" class="button primary" disabled={busy}>
          <Icon name="queue" />
          Queue this batch
        </button>
        <p class="hint">Works without a network. The batch is copied to this tablet and sent by itself.</p>
      </div>
    </form>
  );
};
