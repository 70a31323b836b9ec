// What to say about an upload, from what is stored of it. Pure.
import type { Chunk, DeviceRow, Upload } from '../../db.ts';
import { bytes, roughly, when } from '../../ui/format.ts';
import { beneath, refusal } from '../../ui/refusals.ts';
import type { IconName, Tone } from '../../ui/words.ts';
import { totalChunks } from '../../uploads/queue.ts';
import { LEASE_STALE_MS } from '../../uploads/sender.ts';
import { queueWords } from './words.ts';

export type Lease = Extract<DeviceRow, { key: 'sender' }> | null;

export interface UploadView {
  upload: Upload;
  tone: Tone;
  icon: IconName;
  /** one or two words */
  word: string;
  /** what is happening and what the reader may do */
  sentence: string;
  total: number;
  /** state of each chunk, in file order */
  cells: ('none' | 'safe' | 'sending' | 'sent')[];
  /** chunks that are on this device or with the server */
  safe: number;
  safe_bytes: number;
  sent: number;
  sent_bytes: number;
  /** bytes that no server has verified, and that are lost with this upload */
  only_here_bytes: number;
  sending: boolean;
  /** the same file must be picked again */
  needs_file: boolean;
  can_retry: boolean;
  /** it goes by itself, and a person may hold it back */
  can_pause: boolean;
}

const INCOMPLETE = {
  interrupted: 'interrupted',
  'no-room': 'noRoom',
  damaged: 'damaged',
  'server-lost': 'serverLost',
  'file-changed': 'fileChanged',
} as const satisfies Record<Extract<Upload['step'], { at: 'incomplete' }>['why'], string>;

const WAITING = {
  'no-network': 'waitNetwork',
  busy: 'waitBusy',
  'server-full': 'waitFull',
  'sign-in': 'waitSignIn',
  'other-user': 'waitOther',
  password: 'waitPassword',
} as const satisfies Record<Extract<Upload['step'], { at: 'waiting' }>['why'], string>;

export function viewUpload(upload: Upload, chunks: readonly Chunk[], lease: Lease, now: number): UploadView {
  const t = queueWords();
  const total = totalChunks(upload);
  const inHand = lease?.upload === upload.id && now - lease.beat < LEASE_STALE_MS ? lease : null;
  const arrived = upload.step.at === 'sent';
  const kept = chunks.filter(({ state }) => state !== 'lost');
  const sent = arrived ? total : kept.filter(({ state }) => state === 'sent').length;
  const cells: UploadView['cells'] = Array.from({ length: total }, () => 'none');
  for (const chunk of kept)
    cells[chunk.index] = chunk.state === 'sent' ? 'sent' : inHand && chunk.landed > 0 ? 'sending' : 'safe';
  if (arrived) cells.fill('sent');
  const sum = (of: (chunk: Chunk) => number): number => kept.reduce((bytes, chunk) => bytes + of(chunk), 0);
  const safe_bytes = arrived ? upload.size : sum(({ size }) => size);
  const landed = sum((chunk) => (chunk.state === 'sent' ? chunk.size : chunk.landed));
  const sent_bytes = arrived ? upload.size : Math.min(safe_bytes, landed + (inHand?.flying ?? 0));
  const base = {
    upload,
    total,
    cells,
    sent,
    sent_bytes,
    safe: arrived ? total : kept.length,
    safe_bytes,
    only_here_bytes: arrived ? 0 : sum((chunk) => (chunk.state === 'staged' ? chunk.size : 0)),
    sending: false,
    needs_file: false,
    can_retry: false,
    can_pause: false,
  };
  const { step } = upload;
  const goes = step.at === 'queued' || step.at === 'waiting' || step.at === 'passing';
  if (upload.paused && goes)
    return {
      ...base,
      tone: 'wait',
      icon: 'paused',
      word: t.paused,
      sentence: `${t.pausedWords}${step.at === 'passing' ? ` ${passes(base)}` : ''}`,
    };
  return { ...viewGoing(base, upload, inHand, now), can_pause: goes };
}

type Base = Omit<UploadView, 'tone' | 'icon' | 'word' | 'sentence'>;

function viewGoing(base: Base, upload: Upload, inHand: Lease, now: number): UploadView {
  const t = queueWords();
  const { total, sent, sent_bytes, safe_bytes } = base;
  const { step } = upload;
  if (inHand && (step.at === 'queued' || step.at === 'waiting' || step.at === 'passing')) {
    const passing = step.at === 'passing' ? ` ${passes(base)}` : '';
    return {
      ...base,
      tone: 'run',
      icon: 'sending',
      word: t.sending,
      sentence: `${pace(Math.min(sent + 1, total), total, upload.size - sent_bytes, inHand.rate)}${passing}`,
      sending: true,
    };
  }
  switch (step.at) {
    case 'staging':
      return {
        ...base,
        tone: 'run',
        icon: 'running',
        word: t.copying,
        sentence: t.copyingWords({ safe: bytes(safe_bytes), all: bytes(upload.size) }),
      };
    case 'passing':
      return {
        ...base,
        tone: step.wait ? 'wait' : 'run',
        icon: step.wait ? 'clock' : 'running',
        word: step.wait ? t.waiting : t.copying,
        sentence: `${passes(base)}${step.wait ? ` ${t[WAITING[step.wait.why]]}` : ''}`,
        can_retry: step.wait !== null,
      };
    case 'incomplete':
      return {
        ...base,
        tone: 'doubt',
        icon: 'alert',
        word: t.needsFile,
        sentence: t.needsFileWords({
          why: t[INCOMPLETE[step.why]],
          safe: bytes(safe_bytes),
          all: bytes(upload.size),
          file: fileName(upload),
        }),
        needs_file: true,
      };
    case 'queued':
      return {
        ...base,
        tone: 'wait',
        icon: 'safe',
        word: t.safeHere,
        sentence: t.allHere({ all: bytes(upload.size) }),
        can_retry: true,
      };
    case 'waiting':
      return {
        ...base,
        tone: 'wait',
        icon: step.why === 'no-network' ? 'safe' : 'clock',
        word: step.why === 'no-network' ? t.safeHere : t.waiting,
        sentence: step.why === 'no-network' ? t[WAITING[step.why]] : t.safeAnd({ words: t[WAITING[step.why]] }),
        can_retry: step.why === 'no-network' || step.why === 'busy' || step.why === 'server-full',
      };
    case 'parked':
      return {
        ...base,
        tone: 'bad',
        icon: 'alert',
        word: t.needsAttention,
        sentence: refusedWords(sent < total ? t.refusedStays : t.refused, step),
        can_retry: !FINAL.has(step.code),
      };
    case 'sent':
      return {
        ...base,
        tone: 'ok',
        icon: 'done',
        word: t.sent,
        sentence: t.arrivedWords({ all: bytes(upload.size), when: when(step.sealed_at, now) }),
      };
  }
}

/** How much of what does not fit on the device is in safety, and what that asks of a person. */
const passes = ({ safe_bytes, upload }: Pick<UploadView, 'safe_bytes' | 'upload'>): string =>
  queueWords().passing({ safe: bytes(safe_bytes), all: bytes(upload.size) });

/** What is sent; once bytes a second were measured, what they promise. */
const pace = (at: number, total: number, left: number, rate: number | null): string =>
  rate && rate >= 1024
    ? queueWords().sendingAt({ at, total, rate: bytes(rate), left: roughly((left / rate) * 1000) })
    : queueWords().sendingChunk({ at, total });

/** Trying again brings the same answer: it is the file that is wrong. */
const FINAL = new Set([
  'REJECTED',
  'NOT_A_ZIP',
  'ZIP_REFUSED',
  'ZIP_WITHOUT_IMAGES',
  'IMAGE_REFUSED',
  'UPLOAD_TOO_LARGE',
]);

function refusedWords(say: (values: { why: string }) => string, step: { code: string; detail: string }): string {
  const said = refusal(step.code, step.detail);
  return `${say({ why: asSentence(said.words) })}${beneath(said.beneath)}`;
}

const asSentence = (words: string): string => `${words.replace(/\.+$/, '')}.`;

const fileName = (upload: Upload): string =>
  upload.files.length === 1
    ? queueWords().oneFile({ name: upload.files[0]?.name ?? '' })
    : queueWords().sameFiles(upload.files.length);

export type Work = 'none' | 'attention' | 'sending' | 'waiting';

/** All uploads of the device in one: for the sign in the corner. `done` and `of` count chunks of what goes by itself;
 *  what needs a person is counted in `attention` alone. */
export function sumUp(views: readonly UploadView[]): {
  work: Work;
  done: number;
  of: number;
  uploads: number;
  attention: number;
  /** all that has not arrived */
  kept: number;
} {
  const needsPerson = (view: UploadView): boolean => view.needs_file || view.upload.step.at === 'parked';
  const open = views.filter((view) => view.upload.step.at !== 'sent');
  const going = open.filter((view) => !needsPerson(view));
  const attention = open.length - going.length;
  const of = going.reduce((sum, view) => sum + view.total, 0);
  const done = going.reduce((sum, view) => sum + view.sent, 0);
  const work: Work = going.some((view) => view.sending)
    ? 'sending'
    : attention > 0
      ? 'attention'
      : going.length > 0
        ? 'waiting'
        : 'none';
  return { work, done, of, uploads: going.length, attention, kept: open.length };
}
