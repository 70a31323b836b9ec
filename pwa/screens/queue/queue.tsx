// The upload queue: reads uploads, chunks and the sender's lease; calls pick again, try again, remove.
import { useRef, useState } from 'preact/hooks';
import { useApp } from '../../app.ts';
import { batchPath } from '../../route.ts';
import { useLive, useNow } from '../../store.ts';
import { bytes, plural, when } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Banner, Confirm, Empty, Pill, ScreenTitle } from '../../ui/parts.tsx';
import { readQueue } from './read.ts';
import { type UploadView, viewUpload } from './state.ts';

const TYPES: Record<string, string> = {
  zip_with_qr: 'ZIP with cover sheets',
  zip_without_qr: 'ZIP for one task',
  images: 'Images for one task',
};

export const QueueScreen = ({ userId }: { userId: string }) => {
  const app = useApp();
  const now = useNow(5_000);
  const stored = useLive('queue', ['uploads', 'chunks', 'device'], () => readQueue(app.queue));
  const views = stored?.uploads.map(({ upload, chunks }) => viewUpload(upload, chunks, stored.lease, now));
  const mine = views?.filter((view) => view.upload.owner.user_id === userId);
  const others = views?.filter((view) => view.upload.owner.user_id !== userId && view.upload.step.at !== 'sent') ?? [];
  const open = mine?.filter((view) => view.upload.step.at !== 'sent') ?? [];
  const sent = mine?.filter((view) => view.upload.step.at === 'sent') ?? [];
  return (
    <>
      <ScreenTitle title="Queue">
        <a class="button primary" href="/new">
          <Icon name="add" />
          New batch
        </a>
      </ScreenTitle>
      {others.length > 0 && (
        <Banner tone="wait" icon="user">
          {plural(others.length, 'upload')} of {others.length === 1 ? 'another user is' : 'other users are'} kept on
          this device too.
        </Banner>
      )}
      {mine && mine.length === 0 && (
        <Empty title="Nothing is waiting to be sent.">
          <p>Batches that you queue stay here until the server has verified every byte.</p>
        </Empty>
      )}
      {open.length > 0 && (
        <ul class="stack">
          {open.map((view) => (
            <UploadCard key={view.upload.id} view={view} now={now} />
          ))}
        </ul>
      )}
      {sent.length > 0 && (
        <section aria-labelledby="sent-title">
          <h2 id="sent-title" class="section-title">
            Arrived
          </h2>
          <ul class="stack">
            {sent.map((view) => (
              <UploadCard key={view.upload.id} view={view} now={now} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
};

const UploadCard = ({ view, now }: { view: UploadView; now: number }) => {
  const { commands } = useApp();
  const [removing, setRemoving] = useState(false);
  const { upload } = view;
  const sent = upload.step.at === 'sent';
  return (
    <li class="card upload" data-upload={upload.id} data-step={upload.step.at}>
      <div class="upload-head">
        <div class="upload-name">
          <h3>{upload.name}</h3>
          <p class="quiet-line">
            {TYPES[upload.upload_type]}
            {upload.task_id ? ` · task ${upload.task_id}` : ''} · {bytes(upload.size)} · queued{' '}
            {when(upload.created_at, now)}
          </p>
        </div>
        <Pill tone={view.tone} icon={view.icon}>
          {view.word}
        </Pill>
      </div>
      <ChunkStrip view={view} />
      <p class="upload-sentence">{view.sentence}</p>
      <div class="upload-actions">
        {view.needs_file && <PickAgain view={view} />}
        {view.can_retry && !view.sending && (
          <button type="button" class="button" onClick={() => commands.tryAgain(upload.id)}>
            {upload.step.at === 'parked' ? 'Try again' : 'Send now'}
          </button>
        )}
        {upload.server && (
          <a class="button" href={batchPath(upload.server.batch_id)}>
            Open batch
          </a>
        )}
        <button
          type="button"
          class="button quiet"
          onClick={() => (sent ? commands.removeUpload(upload.id) : setRemoving(true))}
          aria-label={`${sent ? 'Clear' : 'Remove'} ${upload.name}`}
        >
          {sent ? 'Clear' : 'Remove'}
        </button>
      </div>
      {removing && (
        <Confirm
          title="Remove this upload?"
          action="Remove it"
          onCancel={() => setRemoving(false)}
          onConfirm={() => {
            setRemoving(false);
            return commands.removeUpload(upload.id);
          }}
        >
          <p>
            {view.only_here_bytes > 0
              ? `${bytes(view.only_here_bytes)} that the server does not have will be deleted from this device. `
              : 'Nothing of it is only on this device. '}
            Make sure that you still have {upload.name}.
          </p>
        </Confirm>
      )}
    </li>
  );
};

/** Above this many, a cell would be too thin to see. */
const MOST_CELLS = 120;

const ChunkStrip = ({ view }: { view: UploadView }) => {
  const { total, safe, sent, sent_bytes, safe_bytes, upload } = view;
  const words = `${sent} of ${plural(total, 'chunk')} sent, ${safe} safe`;
  return (
    <div class="chunks">
      {total <= MOST_CELLS ? (
        <div class="chunk-cells" role="img" aria-label={words}>
          {view.cells.map((cell, index) => (
            <span key={index} class={cell} />
          ))}
        </div>
      ) : (
        <div class="chunk-cells merged" role="img" aria-label={words}>
          <span class="sent" style={{ flexGrow: sent / total }} />
          <span class="safe" style={{ flexGrow: (safe - sent) / total }} />
          <span class="none" style={{ flexGrow: (total - safe) / total }} />
        </div>
      )}
      <p class="chunk-words">
        <span>
          <b>{sent}</b> of {plural(total, 'chunk')} sent
        </span>
        <span>
          {sent === total
            ? bytes(upload.size)
            : `${bytes(sent_bytes)} sent · ${bytes(safe_bytes)} safe · ${bytes(upload.size)} in all`}
        </span>
      </p>
    </div>
  );
};

const PickAgain = ({ view }: { view: UploadView }) => {
  const { commands } = useApp();
  const input = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState<string>();
  const [checking, setChecking] = useState(false);
  const { upload } = view;
  const pick = async (files: File[]): Promise<void> => {
    if (files.length === 0) return;
    setChecking(true);
    setProblem(undefined);
    const answer = await commands.pickAgain(upload.id, files);
    setChecking(false);
    if (answer.kind === 'other-file') setProblem(`That is not the same file: ${answer.detail}.`);
  };
  return (
    <>
      <button type="button" class="button primary" disabled={checking} onClick={() => input.current?.click()}>
        <Icon name="file" />
        {checking ? 'Checking …' : 'Choose the file again'}
      </button>
      <input
        ref={input}
        type="file"
        class="off-screen"
        tabIndex={-1}
        aria-label={`Choose ${upload.name} again`}
        multiple={upload.files.length > 1}
        onChange={(event) => pick([...(event.currentTarget.files ?? [])])}
      />
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </>
  );
};
