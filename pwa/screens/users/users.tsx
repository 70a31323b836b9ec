// The list of users, for admins: the stored rows.
import { useState } from 'preact/hooks';
import type { UserRow } from '../../../shared/protocol/user.ts';
import { useUser } from '../../app.ts';
import { go, userPath } from '../../route.ts';
import { useLive, useNow } from '../../store.ts';
import { ago } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Empty, Pill, ScreenTitle } from '../../ui/parts.tsx';
import { useLook } from '../look.tsx';
import { TrueAt } from '../true-at.tsx';
import { ROLE_WORDS } from './roles.ts';

export const UsersScreen = () => {
  const user = useUser();
  const now = useNow(20_000);
  const [search, setSearch] = useState('');
  useLook('users');
  const stored = useLive('users', ['users', 'pulls'], async () => ({
    rows: (await user.getAll('users')).sort((a, b) => a.username.localeCompare(b.username)),
    pulled: (await user.get('pulls', 'users'))?.true_at,
  }));
  const rows = stored?.rows ?? [];
  const words = search.trim().toLowerCase();
  const shown = rows.filter((row) =>
    [row.username, row.role, ...row.centres].some((text) => text.toLowerCase().includes(words)),
  );
  return (
    <>
      <ScreenTitle title="Users">
        <a class="button primary" href="/new-user">
          <Icon name="add" />
          New user
        </a>
      </ScreenTitle>
      <TrueAt at={stored?.pulled} />
      {stored && rows.length === 0 && (
        <Empty title="Nothing is kept on this tablet yet.">
          <p>The list appears as soon as the server can be reached.</p>
        </Empty>
      )}
      {rows.length > 0 && (
        <>
          <div class="field search">
            <label for="search">Find a user</label>
            <input
              id="search"
              type="search"
              autocomplete="off"
              value={search}
              onInput={(event) => setSearch(event.currentTarget.value)}
            />
          </div>
          <div class="card table-card">
            <table class="table batches">
              <thead>
                <tr>
                  <th scope="col">User</th>
                  <th scope="col">Role</th>
                  <th scope="col" class="wide-only">
                    Centres
                  </th>
                  <th scope="col">State</th>
                  <th scope="col" class="number">
                    Last seen
                  </th>
                </tr>
              </thead>
              <tbody>
                {shown.map((row) => (
                  <UserLine key={row.user_id} row={row} now={now} />
                ))}
              </tbody>
            </table>
            {shown.length === 0 && <p class="pad table-none">Nobody has that in their name, role or centres.</p>}
          </div>
        </>
      )}
    </>
  );
};

export const UserState = ({ row }: { row: UserRow }) => {
  if (row.disabled)
    return (
      <Pill tone="bad" icon="failed">
        Disabled
      </Pill>
    );
  return row.must_change_password ? (
    <Pill tone="doubt" icon="clock">
      New password due
    </Pill>
  ) : (
    <Pill tone="ok" icon="done">
      Active
    </Pill>
  );
};

const UserLine = ({ row, now }: { row: UserRow; now: number }) => (
  <tr
    class="line"
    data-user={row.username}
    onClick={(event) => {
      if (!(event.target as Element).closest('a')) go(userPath(row.user_id));
    }}
  >
    <th scope="row">
      <a class="row-link" href={userPath(row.user_id)}>
        {row.username}
      </a>
    </th>
    <td>{ROLE_WORDS[row.role].word}</td>
    <td class="wide-only">{row.role === 'admin' ? 'all' : row.centres.join(', ') || 'none'}</td>
    <td>
      <UserState row={row} />
    </td>
    <td class="number">{row.last_used_at ? ago(row.last_used_at, now) : 'not signed in'}</td>
  </tr>
);
