// The list of users, for admins: the stored rows.
import type { UserRow } from '../../../shared/protocol/user.ts';
import { useUser } from '../../app.ts';
import { userPath } from '../../route.ts';
import { useLive, useNow } from '../../store.ts';
import { ago } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { type Column, List } from '../../ui/list.tsx';
import { Empty, Pill, ScreenTitle } from '../../ui/parts.tsx';
import { useLook } from '../look.tsx';
import { TrueAt } from '../true-at.tsx';
import { roleWords } from './roles.ts';
import { userWords } from './words.ts';

export const UsersScreen = () => {
  const t = userWords();
  const user = useUser();
  const now = useNow(20_000);
  useLook('users');
  const stored = useLive('users', ['users', 'pulls'], async () => ({
    rows: (await user.getAll('users')).sort((a, b) => a.username.localeCompare(b.username)),
    pulled: (await user.get('pulls', 'users'))?.true_at,
  }));
  const rows = stored?.rows ?? [];
  const columns: Column<UserRow>[] = [
    {
      head: t.user,
      cell: (row) => (
        <a class="row-link" href={userPath(row.user_id)}>
          <bdi>{row.username}</bdi>
        </a>
      ),
      compare: (a, b) => a.username.localeCompare(b.username),
    },
    { head: t.role, cell: (row) => roleWords(row.role).word, compare: (a, b) => a.role.localeCompare(b.role) },
    {
      head: t.centres,
      from: 'wide',
      cell: (row) => (row.role === 'admin' ? t.all : row.centres.join(', ') || t.none),
    },
    { head: t.state, cell: (row) => <UserState row={row} /> },
    {
      head: t.lastSeen,
      number: true,
      cell: (row) => (row.last_used_at ? ago(row.last_used_at, now) : t.notSignedIn),
      compare: (a, b) => (b.last_used_at ?? '').localeCompare(a.last_used_at ?? ''),
    },
  ];
  return (
    <>
      <ScreenTitle title={t.title}>
        <a class="button primary" href="/new-user">
          <Icon name="add" />
          {t.newUser}
        </a>
      </ScreenTitle>
      <TrueAt at={stored?.pulled} />
      {stored && rows.length === 0 && (
        <Empty title={t.nothingKept}>
          <p>{t.nothingKeptWords}</p>
        </Empty>
      )}
      {rows.length > 0 && (
        <List
          name="users"
          rows={rows}
          columns={columns}
          id={(row) => row.username}
          texts={(row) => [row.username, row.role, roleWords(row.role).word, ...row.centres]}
          find={t.find}
          noneFound={t.noneFound}
          mark="user"
        />
      )}
    </>
  );
};

export const UserState = ({ row }: { row: UserRow }) => {
  const t = userWords();
  if (row.disabled)
    return (
      <Pill tone="bad" icon="failed">
        {t.disabled}
      </Pill>
    );
  return row.must_change_password ? (
    <Pill tone="doubt" icon="clock">
      {t.passwordDue}
    </Pill>
  ) : (
    <Pill tone="ok" icon="done">
      {t.active}
    </Pill>
  );
};
