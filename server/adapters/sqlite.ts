// The database in two files on this machine: better-sqlite3 behind Kysely. Several processes open the same files. One
// connection a process writes, one transaction at a time; any number read beside it (WAL), each seeing only what is
// committed. Waiting for another process's write never blocks the event loop. A file has one writer at a time, and loading
// two million answers takes seconds: they have a file, and a lock, of their own. Who reads has both.
import { createReadStream, readFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  type QueryResult,
  type SelectModifierNode,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { type CsvField, csvReader } from './csv-lines.ts';
import type { AnswersTx, Database, Schema, Tx } from './database.ts';
import { answersTable, migrationsTable, pendingMigrations, SQLITE } from './migrations.ts';
import { PRIMARY_KEYS, rowPieces } from './rows.ts';
import { writeGuard } from './write-guard.ts';

/** How long a write waits for another process's. A bulk load of two million answers holds their file's lock for some ten
 *  seconds on a slow disk; whoever waits longer than this meets a writer that hangs. */
const WRITE_WAIT_MS = 60_000;
/** Readers and the opening wait inside SQLite, where only recovery after a crash and a closing checkpoint hold them. */
const READ_WAIT_MS = 10_000;
/** Idle read connections kept open; more are opened while several results are streamed at the same time. */
const IDLE_READERS = 4;
const MOST_PREPARED = 200;
/** Values in a statement that takes more than a moment. */
const LONG_STATEMENT = 1000;
/** One piece of a bulk load: some milliseconds of work between two looks at the event loop, and lists that die young: what
 *  is longer than 128 kB is old memory at once. */
const LOAD_PIECE_BYTES = 32 * 1024;
/** Rows in one insert of a bulk load; beyond this it gets no faster. */
const LOAD_ROWS = 32;

const isBusy = (error: unknown): boolean => error instanceof Sqlite.SqliteError && error.code.startsWith('SQLITE_BUSY');

/** Calls `attempt` until the file is not busy; pauses grow from about 1 to 25 ms, with jitter so that processes that
 *  wait for the same lock do not ask in step. */
async function whenFree<T>(attempt: () => T): Promise<T> {
  const giveUpAt = Date.now() + WRITE_WAIT_MS;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 1.5, 25)) {
    try {
      return attempt();
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (Date.now() > giveUpAt)
        throw new Error(`The database was busy for ${WRITE_WAIT_MS / 1000} seconds: another process holds its lock`, {
          cause: error,
        });
    }
    await sleep(pauseMs * (0.5 + Math.random()));
  }
}

class SqliteConnection implements DatabaseConnection {
  readonly raw: Sqlite.Database;
  /** Preparing a statement costs as much as running it; those of many rows differ with the number of rows. */
  readonly #prepared = new Map<string, Sqlite.Statement<unknown[]>>();

  constructor(raw: Sqlite.Database) {
    this.raw = raw;
  }

  // The methods are async so that what better-sqlite3 throws becomes a rejection.
  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    let statement = this.#prepared.get(sql);
    if (!statement) {
      statement = this.raw.prepare<unknown[]>(sql);
      if (this.#prepared.size >= MOST_PREPARED) this.#prepared.clear();
      this.#prepared.set(sql, statement);
    }
    if (statement.reader) return { rows: statement.all(...parameters) as R[] };
    const { changes, lastInsertRowid } = statement.run(...parameters);
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
  }

  async *streamQuery<R>({ sql, parameters }: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    for (const row of this.raw.prepare<unknown[], R>(sql).iterate(...parameters)) yield { rows: [row] };
  }

  rollback(): void {
    // A full disk has already rolled back by itself; its error must not be hidden behind a second one.
    if (this.raw.inTransaction) this.raw.exec('rollback');
  }
}

/** The one connection that writes: its owner is whoever acquired it, the others queue in order. */
class WriteDriver implements Driver {
  readonly #connection: SqliteConnection;
  #last: Promise<void> = Promise.resolve();
  #release: () => void = () => {};

  constructor(raw: Sqlite.Database) {
    this.#connection = new SqliteConnection(raw);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<SqliteConnection> {
    const before = this.#last;
    let release = () => {};
    this.#last = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    this.#release = release;
    return this.#connection;
  }

  // IMMEDIATE: a transaction that starts by reading and then wants to write is refused when anyone wrote in between.
  async beginTransaction(): Promise<void> {
    await whenFree(() => this.#connection.raw.exec('begin immediate'));
  }

  async commitTransaction(): Promise<void> {
    this.#connection.raw.exec('commit');
  }

  async rollbackTransaction(): Promise<void> {
    this.#connection.rollback();
  }

  async releaseConnection(): Promise<void> {
    this.#release();
  }

  async destroy(): Promise<void> {
    await this.acquireConnection();
    this.#connection.raw.close();
  }
}

/** Connections that only read, as many as are in use at once. */
class ReadDriver implements Driver {
  readonly #open: () => Sqlite.Database;
  readonly #idle: SqliteConnection[] = [];
  #closed = false;

  constructor(open: () => Sqlite.Database) {
    this.#open = open;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<SqliteConnection> {
    return this.#idle.pop() ?? new SqliteConnection(this.#open());
  }

  async beginTransaction(connection: SqliteConnection): Promise<void> {
    connection.raw.exec('begin');
  }

  async commitTransaction(connection: SqliteConnection): Promise<void> {
    connection.raw.exec('commit');
  }

  async rollbackTransaction(connection: SqliteConnection): Promise<void> {
    connection.rollback();
  }

  async releaseConnection(connection: SqliteConnection): Promise<void> {
    if (this.#closed || this.#idle.length >= IDLE_READERS) connection.raw.close();
    else this.#idle.push(connection);
  }

  async destroy(): Promise<void> {
    this.#closed = true;
    for (const connection of this.#idle.splice(0)) connection.raw.close();
  }
}

/** `for update` and `for share` say nothing here: a write transaction has the whole database to itself. */
class SheafQueryCompiler extends SqliteQueryCompiler {
  protected override visitSelectModifier(node: SelectModifierNode): void {
    if (node.modifier === undefined || node.modifier === 'Distinct') super.visitSelectModifier(node);
  }
}

const kyselyOver = <Tables = Schema>(driver: Driver): Kysely<Tables> => {
  const dialect: Dialect = {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => driver,
    createQueryCompiler: () => new SheafQueryCompiler(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  };
  return new Kysely<Tables>({ dialect });
};

const names = (columns: readonly string[]): string => columns.map((column) => `"${column}"`).join(', ');

/** `data/sheaf.sqlite` → `data/sheaf-answers.sqlite` */
const answersBeside = (file: string): string => {
  const { dir, name, ext } = path.parse(file);
  return path.join(dir, `${name}-answers${ext}`);
};

/** Opens, or makes, the database in `file` and the one of its answers beside it. `migrate()` has still to be called. Throws when the file is no database or
 *  cannot be opened. */
export async function openSqlite(file: string): Promise<Database> {
  const answersFile = answersBeside(file);
  const open = (one: string): Sqlite.Database => {
    const raw = new Sqlite(one, { timeout: READ_WAIT_MS });
    raw.pragma('synchronous = FULL');
    // Links between tables are kept by the code; deleting a batch deletes table by table.
    raw.pragma('foreign_keys = OFF');
    raw.pragma('temp_store = MEMORY');
    raw.pragma('cache_size = -16000'); // KiB
    return raw;
  };

  const openWriter = async (one: string): Promise<Sqlite.Database> => {
    const raw = open(one);
    try {
      await whenFree(() => raw.pragma('journal_mode = WAL'));
      // A bulk load leaves a log of a hundred megabytes: it is cut back once it has been copied over.
      raw.pragma('journal_size_limit = 67108864');
      raw.pragma('busy_timeout = 0');
      return raw;
    } catch (error) {
      raw.close();
      throw error;
    }
  };
  const writer = await openWriter(file);
  const answersWriter = await openWriter(answersFile).catch((error) => {
    writer.close();
    throw error;
  });
  // Answers are written once, in order of their key: what has been written is not looked at again.
  answersWriter.pragma('cache_size = -2000');

  const writing = kyselyOver(new WriteDriver(writer));
  const writingAnswers = kyselyOver<Pick<Schema, 'answers'>>(new WriteDriver(answersWriter));
  const reading = kyselyOver(
    new ReadDriver(() => {
      const raw = open(file);
      // A statement looks at `main` first: who finds results of record finds the answers that were stored before them.
      raw.prepare('attach database ? as apart').run(answersFile);
      raw.pragma('query_only = ON');
      return raw;
    }),
  );
  // Kysely closes only drivers it has started.
  await writing.connection().execute(async () => {});
  await writingAnswers.connection().execute(async () => {});
  const guarded = writeGuard();
  const write = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => guarded(() => writing.transaction().execute(work));

  /** The newest step done, 0 for an empty file. */
  const presentSchema = (): number => {
    const there = writer.prepare("select 1 from sqlite_schema where type = 'table' and name = 'migrations'").get();
    if (there === undefined) return 0;
    const row = writer.prepare<[], { newest: number | null }>('select max(number) as newest from migrations').get();
    return row?.newest ?? 0;
  };

  return {
    kind: 'sqlite',
    sql: reading,
    write,
    writeAnswers: <T>(work: (tx: AnswersTx) => Promise<T>) => guarded(() => writingAnswers.transaction().execute(work)),

    async insertNew(tx, table, rows) {
      let inserted = 0;
      for (const { columns, values, parameters } of rowPieces(rows)) {
        const text = `insert into "${table}" (${names(columns)}) values ${values} on conflict do nothing`;
        const { numAffectedRows } = await tx.executeQuery(CompiledQuery.raw(text, parameters));
        inserted += Number(numAffectedRows);
        await nextTurn();
      }
      return inserted;
    },

    async upsert(tx, table, rows) {
      const key: readonly string[] = PRIMARY_KEYS[table];
      for (const { columns, values, parameters } of rowPieces(rows)) {
        const others = columns.filter((column) => !key.includes(column));
        const action =
          others.length === 0 ? 'nothing' : `update set ${others.map((c) => `"${c}" = excluded."${c}"`).join(', ')}`;
        const text = `insert into "${table}" (${names(columns)}) values ${values} on conflict (${names(key)}) do ${action}`;
        await tx.executeQuery(CompiledQuery.raw(text, parameters));
        if (parameters.length > LONG_STATEMENT) await nextTurn();
      }
    },

    async nextSeq(tx, scope, by = 1) {
      const row = await tx
        .insertInto('sequences')
        .values({ scope, seq: by })
        .onConflict((oc) => oc.column('scope').doUpdateSet((eb) => ({ seq: eb('sequences.seq', '+', by) })))
        .returning('seq')
        .executeTakeFirstOrThrow();
      return row.seq;
    },

    async bulkLoad(_tx, table, columns, file) {
      // The transaction at hand is this writer's: no other connection writes to the table's file.
      const into = table === 'answers' ? answersWriter : writer;
      if (!into.inTransaction) throw new Error('A bulk load needs an open write transaction');
      const group = `(${columns.map(() => '?').join(', ')})`;
      const insertOf = (rows: number) =>
        into.prepare<CsvField[]>(
          `insert into "${table}" (${names(columns)}) values ${Array.from({ length: rows }, () => group).join(', ')}`,
        );
      const one = insertOf(1);
      const many = insertOf(LOAD_ROWS);
      const fieldsOfMany = LOAD_ROWS * columns.length;
      let loaded = 0;
      let fields: CsvField[] = [];
      // Numbers arrive as text: the column's type turns them into numbers, exactly.
      const flush = (all: boolean) => {
        let at = 0;
        for (; at + fieldsOfMany <= fields.length; at += fieldsOfMany) many.run(...fields.slice(at, at + fieldsOfMany));
        if (all) for (; at < fields.length; at += columns.length) one.run(...fields.slice(at, at + columns.length));
        loaded += at / columns.length;
        fields = fields.slice(at);
      };
      const reader = csvReader(columns.length);
      if (into === writer) {
        // Everybody waits for this transaction: nothing else of the process may take its turn before it has ended.
        reader.push(readFileSync(file, 'utf8'), fields);
      } else {
        for await (const piece of createReadStream(file, { encoding: 'utf8', highWaterMark: LOAD_PIECE_BYTES })) {
          reader.push(String(piece), fields);
          flush(false);
          await nextTurn();
        }
      }
      reader.end(fields);
      flush(true);
      return loaded;
    },

    isAway: isBusy,

    async migrate() {
      await whenFree(() => answersWriter.exec(answersTable(SQLITE)));
      if (pendingMigrations(presentSchema()).length === 0) return;
      // Of both files, and alone: nothing else of this process writes before it knows the schema.
      writer.prepare('attach database ? as apart').run(answersFile);
      try {
        await write(async () => {
          // Asked again inside the transaction: another process may have been quicker.
          const pending = pendingMigrations(presentSchema());
          writer.exec(migrationsTable(SQLITE));
          for (const { number, reason, statements } of pending) {
            for (const statement of statements(SQLITE)) writer.exec(statement);
            writer
              .prepare('insert into migrations (number, reason, applied_at) values (?, ?, ?)')
              .run(number, reason, Date.now());
          }
        });
      } finally {
        writer.exec('detach database apart');
      }
    },

    async close() {
      await reading.destroy();
      await writing.destroy();
      await writingAnswers.destroy();
    },
  };
}
