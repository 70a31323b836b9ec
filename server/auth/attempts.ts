// Guessing passwords is made slow: failures are counted for the user name and for the address, in the database, so that
// it does not matter which API process is asked. A name that does not exist is counted like one that does.
import { createHash } from 'node:crypto';
import type { Database, Tx } from '../adapters/database.ts';
import { refuse } from '../problem.ts';

/** Failures without a lock. A person mistypes a few times; behind one address sits a whole exam centre. */
const FREE = { name: 5, address: 50 };
const FIRST_LOCK_MS = 60_000;
/** Short enough that nobody is locked out of their work for long by somebody else's guessing. */
const LONGEST_LOCK_MS = 15 * 60_000;
/** Failures are forgotten when none has followed for this long. */
const FORGET_MS = 60 * 60_000;

export interface Attempt {
  username: string;
  /** where it comes from; null when that is not known */
  address: string | null;
}

/** How a user name is compared. MySQL does not see a space at the end: with it one name would have many counts. */
export const plainName = (username: string): string => username.trim().normalize('NFKC').toLowerCase();

/** Whoever has one IPv6 address has 2^64 of them. */
function network(address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address;
  const [head = '', tail = ''] = address.split('::');
  const groups = head.split(':').filter(Boolean);
  const missing = 8 - groups.length - tail.split(':').filter(Boolean).length;
  return `${[...groups, ...Array(Math.max(0, missing)).fill('0'), ...tail.split(':').filter(Boolean)].slice(0, 4).join(':')}::/64`;
}

const kinds = ['name', 'address'] as const;
type Kind = (typeof kinds)[number];

function scopesOf({ username, address }: Attempt): { scope: string; kind: Kind }[] {
  // Hashed: now and then somebody types a password where the name belongs.
  const name = createHash('sha256').update(plainName(username)).digest('hex');
  const scopes: { scope: string; kind: Kind }[] = [{ scope: `name:${name}`, kind: 'name' }];
  if (address !== null) scopes.push({ scope: `address:${network(address)}`, kind: 'address' });
  return scopes;
}

const lockMs = (failures: number, free: number): number =>
  failures < free ? 0 : Math.min(LONGEST_LOCK_MS, FIRST_LOCK_MS * 2 ** Math.min(failures - free, 10));

const span = (seconds: number): string => (seconds < 90 ? `${seconds} seconds` : `${Math.ceil(seconds / 60)} minutes`);

/** Refuses while the name or the address is locked, and says for how long.
 *  @throws RequestRefused TOO_MANY_REQUESTS */
export async function needUnlocked(sql: Pick<Tx, 'selectFrom'>, attempt: Attempt, now = Date.now()): Promise<void> {
  for (const { scope, kind } of scopesOf(attempt)) {
    const row = await sql
      .selectFrom('login_failures')
      .select('blocked_until')
      .where('scope', '=', scope)
      .forUpdate()
      .executeTakeFirst();
    if (!row || row.blocked_until <= now) continue;
    const seconds = Math.ceil((row.blocked_until - now) / 1000);
    const where = kind === 'name' ? 'for this user name' : 'from this address';
    refuse(
      'TOO_MANY_REQUESTS',
      `Too many wrong passwords ${where}. Wait ${span(seconds)}, then try again; an admin can give you a new password.`,
      { retryAfter: seconds },
    );
  }
}

/** Counts a wrong password. */
export async function countFailure(db: Database, attempt: Attempt, now = Date.now()): Promise<void> {
  await db.write(async (tx) => {
    for (const { scope, kind } of scopesOf(attempt)) {
      await db.insertNew(tx, 'login_failures', [{ scope, failures: 0, last_at: now, blocked_until: 0 }]);
      const row = await tx
        .selectFrom('login_failures')
        .selectAll()
        .where('scope', '=', scope)
        .forUpdate()
        .executeTakeFirstOrThrow();
      const failures = (row.last_at < now - FORGET_MS ? 0 : row.failures) + 1;
      await tx
        .updateTable('login_failures')
        .set({ failures, last_at: now, blocked_until: Math.max(row.blocked_until, now + lockMs(failures, FREE[kind])) })
        .where('scope', '=', scope)
        .execute();
    }
  });
}

/** A right password clears the name's count; the address keeps its own, or one known password would free all others. */
export async function forgive(tx: Tx, username: string): Promise<void> {
  const [name] = scopesOf({ username, address: null });
  if (name) await tx.deleteFrom('login_failures').where('scope', '=', name.scope).execute();
}

/** Drops counts that no longer matter. */
export const forgetFailures = (db: Database, now = Date.now()): Promise<unknown> =>
  db.write((tx) =>
    tx
      .deleteFrom('login_failures')
      .where('last_at', '<', now - FORGET_MS)
      .where('blocked_until', '<', now)
      .execute(),
  );
