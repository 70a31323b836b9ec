// The database on a MySQL or MariaDB server: a mysql2 pool behind Kysely. Transactions are READ COMMITTED, so what is
// read in order to be changed is read `for update`; deadlocks are expected and tried again. Files are loaded with LOAD
// DATA LOCAL INFILE, through the same reader of CSV lines as on SQLite.
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { CompiledQuery, Kysely, MysqlDialect, sql } from 'kysely';
import { createConnection, createPool, type PoolOptions } from 'mysql2';
import { type CsvField, csvReader } from './csv-lines.ts';
import type { AnswersTx, Database, Schema, Tx } from './database.ts';
import { MYSQL, migrationsTable, pendingMigrations } from './migrations.ts';
import { PRIMARY_KEYS, rowPieces } from './rows.ts';
import { writeGuard } from './write-guard.ts';

const DUPLICATE_ENTRY = 1062;
const UNKNOWN_DATABASE = 1049;
const NO_SUCH_TABLE = 1146;
/** deadlock found; lock wait timeout exceeded */
const TRY_AGAIN = new Set([1213, 1205]);
/** table, column or index exists already */
const ALREADY_DONE = new Set([1050, 1060, 1061]);
/** Local files are switched off, as MySQL says it and as MariaDB does. */
const NO_LOCAL_FILES = new Set([3948, 1148, 4166]);

/** What the driver and the network say of a server that went away, is starting, or has no connection left. */
const GONE = new Set([
  'PROTOCOL_CONNECTION_LOST',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ER_SERVER_SHUTDOWN',
  'ER_CON_COUNT_ERROR',
  'ER_CONNECTION_KILLED',
]);

/** Connections a process. API and four workers stay far below the 151 a server allows unless it is told otherwise. */
const CONNECTIONS = 10;
const ATTEMPTS = 12;
/** Longer than any transaction but a bulk load's last moments. */
const LOCK_WAIT_S = 30;
const MIGRATION_WAIT_S = 120;
const LOAD_PIECE_BYTES = 32 * 1024;

const errnoOf = (error: unknown): number | undefined => {
  if (!(error instanceof Error) || !('errno' in error)) return undefined;
  return typeof error.errno === 'number' ? error.errno : undefined;
};

const SESSION = [
  'set session transaction isolation level read committed',
  // Refuse what does not fit instead of cutting it; bulk loads need every warning to be kept.
  `set session sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', session max_error_count = 1000,
     session innodb_lock_wait_timeout = ${LOCK_WAIT_S}`,
];

/** Makes the database that `url` names. Nothing happens when it is there already. */
async function createDatabase(url: string, name: string): Promise<void> {
  const server = new URL(url);
  server.pathname = '';
  const connection = createConnection({ uri: server.href });
  try {
    await connection
      .promise()
      .query(
        `create database if not exists \`${name.replaceAll('`', '``')}\` character set utf8mb4 collate utf8mb4_bin`,
      );
  } finally {
    connection.destroy();
  }
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r', '\0': '\\0' };

/** What LOAD DATA reads by default: fields parted by tabs, backslashes before what would be misread, \N for NULL. */
export const loadDataField = (field: CsvField): string => {
  if (field === null) return '\\N';
  // Nearly no field has any of them, and looking is cheaper than replacing nothing.
  if (!/[\\\t\n\r\0]/.test(field)) return field;
  return field.replace(/[\\\t\n\r\0]/g, (letter) => ESCAPES[letter] ?? letter);
};

/** The file as LOAD DATA reads it. */
async function* loadDataLines(file: string, columns: number): AsyncGenerator<Buffer> {
  const reader = csvReader(columns);
  const lines = (fields: readonly CsvField[]): Buffer => {
    let text = '';
    let column = 0;
    for (const field of fields) {
      column += 1;
      text += loadDataField(field);
      text += column === columns ? '\n' : '\t';
      if (column === columns) column = 0;
    }
    return Buffer.from(text);
  };
  for await (const piece of createReadStream(file, { encoding: 'utf8', highWaterMark: LOAD_PIECE_BYTES })) {
    const fields: CsvField[] = [];
    reader.push(String(piece), fields);
    // An empty packet would end the load.
    if (fields.length > 0) yield lines(fields);
  }
  const fields: CsvField[] = [];
  reader.end(fields);
  if (fields.length > 0) yield lines(fields);
}

const names = (columns: readonly string[]): string => columns.map((column) => `\`${column}\``).join(', ');

/** Connects to the server and database of `url` (mysql://user:password@host:port/database), which is made when it does
 *  not exist. `migrate()` has still to be called. Throws when the server cannot be reached or refuses. */
export async function openMysql(url: string): Promise<Database> {
  const database = decodeURIComponent(new URL(url).pathname.slice(1));
  if (database === '')
    throw new Error('DATABASE_URL must end in the name of a database: mysql://user:password@host/sheaf');

  // Names under which files are offered to the server: it learns no path, and whatever else it asks for is refused.
  const offered = new Map<string, () => Readable>();
  let offers = 0;
  const options: PoolOptions = {
    uri: url,
    connectionLimit: CONNECTIONS,
    charset: 'UTF8MB4_BIN',
    // Sums and averages are DECIMAL here and plain numbers in SQLite.
    decimalNumbers: true,
    infileStreamFactory: (name) =>
      offered.get(name)?.() ??
      new Readable({
        read() {
          this.destroy(new Error('The database server asked for a file that was not offered to it'));
        },
      }),
  };

  const pool = createPool(options);
  const db = new Kysely<Schema>({
    dialect: new MysqlDialect({
      pool,
      onCreateConnection: async (connection) => {
        for (const statement of SESSION) await connection.executeQuery(CompiledQuery.raw(statement));
      },
    }),
  });
  try {
    try {
      await sql`select 1`.execute(db);
    } catch (error) {
      if (errnoOf(error) !== UNKNOWN_DATABASE) throw error;
      await createDatabase(url, database);
      await sql`select 1`.execute(db);
    }
  } catch (error) {
    await db.destroy();
    throw new Error(`The database server at ${new URL(url).host} cannot be used`, { cause: error });
  }

  const guarded = writeGuard();
  const write = <T>(work: (tx: Tx) => Promise<T>): Promise<T> =>
    guarded(async () => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await db.transaction().execute(work);
        } catch (error) {
          if (attempt === ATTEMPTS || !TRY_AGAIN.has(errnoOf(error) ?? 0)) throw error;
        }
        // Jitter, so that two that met do not meet again.
        await sleep(Math.min(5 * 2 ** attempt, 500) * (0.5 + Math.random()));
      }
    });

  /** Throws when the last statement said anything but what is expected of it. */
  const refuseWarnings = async (tx: Tx | AnswersTx, what: string, expected?: number): Promise<void> => {
    const { rows } = await sql<{ Code: number; Message: string }>`show warnings`.execute(tx);
    const unexpected = rows.find(({ Code }) => Code !== expected);
    if (unexpected) throw new Error(`${what}: ${unexpected.Message} (${unexpected.Code})`);
  };

  const presentSchema = async (connection: Kysely<Schema>): Promise<number> => {
    try {
      const { rows } = await sql<{ newest: number | null }>`select max(number) as newest from migrations`.execute(
        connection,
      );
      return rows[0]?.newest ?? 0;
    } catch (error) {
      if (errnoOf(error) === NO_SUCH_TABLE) return 0;
      throw error;
    }
  };

  return {
    kind: 'mysql',
    sql: db,
    write,
    // Rows are locked one by one here: the answers of a batch are in nobody's way.
    writeAnswers: (work) => write((tx) => work(tx as unknown as AnswersTx)),

    async insertNew(tx, table, rows) {
      let inserted = 0;
      for (const { columns, values, parameters } of rowPieces(rows)) {
        const text = `insert ignore into \`${table}\` (${names(columns)}) values ${values}`;
        const { numAffectedRows } = await tx.executeQuery(CompiledQuery.raw(text, parameters));
        // IGNORE also lets through what is cut or missing.
        await refuseWarnings(tx, `Rows for ${table} were refused`, DUPLICATE_ENTRY);
        inserted += Number(numAffectedRows);
      }
      return inserted;
    },

    async upsert(tx, table, rows) {
      const key: readonly string[] = PRIMARY_KEYS[table];
      for (const { columns, values, parameters } of rowPieces(rows)) {
        const updates = columns.map((column) =>
          // The row met may be another one, by a second unique key: setting its key to NULL is refused.
          key.includes(column)
            ? `\`${column}\` = if(\`${column}\` = values(\`${column}\`), \`${column}\`, null)`
            : `\`${column}\` = values(\`${column}\`)`,
        );
        const text = `insert into \`${table}\` (${names(columns)}) values ${values} on duplicate key update ${updates.join(', ')}`;
        await tx.executeQuery(CompiledQuery.raw(text, parameters));
      }
    },

    async nextSeq(tx, scope, by = 1) {
      // LAST_INSERT_ID(x) hands x back with the answer: one trip, and the row is ours until the end.
      const { insertId } = await sql`insert into sequences (scope, seq) values (${scope}, ${by})
        on duplicate key update seq = last_insert_id(seq + ${by})`.execute(tx);
      return insertId === undefined ? by : Number(insertId);
    },

    async bulkLoad(tx, table, columns, file) {
      offers += 1;
      const name = `sheaf-load-${offers}`;
      offered.set(name, () => Readable.from(loadDataLines(file, columns.length), { objectMode: false }));
      try {
        const text = `load data local infile '${name}' into table \`${table}\` character set utf8mb4 (${names(columns)})`;
        const { numAffectedRows } = await tx.executeQuery(CompiledQuery.raw(text));
        // LOCAL turns every error in the data into a warning and every duplicate into a skipped row.
        await refuseWarnings(tx, `The file for ${table} was refused`);
        return Number(numAffectedRows);
      } catch (error) {
        if (!NO_LOCAL_FILES.has(errnoOf(error) ?? 0)) throw error;
        throw new Error('The database server refuses bulk loads: switch on local_infile in its configuration', {
          cause: error,
        });
      } finally {
        offered.delete(name);
      }
    },

    isAway(error) {
      for (let cause = error; cause instanceof Error; cause = cause.cause) {
        const { code = '', fatal } = cause as { code?: string; fatal?: boolean };
        if (fatal === true || GONE.has(code)) return true;
      }
      return false;
    },

    async migrate() {
      if (pendingMigrations(await presentSchema(db)).length === 0) return;
      await db.connection().execute(async (connection) => {
        // The name is the server's, not the database's, and has at most 64 letters.
        const lock = `sheaf-migrate-${database}`.slice(0, 64);
        const { rows } = await sql<{
          got: number | null;
        }>`select get_lock(${lock}, ${MIGRATION_WAIT_S}) as got`.execute(connection);
        if (rows[0]?.got !== 1)
          throw new Error(`Another process has been changing the database for ${MIGRATION_WAIT_S} seconds`);
        try {
          await sql.raw(migrationsTable(MYSQL)).execute(connection);
          for (const { number, reason, statements } of pendingMigrations(await presentSchema(connection))) {
            for (const statement of statements(MYSQL)) {
              try {
                await sql.raw(statement).execute(connection);
              } catch (error) {
                // Each statement commits by itself: a step that was killed halfway finds its first half done.
                if (!ALREADY_DONE.has(errnoOf(error) ?? 0)) throw error;
              }
            }
            await sql`insert into migrations (number, reason, applied_at)
              values (${number}, ${reason}, ${Date.now()})`.execute(connection);
          }
        } finally {
          await sql`select release_lock(${lock})`.execute(connection);
        }
      });
    },

    async close() {
      await db.destroy();
    },
  };
}
