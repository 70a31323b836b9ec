// Settings of this person on this device: account, language and look, what is stored here and how to free it, and what
// helps whoever is asked for help.
import './settings.css';
import { useEffect, useState } from 'preact/hooks';
import type { Me } from '../../../shared/protocol/auth.ts';
import { useApp, useUser } from '../../app.ts';
import { download } from '../../batch-actions.ts';
import { install, installing, isIpad } from '../../install.ts';
import { setTheme, THEMES, theme } from '../../looks.ts';
import { forgetPictures } from '../../media/store.ts';
import { batchPath } from '../../route.ts';
import { useLive } from '../../store.ts';
import { letGo, scopeOf } from '../../sync/feed.ts';
import { mayReview } from '../../sync/office.ts';
import { IconButton, Meter, Segmented, ShortcutList } from '../../ui/controls.tsx';
import { bytes } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Banner, Confirm, ScreenTitle } from '../../ui/parts.tsx';
import { LanguageChoice } from '../language-choice.tsx';
import { reviewKeys } from '../review/say.ts';
import { placesFor } from '../shell.tsx';
import { roleWords } from '../users/roles.ts';
import { settingsWords, shellWords } from '../words.ts';
import { diagnose, purge, storedHere } from './stored.ts';

export const SettingsScreen = ({ me, onPassword }: { me: Me; onPassword: () => void }) => {
  const t = settingsWords();
  const [look, setLook] = useState(theme());
  return (
    <>
      <ScreenTitle title={t.title} />
      <section class="card" aria-labelledby="account-title">
        <h2 id="account-title" class="card-title">
          {t.account}
        </h2>
        <dl class="facts">
          <div class="fact">
            <dt>{roleWords(me.role).word}</dt>
            <dd>
              <bdi>{me.username}</bdi>
            </dd>
          </div>
          {me.centres.length > 0 && (
            <div class="fact">
              <dt>{t.centres}</dt>
              <dd>{me.centres.join(', ')}</dd>
            </div>
          )}
        </dl>
        <button type="button" class="button card-end" onClick={onPassword}>
          <Icon name="key" />
          {t.changePassword}
        </button>
      </section>
      <section class="card looks" aria-labelledby="look-title">
        <h2 id="look-title" class="card-title">
          {t.look}
        </h2>
        <LanguageChoice />
        <Segmented
          name="theme"
          legend={t.theme}
          options={THEMES.map((value) => ({ value, word: t[value] }))}
          value={look}
          onChange={(chosen) => {
            setTheme(chosen);
            setLook(chosen);
          }}
        />
      </section>
      <Storage />
      <Installing />
      <Shortcuts me={me} />
    </>
  );
};

const Storage = () => {
  const t = settingsWords();
  const { queue } = useApp();
  const user = useUser();
  const [asking, setAsking] = useState(false);
  const [said, setSaid] = useState<string | null>(null);
  const [persisted, setPersisted] = useState<boolean | null>(null);
  const here = useLive('storage', ['uploads', 'chunks', 'batches', 'sheets', 'pictures', 'kept'], () =>
    storedHere(queue, user),
  );
  useEffect(() => {
    navigator.storage?.persisted?.().then(setPersisted, () => {});
  }, []);
  const estimate = here?.estimate;
  return (
    <section class="card storage" aria-labelledby="storage-title">
      <h2 id="storage-title" class="card-title">
        {t.device}
      </h2>
      {estimate ? (
        <>
          <Meter
            label={t.used({ used: bytes(estimate.usage), room: bytes(estimate.quota) })}
            value={estimate.usage}
            of={estimate.quota}
          />
          <p>{t.used({ used: bytes(estimate.usage), room: bytes(estimate.quota) })}</p>
          {estimate.usage > 0.8 * estimate.quota && (
            <Banner tone="doubt" icon="storage">
              {t.nearlyFull}
            </Banner>
          )}
        </>
      ) : (
        here && <p>{t.unknown}</p>
      )}
      {here && (
        <dl class="facts">
          <div class="fact">
            <dt>{t.unsent}</dt>
            <dd>{t.unsentWords(here.unsent.uploads, { size: bytes(here.unsent.bytes) })}</dd>
          </div>
          <div class="fact">
            <dt>{t.arrived}</dt>
            <dd>{here.arrived}</dd>
          </div>
          <div class="fact">
            <dt>{t.kept}</dt>
            <dd>
              {here.batches} · {t.sheetsKept(here.sheets)}
            </dd>
          </div>
          <div class="fact">
            <dt>{t.pictures}</dt>
            <dd class="pictures-kept">
              {t.picturesOf({ size: bytes(here.pictures.bytes), budget: bytes(here.pictures.budget) })}
              <span class="quiet-line">{t.picturesPinned({ pinned: bytes(here.pictures.pinned) })}</span>
            </dd>
          </div>
        </dl>
      )}
      {here && here.offline.length > 0 && (
        <ul class="offline-batches">
          {here.offline.map(({ batch, name, bytes: size }) => (
            <li key={batch}>
              <a href={batchPath(batch)}>
                <bdi>{name}</bdi>
              </a>
              <span class="quiet-line inline">{bytes(size)}</span>
              <IconButton
                icon="remove"
                label={t.letGo({ name })}
                onClick={async () => {
                  await letGo(user, scopeOf(batch));
                  await forgetPictures(user, batch);
                }}
              />
            </li>
          ))}
        </ul>
      )}
      {persisted !== null && (
        <div class="persist">
          <p class="hint">{persisted ? t.persistent : t.notPersistent}</p>
          {!persisted && (
            <button
              type="button"
              class="button"
              onClick={async () => {
                const agreed = await navigator.storage.persist();
                setPersisted(agreed);
                if (!agreed) setSaid(t.refusedPersistent);
              }}
            >
              <Icon name="safe" />
              {t.askPersistent}
            </button>
          )}
        </div>
      )}
      <div class="storage-end">
        <button type="button" class="button" onClick={() => setAsking(true)}>
          <Icon name="remove" />
          {t.purge}
        </button>
        <button
          type="button"
          class="button quiet"
          onClick={async () => {
            const report = JSON.stringify(await diagnose(queue, user), null, 2);
            download(new Blob([report], { type: 'application/json' }), 'sheaf-diagnostics.json');
          }}
        >
          <Icon name="export" />
          {t.diagnostics}
        </button>
        <p class="hint">{t.diagnosticsWords}</p>
      </div>
      <p role="status" class="hint">
        {said}
      </p>
      {asking && (
        <Confirm
          title={t.purgeAsk}
          action={t.purge}
          onCancel={() => setAsking(false)}
          onConfirm={async () => {
            setAsking(false);
            setSaid(t.purged({ size: bytes(await purge(queue, user)) }));
          }}
        >
          <p>{t.purgeWords}</p>
        </Confirm>
      )}
    </section>
  );
};

const Installing = () => {
  const t = shellWords();
  const state = installing.value;
  if (state === 'not-offered' && !isIpad()) return null;
  return (
    <section class="card" aria-labelledby="install-title">
      <h2 id="install-title" class="card-title">
        {settingsWords().app}
      </h2>
      {state === 'installed' ? (
        <p class="hint">{t.installed}</p>
      ) : state === 'offered' ? (
        <>
          <p class="hint">{t.installWords}</p>
          <button type="button" class="button card-end" onClick={install}>
            <Icon name="install" />
            {t.install}
          </button>
        </>
      ) : (
        <p class="hint">{t.installIpad}</p>
      )}
    </section>
  );
};

const Shortcuts = ({ me }: { me: Me }) => {
  const t = shellWords();
  const rows: [string, string][] = [
    ['Ctrl K', t.search],
    ...placesFor(me.role).map(({ keys, word }): [string, string] => [keys, t.goTo({ place: t[word] })]),
    ['j k', t.moveRows],
    ['Enter', t.openRow],
    ['/', t.findHere],
    ...(mayReview(me.role) ? reviewKeys() : []),
  ];
  return (
    <section class="card" aria-labelledby="shortcuts-title">
      <h2 id="shortcuts-title" class="card-title">
        {settingsWords().shortcuts}
      </h2>
      <ShortcutList rows={rows} />
    </section>
  );
};
