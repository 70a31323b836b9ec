// The upload queue: reads uploads, chunks and the sender's lease; calls pick again, try again, remove.
import './queue.css';
import { useRef, useState } from 'preact/hooks';
import { useApp } from '../../app.ts';
import { download } from '../../batch-actions.ts';
import type { Sender } from '../../db.ts';
import { batchPath } from '../../route.ts';
import { useLive, useNow } from '../../store.ts';
import { bytes, listed, when } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Banner, Confirm, Empty, Pill, ScreenTitle } from '../../ui/parts.tsx';
import { chunksFor } from '../../uploads/queue.ts';
import { receiptOf } from '../../uploads/receipt.ts';
import { chooseSenders } from '../../uploads/sender.ts';
import { readQueue } from './read.ts';
import { type UploadView, viewUpload } from './state.ts';
import { queueWords } from './words.ts';

function typeWord(type: string): string {
  const t = queueWords();
  if (type === 'zip_with_qr') return t.zipCovers;
  return type === 'images' ? t.imagesTask : t.zipTask;
}

const SENDERS = {
  page: 'byPages',
  sw: 'byWorker',
  fetch: 'byBrowser',
} as const satisfies Record<Sender, string>;

export const QueueScreen = ({ userId }: { userId: string }) => {
  const t = queueWords();
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
      <ScreenTitle title={t.title}>
        <a class="button primary" href="/new">
          <Icon name="add" />
          {t.newBatch}
        </a>
      </ScreenTitle>
      {stored && stored.off.length > 0 && (
        <Banner tone="wait" icon="alert">
          {t.switchedOff({ senders: listed(stored.off.map((sender) => t[SENDERS[sender]])) })}{' '}
          <button
            type="button"
            class="button"
            onClick={async () => {
              await chooseSenders(app.queue, '?senders=all');
              app.nudge();
            }}
          >
            {t.switchOn}
          </button>
        </Banner>
      )}
      {others.length > 0 && (
        <Banner tone="wait" icon="user">
          {t.others(others.length)}
        </Banner>
      )}
      {mine && mine.length === 0 && (
        <Empty title={t.empty}>
          <p>{t.emptyWords}</p>
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
            {t.arrived}
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
  const t = queueWords();
  const { commands, queue } = useApp();
  const [removing, setRemoving] = useState(false);
  const { upload } = view;
  const sent = upload.step.at === 'sent';
  const onReceipt = async (): Promise<void> => {
    const text = receiptOf(upload, await chunksFor(queue, upload.id));
    download(new Blob([text], { type: 'text/plain' }), `${upload.name}-receipt.txt`);
  };
  return (
    <li class="card upload" data-upload={upload.id} data-step={upload.step.at}>
      <div class="upload-head">
        <div class="upload-name">
          <h3>{upload.name}</h3>
          <p class="quiet-line">
            {listed([
              typeWord(upload.upload_type),
              upload.task_id ? t.task({ id: upload.task_id }) : '',
              bytes(upload.size),
              t.queued({ when: when(upload.created_at, now) }),
            ])}
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
        {upload.paused && !sent && (
          <button
            type="button"
            class="button primary"
            aria-label={t.resumeNamed({ name: upload.name })}
            onClick={() => commands.resumeUpload(upload.id)}
          >
            <Icon name="play" />
            {t.resume}
          </button>
        )}
        {view.can_pause && (
          <button
            type="button"
            class="button"
            aria-label={t.pauseNamed({ name: upload.name })}
            onClick={() => commands.pauseUpload(upload.id)}
          >
            <Icon name="paused" />
            {t.pause}
          </button>
        )}
        {view.can_retry && !view.sending && (
          <button type="button" class="button" onClick={() => commands.tryAgain(upload.id)}>
            {upload.step.at === 'parked' ? t.tryAgain : t.sendNow}
          </button>
        )}
        {sent && (
          <button type="button" class="button" aria-label={t.receiptNamed({ name: upload.name })} onClick={onReceipt}>
            <Icon name="export" />
            {t.receipt}
          </button>
        )}
        {upload.server && (
          <a class="button" href={batchPath(upload.server.batch_id)}>
            {t.openBatch}
          </a>
        )}
        <button
          type="button"
          class="button quiet"
          onClick={() => (sent ? commands.removeUpload(upload.id) : setRemoving(true))}
          aria-label={(sent ? t.clearNamed : t.removeNamed)({ name: upload.name })}
        >
          {sent ? t.clear : t.remove}
        </button>
      </div>
      {removing && (
        <Confirm
          title={t.removeAsk}
          action={t.removeIt}
          onCancel={() => setRemoving(false)}
          onConfirm={() => {
            setRemoving(false);
            return commands.removeUpload(upload.id);
          }}
        >
          <p>
            {view.only_here_bytes > 0
              ? t.removeWords({ size: bytes(view.only_here_bytes), name: upload.name })
              : t.removeNothing({ name: upload.name })}
          </p>
          {upload.server && <p>{t.removeServer}</p>}
        </Confirm>
      )}
    </li>
  );
};

/** Above this many, a cell would be too thin to see. */
const MOST_CELLS = 120;

const ChunkStrip = ({ view }: { view: UploadView }) => {
  const t = queueWords();
  const { total, safe, sent, sent_bytes, safe_bytes, upload } = view;
  const words = t.chunksSafe({ sent: t.chunksSent(total, { sent }), safe });
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
        <span>{t.chunksSent(total, { sent })}</span>
        <span>
          {sent === total
            ? bytes(upload.size)
            : t.sizes({ sent: bytes(sent_bytes), safe: bytes(safe_bytes), all: bytes(upload.size) })}
        </span>
      </p>
    </div>
  );
};

const PickAgain = ({ view }: { view: UploadView }) => {
  const t = queueWords();
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
    if (answer.kind === 'other-file') setProblem(t.otherFile({ detail: answer.detail }));
  };
  return (
    <>
      <button type="button" class="button primary" disabled={checking} onClick={() => input.current?.click()}>
        <Icon name="file" />
        {checking ? t.checking : t.chooseAgain}
      </button>
      <input
        ref={input}
        type="file"
        class="off-screen"
        tabIndex={-1}
        aria-label={t.chooseNamed({ name: upload.name })}
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
