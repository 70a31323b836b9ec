// The line between tablet and servers, without sockets: requests are written byte by byte into the server's own HTTP
// parser, and can be cut, spoilt, repeated, held back and let go of when nobody waits for them any more.
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SimClock, settle } from './sim-clock.ts';

/** One request as it goes over the line. */
export interface Letter {
  path: string;
  head: string;
  body: Buffer;
}
export interface Heard {
  status: number;
  headers: Headers;
  body: Buffer;
}

/** The server's end of a connection; what the server writes is gathered. */
class ServerEnd extends Duplex {
  readonly remoteAddress = '127.0.0.1';
  heard = '';
  movedAt: number;
  #idleMs = 0;
  readonly #clock: SimClock;
  readonly #stopTicking: () => void;
  readonly #onWords: () => void;

  constructor(clock: SimClock, onWords: () => void) {
    super();
    this.#clock = clock;
    this.#onWords = onWords;
    this.movedAt = clock.now();
    this.#stopTicking = clock.onTick(() => {
      if (this.#idleMs > 0 && clock.now() - this.movedAt >= this.#idleMs) this.emit('timeout');
    });
    this.on('error', () => undefined);
  }
  setTimeout(ms: number): this {
    this.#idleMs = ms;
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  override _read(): void {}
  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.heard += bytes.toString('latin1');
    this.#onWords();
    done();
  }
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#stopTicking();
    done(error);
  }
  feed(bytes: Buffer): void {
    this.movedAt = this.#clock.now();
    if (!this.destroyed) this.push(bytes);
  }
}

const PIECE = 8192;
/** A question without bytes is waited for so long, a part so long: as pwa/api.ts does. */
const PATIENCE_MS = 20_000;
const PART_PATIENCE_MS = 120_000;

export class LineCut extends TypeError {}
class TimedOut extends Error {
  override readonly name = 'TimeoutError';
}

/** A connection with a request on it. */
export interface Call {
  /** sends on, up to that byte of the body; all of it without a number */
  send(until?: number): Promise<void>;
  /** The answer. @throws LineCut when the connection ends before it, TimedOut when it takes too long */
  answer(): Promise<Heard>;
  cut(): void;
}

function parseAnswer(text: string): Heard | null {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const body = text.slice(end + 4);
  const length = headers.get('content-length');
  if (length !== null && body.length < Number(length)) return null;
  return { status: Number(first.split(' ')[1]), headers, body: Buffer.from(body, 'latin1') };
}

/** @param onAnswer told of the answer as the server has written it, whether or not anybody waits for it */
export function call(
  connect: (socket: Duplex) => void,
  letter: Letter,
  clock: SimClock,
  onAnswer: (heard: Heard) => void,
): Call {
  let said: Heard | null = null;
  const end = new ServerEnd(clock, () => {
    if (said) return;
    said = parseAnswer(end.heard);
    if (said) onAnswer(said);
  });
  connect(end);
  let sent = -1;
  const part = letter.path.endsWith('/upload-chunk') || letter.path.endsWith('/seal');
  return {
    async send(until = letter.body.length) {
      if (sent < 0) {
        end.feed(Buffer.from(letter.head, 'latin1'));
        sent = 0;
        await settle(2);
      }
      while (sent < until && !end.destroyed) {
        const next = Math.min(until, sent + PIECE);
        end.feed(letter.body.subarray(sent, next));
        sent = next;
        await settle(2);
      }
      await settle();
    },
    async answer() {
      const until = clock.now() + (part ? PART_PATIENCE_MS : PATIENCE_MS);
      for (let looks = 0; ; looks++) {
        if (said) return said;
        if (end.destroyed) throw new LineCut('the line was cut');
        if (clock.now() > until) {
          end.destroy();
          throw new TimedOut('nothing came');
        }
        await settle(4);
        if (looks < 20) continue;
        // Whoever has not answered by now waits for time to pass, or another thread works for it, as on passwords.
        await sleep(1);
        if (!letter.path.startsWith('/api/auth')) await clock.advance(500);
      }
    },
    cut() {
      end.destroy();
    },
  };
}

/** A request as `fetch` would put it on the line. */
export async function letterOf(path: string, init: RequestInit = {}, cookie: string | null): Promise<Letter> {
  const packed = new Response(init.body ?? null);
  const body = Buffer.from(await packed.arrayBuffer());
  const headers = new Headers(init.headers);
  const type = packed.headers.get('content-type');
  if (type !== null && !headers.has('content-type')) headers.set('content-type', type);
  headers.set('host', 'sheaf.test');
  headers.set('connection', 'close');
  headers.set('content-length', String(body.length));
  if (cookie !== null) headers.set('cookie', cookie);
  const lines = [...headers].map(([name, value]) => `${name}: ${value}`);
  return { path, head: `${init.method ?? 'GET'} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, body };
}
