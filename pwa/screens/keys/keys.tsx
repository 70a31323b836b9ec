// The list of answer keys: the stored rows and what was changed here.
import { useUser } from '../../app.ts';
import { keyPath } from '../../route.ts';
import { useLive, useNow } from '../../store.ts';
import { ago, count } from '../../ui/format.ts';
import { Icon } from '../../ui/icons.tsx';
import { type Column, List } from '../../ui/list.tsx';
import { Empty, Pill, ScreenTitle } from '../../ui/parts.tsx';
import { useLook } from '../look.tsx';
import { PendingPill } from '../pending.tsx';
import { TrueAt } from '../true-at.tsx';
import { bookletsOf, questionCount } from './grid.ts';
import { type KeyView, readKeys } from './view.ts';
import { keyWords } from './words.ts';

export const KeysScreen = () => {
  const t = keyWords();
  const user = useUser();
  const now = useNow(20_000);
  useLook('keys');
  const stored = useLive('keys', ['keys', 'overlays', 'outbox', 'pulls'], async () => ({
    views: await readKeys(user),
    pulled: (await user.get('pulls', 'keys'))?.true_at,
  }));
  const views = stored?.views ?? [];
  const columns: Column<KeyView>[] = [
    {
      head: t.key,
      cell: (view) => (
        <>
          <a class="row-link" href={keyPath(view.key_id)}>
            <bdi>{view.key_id}</bdi>
          </a>
          <span class="quiet-line">{bookletWords(view)}</span>
        </>
      ),
      compare: (a, b) => a.key_id.localeCompare(b.key_id),
    },
    {
      head: t.state,
      cell: (view) => (
        <span class="pills">
          <KeyState view={view} />
          <PendingPill edits={view.edits} />
        </span>
      ),
    },
    { head: t.questions, number: true, cell: (view) => count(questionCount(view.content)) },
    { head: t.tasks, number: true, cell: (view) => count(view.tasks), compare: (a, b) => a.tasks - b.tasks },
    {
      head: t.edited,
      number: true,
      cell: (view) => ago(view.edited_at, now),
      compare: (a, b) => b.edited_at.localeCompare(a.edited_at),
    },
  ];
  return (
    <>
      <ScreenTitle title={t.title}>
        <a class="button primary" href="/new-key">
          <Icon name="add" />
          {t.newKey}
        </a>
      </ScreenTitle>
      <TrueAt at={stored?.pulled} />
      {stored && views.length === 0 && (
        <Empty title={stored.pulled ? t.none : t.nothingKept}>
          <p>{t.noneWords}</p>
        </Empty>
      )}
      {views.length > 0 && (
        <List
          name="keys"
          rows={views}
          columns={columns}
          id={(view) => view.key_id}
          texts={(view) => [view.key_id]}
          find={t.find}
          noneFound={t.noneFound}
          mark="key"
        />
      )}
    </>
  );
};

function bookletWords(view: KeyView): string {
  const booklets = bookletsOf(view.content).filter((name) => name !== '');
  return booklets.length > 0 ? keyWords().bookletList({ names: booklets.join(', ') }) : keyWords().oneList;
}

export const KeyState = ({ view }: { view: KeyView }) => {
  const t = keyWords();
  if (!view.newest)
    return (
      <Pill tone="wait" icon="draft">
        {t.isNew}
      </Pill>
    );
  const { state, version } = view.newest;
  return state === 'draft' ? (
    <Pill tone="doubt" icon="draft">
      {t.draft({ version })}
    </Pill>
  ) : (
    <Pill tone="ok" icon="done">
      {t.published({ version })}
    </Pill>
  );
};
