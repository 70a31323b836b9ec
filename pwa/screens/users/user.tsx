// One user, made or changed by an admin: role, centres, whether they may sign in, and where they are signed in. Only the
// server can do any of it; what it answers is stored, and shown from there.
import './user.css';
import { useState } from 'preact/hooks';
import { type Me, ROLES, type Role } from '../../../shared/protocol/auth.ts';
import { passwordProblem } from '../../../shared/protocol/password.ts';
import type { UserRow } from '../../../shared/protocol/user.ts';
import { useApp, useUser } from '../../app.ts';
import { go } from '../../route.ts';
import { useLive, useNow } from '../../store.ts';
import { ago } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Confirm, Empty, Pill, ScreenTitle } from '../../ui/parts.tsx';
import { useLook } from '../look.tsx';
import { TrueAt } from '../true-at.tsx';
import { roleWords } from './roles.ts';
import { UserState } from './users.tsx';
import { userWords } from './words.ts';

export const UserScreen = ({ id, me }: { id: string | null; me: Me }) => {
  const t = userWords();
  const user = useUser();
  const places = id === null ? ['users', 'choices'] : ['users', 'choices', `devices:${id}`];
  useLook(...places);
  const stored = useLive(`user ${id}`, ['users', 'choices'], async () => ({
    row: id === null ? undefined : await user.get('users', id),
    centres: (await user.get('choices', 'centres'))?.items ?? [],
  }));
  return (
    <>
      <a class="back" href="/users">
        <Icon name="back" />
        {t.title}
      </a>
      {id === null && <NewUserForm centres={stored?.centres ?? []} />}
      {id !== null && !stored?.row && (
        <>
          <ScreenTitle title={t.user} />
          {stored && (
            <Empty title={t.notKept}>
              <p>{t.notKeptWords}</p>
            </Empty>
          )}
        </>
      )}
      {stored?.row && (
        <>
          <ScreenTitle title={stored.row.username}>
            <UserState row={stored.row} />
          </ScreenTitle>
          <TrueAt at={stored.row.true_at} />
          <Rights
            key={JSON.stringify([stored.row.role, stored.row.centres])}
            row={stored.row}
            centres={stored.centres}
          />
          <Devices row={stored.row} />
          <Access row={stored.row} own={stored.row.user_id === me.user_id} />
        </>
      )}
    </>
  );
};

const RoleChoice = ({ role, onChange }: { role: Role; onChange: (role: Role) => void }) => (
  <div class="field">
    <label for="role">{userWords().role}</label>
    <select id="role" value={role} onChange={(event) => onChange(event.currentTarget.value as Role)}>
      {ROLES.map((name) => (
        <option key={name} value={name}>
          {roleWords(name).word}
        </option>
      ))}
    </select>
    <p class="hint">{roleWords(role).may}</p>
  </div>
);

const CentreChoice = ({
  known,
  chosen,
  onChange,
}: {
  known: string[];
  chosen: string[];
  onChange: (chosen: string[]) => void;
}) => {
  const t = userWords();
  const [fresh, setFresh] = useState('');
  const add = (): void => {
    const name = fresh.trim();
    if (name !== '' && !chosen.includes(name)) onChange([...chosen, name]);
    setFresh('');
  };
  return (
    <fieldset class="field centres">
      <legend>{t.centres}</legend>
      <div class="checks">
        {[...new Set([...known, ...chosen])].sort().map((name) => (
          <label key={name} class="check">
            <input
              type="checkbox"
              checked={chosen.includes(name)}
              onChange={(event) =>
                onChange(event.currentTarget.checked ? [...chosen, name] : chosen.filter((other) => other !== name))
              }
            />
            <span>{name}</span>
          </label>
        ))}
      </div>
      <div class="add-centre">
        <label class="off-screen" for="new-centre">
          {t.anotherCentre}
        </label>
        <input
          id="new-centre"
          autocomplete="off"
          placeholder={t.anotherCentre}
          maxLength={191}
          value={fresh}
          onInput={(event) => setFresh(event.currentTarget.value)}
        />
        <button type="button" class="button" disabled={fresh.trim() === ''} onClick={add}>
          {t.add}
        </button>
      </div>
    </fieldset>
  );
};

const Trouble = ({ words }: { words: string | null }) =>
  words === null ? null : (
    <p class="problem" role="alert">
      {words}
    </p>
  );

const NewUserForm = ({ centres }: { centres: string[] }) => {
  const t = userWords();
  const user = useUser();
  const { office } = useApp();
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const [role, setRole] = useState<Role>('operator');
  const [chosen, setChosen] = useState<string[]>([]);
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<string | null>(null);
  const submit = async (): Promise<void> => {
    if (username.trim() === '') return setTrouble(t.giveName);
    const weak = passwordProblem(password, username);
    if (weak) return setTrouble(t.firstProblem({ problem: weak }));
    setBusy(true);
    const asked = { username: username.trim(), password, role, centres: chosen, must_change_password: true };
    const said = await office.createUser(
      user,
      asked,
      chosen.filter((name) => !centres.includes(name)),
    );
    setBusy(false);
    setTrouble(said);
    if (said === null) go('/users');
  };
  return (
    <form
      class="office-form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        return submit();
      }}
    >
      <ScreenTitle title={t.newUser} />
      <div class="card form-grid">
        <div class="field">
          <label for="new-username">{t.username}</label>
          <input
            id="new-username"
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            maxLength={64}
            value={username}
            onInput={(event) => setUsername(event.currentTarget.value)}
          />
        </div>
        <div class="field">
          <label for="first-password">{t.firstPassword}</label>
          <input
            id="first-password"
            type="password"
            autocomplete="new-password"
            value={password}
            aria-describedby="first-password-hint"
            onInput={(event) => setPassword(event.currentTarget.value)}
          />
          <p class="hint" id="first-password-hint">
            {t.firstHint}
          </p>
        </div>
        <RoleChoice role={role} onChange={setRole} />
        {role !== 'admin' && <CentreChoice known={centres} chosen={chosen} onChange={setChosen} />}
      </div>
      <Trouble words={trouble} />
      <div class="form-end">
        <button type="submit" class="button primary" disabled={busy}>
          <Icon name="add" />
          {busy ? t.making : t.make}
        </button>
        <p class="hint">{t.needsNetwork}</p>
      </div>
    </form>
  );
};

const Rights = ({ row, centres }: { row: UserRow; centres: string[] }) => {
  const t = userWords();
  const user = useUser();
  const { office } = useApp();
  const [role, setRole] = useState(row.role);
  const [chosen, setChosen] = useState(row.centres);
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<string | null>(null);
  const same = role === row.role && [...chosen].sort().join('\n') === [...row.centres].sort().join('\n');
  const save = async (): Promise<void> => {
    setBusy(true);
    const made = await office.createCentres(
      user,
      chosen.filter((name) => !centres.includes(name)),
    );
    setTrouble(made ?? (await office.patchUser(user, row.user_id, { role, centres: chosen })));
    setBusy(false);
  };
  return (
    <section class="card" aria-labelledby="rights-title">
      <h2 id="rights-title" class="card-title">
        {t.rights}
      </h2>
      <div class="form-grid">
        <RoleChoice role={role} onChange={setRole} />
        {role !== 'admin' && <CentreChoice known={centres} chosen={chosen} onChange={setChosen} />}
      </div>
      <Trouble words={trouble} />
      <button type="button" class="button primary card-end" disabled={busy || same} onClick={save}>
        {t.save}
      </button>
    </section>
  );
};

const Devices = ({ row }: { row: UserRow }) => {
  const t = userWords();
  const user = useUser();
  const { office } = useApp();
  const now = useNow(20_000);
  const [trouble, setTrouble] = useState<string | null>(null);
  const stored = useLive(`devices ${row.user_id}`, ['devices'], async () => ({
    kept: await user.get('devices', row.user_id),
  }));
  const items = stored?.kept?.items;
  return (
    <section class="card" aria-labelledby="devices-title">
      <h2 id="devices-title" class="card-title">
        {t.devices}
      </h2>
      {!items && <p class="hint">{t.fetched}</p>}
      {items?.length === 0 && <p class="hint">{t.nowhere}</p>}
      <ul class="device-list">
        {items?.map((device) => (
          <li key={device.session_id}>
            <div>
              <p>{deviceName(device.device)}</p>
              <p class="quiet-line">
                {device.address ? `${device.address} · ` : ''}
                {t.seen({ ago: ago(device.last_used_at, now) })}
              </p>
            </div>
            {device.current ? (
              <Pill tone="run" icon="user">
                {t.thisDevice}
              </Pill>
            ) : (
              <button
                type="button"
                class="button danger"
                aria-label={t.signOutOf({ device_name: deviceName(device.device) })}
                onClick={async () => setTrouble(await office.revokeDevice(user, row.user_id, device.session_id))}
              >
                {t.signOut}
              </button>
            )}
          </li>
        ))}
      </ul>
      <Trouble words={trouble} />
    </section>
  );
};

/** Browser and system out of a user agent; the whole of it when it is something else. */
export function deviceName(agent: string): string {
  const browser = /(Edg|OPR|SamsungBrowser|Firefox|Chrome|Safari)\/\d+/.exec(agent)?.[1];
  const system = /(Android|iPad|iPhone|Windows|Mac OS X|CrOS|Linux)/.exec(agent)?.[1];
  const names: Record<string, string> = {
    Edg: 'Edge',
    OPR: 'Opera',
    SamsungBrowser: 'Samsung Internet',
    CrOS: 'ChromeOS',
  };
  if (!browser || !system) return agent.slice(0, 80);
  return userWords().browserOn({ browser: names[browser] ?? browser, system: names[system] ?? system });
}

const Access = ({ row, own }: { row: UserRow; own: boolean }) => {
  const t = userWords();
  const user = useUser();
  const { office } = useApp();
  const [asking, setAsking] = useState(false);
  const [password, setPassword] = useState('');
  const [said, setSaid] = useState<string | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  if (own) return <p class="hint">{t.you}</p>;
  const give = async (): Promise<void> => {
    const weak = passwordProblem(password, row.username);
    const wrong = weak ? t.newProblem({ problem: weak }) : await office.setPassword(user, row.user_id, password);
    setTrouble(wrong);
    setSaid(wrong === null ? t.given : null);
    if (wrong === null) setPassword('');
  };
  return (
    <section class="card" aria-labelledby="access-title">
      <h2 id="access-title" class="card-title">
        {t.access}
      </h2>
      <div class="field give-password">
        <label for="give-password">{t.newFirst}</label>
        <div class="add-centre">
          <input
            id="give-password"
            type="password"
            autocomplete="new-password"
            value={password}
            onInput={(event) => setPassword(event.currentTarget.value)}
          />
          <button type="button" class="button" disabled={password === ''} onClick={give}>
            {t.giveIt}
          </button>
        </div>
        <p class="hint" role="status">
          {said ?? t.giveHint}
        </p>
      </div>
      <Trouble words={trouble} />
      <button
        type="button"
        class={`button card-end ${row.disabled ? '' : 'danger'}`}
        onClick={async () => {
          if (!row.disabled) return setAsking(true);
          setTrouble(await office.patchUser(user, row.user_id, { disabled: false }));
        }}
      >
        {row.disabled ? t.enable : t.disable}
      </button>
      {asking && (
        <Confirm
          title={t.disableAsk({ name: row.username })}
          action={t.disableDo}
          onCancel={() => setAsking(false)}
          onConfirm={async () => {
            setAsking(false);
            setTrouble(await office.patchUser(user, row.user_id, { disabled: true }));
          }}
        >
          <p>{t.disableWords}</p>
          <p>{t.centresStay(row.centres.length)}</p>
        </Confirm>
      )}
    </section>
  );
};
