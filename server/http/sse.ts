// One open stream of events (text/event-stream): its head, its heartbeat, the words before it is hung up, and how to wait
// for a client that takes no bytes. What goes through it is stream.ts' and events.ts'.
import type { Request, Response } from 'express';
import type { AppEventType } from '../../shared/protocol/stream.ts';
import { frame, nextSignal } from '../progress/feeds.ts';

const HEARTBEAT_MS = 15_000;
const RETRY_MS = 2000;
/** Asked to sign in again this long before the token runs out. */
const REAUTH_MS = 30_000;
/** A client that takes nothing for this long is cut; it resumes by its id. */
const STUCK_MS = 60_000;

export interface Line {
  /** false when the client is not taking bytes right now */
  write(text: string | Buffer): boolean;
  /** Says something that is not in the log; its id resumes after the last event that is. */
  say(type: AppEventType, data: unknown): boolean;
  isFull(): boolean;
  /** when bytes flow again, or nobody is there any more */
  drained(): Promise<void>;
  hangUp(): void;
  isClosed(): boolean;
  /** resolves when it is to end, whoever ends it; then `close` */
  over: Promise<void>;
  close(): void;
}

export interface LineOptions {
  /** what has been handed over so far, as an id */
  at: () => string;
  /** epoch ms when the caller's token runs out */
  expiresAt: number;
  /** aborted when the server is about to end */
  closing: AbortSignal;
}

export function openLine(req: Request, res: Response, { at, expiresAt, closing }: LineOptions): Line {
  req.socket.setNoDelay(true);
  res.writeHead(200, {
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-cache, no-transform',
    'X-Accel-Buffering': 'no',
    Connection: 'keep-alive',
  });
  res.write(`retry: ${RETRY_MS}\n\n`);
  let hangUp = (): void => undefined;
  const over = new Promise<void>((resolve) => {
    hangUp = resolve;
  });
  res.on('close', hangUp);
  const say = (type: AppEventType, data: unknown): boolean => res.write(frame(type, `${at()}.${nextSignal()}`, data));
  const endWith = (type: 'reauth' | 'shutdown', reason: string) => (): void => {
    say(type, { reason });
    hangUp();
  };
  const heartbeat = setInterval(() => say('heartbeat', { time: new Date().toISOString() }), HEARTBEAT_MS);
  const left = expiresAt - Date.now() - REAUTH_MS;
  const reauth = Number.isFinite(left)
    ? setTimeout(endWith('reauth', 'The access token runs out: refresh it and resume'), Math.max(1000, left))
    : undefined;
  const onClosing = endWith('shutdown', 'The server is about to restart: resume in a moment');
  closing.addEventListener('abort', onClosing);
  return {
    write: (text) => res.write(text),
    say,
    isFull: () => res.writableNeedDrain,
    drained: () =>
      new Promise((resolve) => {
        if (res.closed || !res.writableNeedDrain) return resolve();
        const stuck = setTimeout(() => res.destroy(), STUCK_MS);
        const flowing = () => {
          clearTimeout(stuck);
          res.off('drain', flowing);
          res.off('close', flowing);
          resolve();
        };
        res.once('drain', flowing);
        res.once('close', flowing);
      }),
    hangUp: () => hangUp(),
    isClosed: () => res.closed,
    over,
    close() {
      closing.removeEventListener('abort', onClosing);
      clearInterval(heartbeat);
      clearTimeout(reauth);
      res.end();
    },
  };
}
