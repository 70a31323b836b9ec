// The list of answer keys: the stored rows and what was changed here.
import { useState } from 'preact/hooks';
import { useUser } from '../../app.ts';
import { go, keyPath } from '../../route.ts';
import { useLive, useNow } from '../../store.ts';
import { ago, count } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { Empty, Pill, ScreenTitle } from '../../ui/parts.tsx';
import { useLook } from '../look.tsx';
import { PendingPill } from '../pending.tsx';
import { TrueAt } from '../true-at.tsx';
import { bookletsOf, questionCount } from './grid.ts';
import { type KeyView, readKeys } from './view.ts';

export const KeysScreen = () => {
  const user = useUser();
  const now = useNow(20_000);
  const [search, setSearch] = useState('');
  useLook('keys');
  const stored = useLive('keys', ['keys', 'overlays', 'outbox', 'pulls'], async () => ({
    views: await readKeys(user),
    pulled: (await user.get('pulls', 'keys'))?.true_at,
  }));
  const views = stored?.views ?? [];
  const shown = views.filter(({ key_id }) => key_id.toLowerCase().includes(search.trim().toLowerCase()));
  return (
    <>
      <ScreenTitle title="Answer keys">
        <a class="button primary" href="/new-key">
          <Icon name="add" />
          New key
        </a>
      </ScreenTitle>
      <TrueAt at={stored?.pulled} />
      {stored && views.length === 0 && (
        <Empty title={stored.pulled ? 'No answer keys yet.' : 'Nothing is kept on this tablet yet.'}>
          <p>Paste or type one: it works without a network.</p>
        </Empty>
      )}
      {views.length > 0 && (
        <>
          <div class="field search">
            <label for="search">Find a key</label>
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
                  <th scope="col">Key</th>
                  <th scope="col">State</th>
                  <th scope="col" class="number">
                    Questions
                  </th>
                  <th scope="col" class="number">
                    Tasks
                  </th>
                  <th scope="col" class="number">
                    Edited
                  </th>
                </tr>
              </thead>
              <tbody>
                {shown.map((view) => (
                  <KeyLine key={view.key_id} view={view} now={now} />
                ))}
              </tbody>
            </table>
            {shown.length === 0 && <p class="pad table-none">No key is called that.</p>}
          </div>
        </>
      )}
    </>
  );
};

export const KeyState = ({ view }: { view: KeyView }) => {
  if (!view.newest)
    return (
      <Pill tone="wait" icon="draft">
        New
      </Pill>
    );
  const { state, version } = view.newest;
  return state === 'draft' ? (
    <Pill tone="doubt" icon="draft">
      Draft {version}
    </Pill>
  ) : (
    <Pill tone="ok" icon="done">
      Published {version}
    </Pill>
  );
};

const KeyLine = ({ view, now }: { view: KeyView; now: number }) => {
  const booklets = bookletsOf(view.content).filter((name) => name !== '');
  return (
    <tr
      class="line"
      data-key={view.key_id}
      onClick={(event) => {
        if (!(event.target as Element).closest('a')) go(keyPath(view.key_id));
      }}
    >
      <th scope="row">
        <a class="row-link" href={keyPath(view.key_id)}>
          {view.key_id}
        </a>
        <span class="quiet-line">
          {booklets.length > 0 ? `Booklets ${booklets.join(', ')}` : 'One list for every booklet'}
        </span>
      </th>
      <td>
        <span class="pills">
          <KeyState view={view} />
          <PendingPill edits={view.edits} />
        </span>
      </td>
      <td class="number">{questionCount(view.content)}</td>
      <td class="number">{count(view.tasks)}</td>
      <td class="number">{ago(view.edited_at, now)}</td>
    </tr>
  );
};
