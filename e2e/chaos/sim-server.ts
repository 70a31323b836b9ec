// API processes without processes: the server's own code over a simulated disk and a real database, that can be killed
// before or after any of their reads and writes. What a killed one still does reaches nothing any more.
import { createServer, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Database } from '../../server/adapters/database.ts';
import { decodeGray, encodeJpeg, showable } from '../../server/adapters/decode.ts';
import { createSessions } from '../../server/auth/sessions.ts';
import { createApp } from '../../server/http/app.ts';
import { createFeeds } from '../../server/progress/feeds.ts';
import { createRoster } from '../../server/progress/roster.ts';
import type { BlobFile, Blobs } from '../../server/uploads/blobs.ts';
import { createLeases } from '../../server/uploads/leases.ts';
import { recoverUploads } from '../../server/uploads/recover.ts';

class Killed extends Error {
  override readonly name = 'Killed';
}

export interface SimServer {
  readonly alive: boolean;
  /** Takes a connection as it comes from a listening socket. */
  connect(socket: Duplex): void;
  /** Kills it at the operation on disk or database that is so many away from now: before it, or when it is done. */
  killAt(operations: number, done: boolean): void;
  kill(): void;
}

export interface SimServerDeps {
  name: string;
  db: Database;
  blobs: Blobs;
  secret: Uint8Array;
  /** told of errors that nobody expects */
  report: (error: unknown) => void;
}

/** Starts one as `server/api.ts` does: leases dropped, uploads recovered, then it answers. Null when it was killed
 *  before it came so far. */
export async function startServer(
  { name, db, blobs, secret, report }: SimServerDeps,
  killAt: { operations: number; done: boolean } | null = null,
): Promise<SimServer | null> {
  let alive = true;
  let due = killAt;
  const sockets = new Set<Duplex>();
  const kill = (): void => {
    alive = false;
    for (const socket of sockets) socket.destroy();
  };
  /** One operation: may be the last, done or not. */
  const operation = async <T>(work: () => Promise<T>): Promise<T> => {
    if (!alive) throw new Killed(name);
    if (due !== null) due = { ...due, operations: due.operations - 1 };
    if (due !== null && due.operations < 0) {
      if (due.done) await work();
      kill();
      throw new Killed(name);
    }
    const result = await work();
    if (!alive) throw new Killed(name);
    return result;
  };
  const expected = (error: unknown): boolean => !alive || error instanceof Killed;

  const file = (opened: BlobFile): BlobFile => ({
    close: () => opened.close(),
    read: (...args) => operation(() => opened.read(...args)),
    sha256: (...args) => operation(() => opened.sha256(...args)),
    datasync: () => operation(() => opened.datasync()),
    write(start, position) {
      const range = opened.write(start, position);
      return {
        get written() {
          return range.written;
        },
        push: (piece) => {
          if (!alive) throw new Killed(name);
          const under = range.push(piece);
          return under && operation(() => under);
        },
        flush: () => operation(() => range.flush()),
        idle: () => range.idle(),
        sha256: () => operation(() => range.sha256()),
        end: () => range.end(),
      };
    },
  });
  const disk: Blobs = {
    path: blobs.path,
    create: (...args) => operation(() => blobs.create(...args)),
    open: (...args) => operation(async () => file(await blobs.open(...args))),
    size: (...args) => operation(() => blobs.size(...args)),
    age: (...args) => operation(() => blobs.age(...args)),
    remove: (...args) => operation(() => blobs.remove(...args)),
    list: () => operation(() => blobs.list()),
    free: () => operation(() => blobs.free()),
  };
  const database: Database = { ...db, write: (work) => operation(() => db.write(work)) };
  const told = (error: unknown): void => {
    if (!expected(error)) report(error);
  };

  const leases = createLeases(database, name);
  const shared = { db: database, blobs: disk, announce: () => undefined, wake: () => undefined };
  const { app } = createApp({
    ...shared,
    forget: () => undefined,
    touch: () => undefined,
    secret,
    leases,
    quota: { user: null, centre: null },
    report: told,
    feeds: createFeeds(database, told),
    roster: createRoster(database, told),
    closing: new AbortController().signal,
    sessions: createSessions(database, secret),
    webDir: '/nowhere',
    images: { decodeGray, encodeJpeg, showable },
    trustedProxies: ['loopback'],
    check: async () => undefined,
  });
  try {
    await leases.drop();
    await recoverUploads(shared, told);
  } catch (error) {
    if (!expected(error)) throw error;
  }
  if (!alive) return null;
  const server: Server = createServer(app);
  server.requestTimeout = 0;
  return {
    get alive() {
      return alive;
    },
    connect(socket) {
      if (!alive) {
        socket.destroy();
        return;
      }
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      server.emit('connection', socket);
    },
    killAt(operations, done) {
      due = { operations, done };
    },
    kill,
  };
}
