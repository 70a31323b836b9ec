// The line between the tablet and the server: everything the browser asks for goes through it, is written down, and can
// be cut, mended, slowed and sent to another server. Cutting it is a network that is gone, for pages and service worker
// alike, without any help of developer tools.
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Transform } from 'node:stream';

export interface Heard {
  /** ms since 1970 */
  at: number;
  method: string;
  path: string;
  /** null while it is under way, and for good when the line was cut */
  status: number | null;
  /** which part of the browser asks: its headers tell */
  by: 'page' | 'sw' | 'fetch';
}

/** Background Fetch sends as if it navigated; a service worker names itself as the referrer. */
function whoAsks({ method, headers }: http.IncomingMessage): Heard['by'] {
  if (method === 'POST' && headers['sec-fetch-mode'] === 'navigate') return 'fetch';
  return headers.referer?.endsWith('/sw.js') ? 'sw' : 'page';
}

export interface Line {
  url: string;
  heard: Heard[];
  cut(): void;
  mend(): void;
  /** bytes a second of all request bodies together; null as fast as it goes */
  pace(bytesPerSecond: number | null): void;
  leadTo(url: string): void;
  /** Who asks for this path waits until the function that is returned is called. */
  hold(path: string): () => void;
  /** changes what is answered under a path, as a new release of the app would */
  alter(path: string, change: (body: string) => string): void;
  close(): Promise<void>;
}

/** Looks at a request before it goes on. True: it will be answered, or not, by whoever looked. */
export type Disturb = (req: http.IncomingMessage, res: http.ServerResponse) => boolean;

export async function openLine(upstream: string, disturb: Disturb = () => false): Promise<Line> {
  let target = new URL(upstream);
  let up = true;
  let rate: number | null = null;
  /** when the line has carried all that was put on it, ms since 1970 */
  let freeAt = 0;
  const heard: Heard[] = [];
  const holds = new Map<string, Promise<void>>();
  const changes = new Map<string, (body: string) => string>();
  const sockets = new Set<Socket>();
  const asked = new Set<http.ClientRequest>();

  const slowly = () =>
    new Transform({
      transform(bytes, _encoding, done) {
        if (rate === null) {
          done(null, bytes);
          return;
        }
        freeAt = Math.max(Date.now(), freeAt) + (bytes.length / rate) * 1000;
        setTimeout(() => done(null, bytes), freeAt - Date.now());
      },
    });

  /** What will be altered must not be answered with "you have it already". */
  const headersFor = (req: http.IncomingMessage): http.OutgoingHttpHeaders => {
    const { 'if-none-match': _, 'if-modified-since': __, ...bare } = req.headers;
    return { ...(changes.has(req.url ?? '') ? bare : req.headers), host: target.host };
  };

  const server = http.createServer((req, res) => {
    const entry: Heard = {
      at: Date.now(),
      method: req.method ?? '',
      path: req.url ?? '',
      status: null,
      by: whoAsks(req),
    };
    heard.push(entry);
    if (disturb(req, res)) return;
    const held = holds.get(entry.path);
    if (held !== undefined) {
      void held.then(() => res.writeHead(204).end());
      return;
    }
    const request = http.request(
      {
        host: target.hostname,
        port: target.port,
        method: req.method,
        path: req.url,
        headers: headersFor(req),
      },
      (answer) => {
        entry.status = answer.statusCode ?? 0;
        const change = changes.get(req.url ?? '');
        if (!change) {
          res.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(res);
          return;
        }
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('end', () => {
          const body = change(Buffer.concat(parts).toString());
          const { 'content-length': _, etag: __, 'last-modified': ___, ...headers } = answer.headers;
          res.writeHead(answer.statusCode ?? 502, headers);
          res.end(body);
        });
      },
    );
    asked.add(request);
    request.on('close', () => asked.delete(request));
    // A server that is not there is a line that is not there.
    request.on('error', () => req.socket.destroy());
    res.on('close', () => request.destroy());
    req.pipe(slowly()).pipe(request);
  });
  server.on('connection', (socket: Socket) => {
    if (!up) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  });
  server.requestTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const cut = (): void => {
    up = false;
    for (const socket of sockets) socket.destroy();
    for (const request of asked) request.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    cut,
    mend() {
      up = true;
    },
    pace(bytesPerSecond) {
      freeAt = 0;
      rate = bytesPerSecond;
    },
    leadTo(url) {
      target = new URL(url);
    },
    hold(path) {
      let release = (): void => {};
      holds.set(
        path,
        new Promise((resolve) => {
          release = resolve;
        }),
      );
      return () => release();
    },
    alter(path, change) {
      changes.set(path, change);
    },
    close() {
      cut();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

export const chunksIn = (heard: readonly Heard[]): Heard[] =>
  heard.filter(({ path, status }) => path === '/api/batches/upload-chunk' && status === 200);
