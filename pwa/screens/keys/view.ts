// What the screens show of an answer key: the server's newest version, under what was changed here.
import type { KeyAnswer, KeyContent } from '../../../shared/protocol/key.ts';
import { keyStamp } from '../../../shared/protocol/sync.ts';
import { shapeOfTemplate, templateOfKey } from '../../../shared/scoring/sheet-shape.ts';
import type { SheetShape } from '../../../shared/scoring/validate-key.ts';
import { builtIn } from '../../../shared/template/built-in.ts';
import type { Edit, KeptKey, Overlay, UserDb } from '../../db.ts';
import { keySubject } from '../../sync/outbox.ts';
import { bookletsOf, questionCount, shown } from './grid.ts';

export interface KeyView {
  key_id: string;
  content: KeyContent;
  /** the server's, null when it has none */
  newest: KeyAnswer | null;
  versions: KeptKey['versions'];
  /** user names by user id */
  names: Record<string, string>;
  /** of what the server has: an edit made now begins from there */
  stamp: string | null;
  tasks: number;
  edited_at: string;
  edits: Edit[];
  /** templates of the tasks that go by it, as this device knows them */
  sheets: string[];
  /** when the server's was fetched, ms since 1970 */
  true_at: number | undefined;
}

function viewKey(
  kept: KeptKey | undefined,
  overlay: Overlay | undefined,
  edits: Edit[],
  sheets: string[],
): KeyView | null {
  const mine = overlay?.change.kind === 'key' ? overlay.change : null;
  const key_id = kept?.key_id ?? mine?.key_id;
  const content = mine?.content ?? kept?.newest.content;
  const edited_at = edits.at(-1)?.made_at ?? kept?.row.edited_at;
  if (key_id === undefined || content === undefined || edited_at === undefined) return null;
  return {
    key_id,
    content,
    newest: kept?.newest ?? null,
    versions: kept?.versions ?? [],
    names: kept?.names ?? {},
    stamp: kept ? keyStamp(kept.newest) : null,
    tasks: kept?.row.tasks ?? 0,
    edited_at,
    edits,
    sheets,
    true_at: kept?.true_at,
  };
}

export async function readKeys(user: UserDb): Promise<KeyView[]> {
  const tx = user.transaction(['keys', 'overlays', 'outbox']);
  const kept = await tx.objectStore('keys').getAll();
  const overlays = await tx.objectStore('overlays').getAll();
  const edits = await tx.objectStore('outbox').getAll();
  const ids = new Set([
    ...kept.map(({ key_id }) => key_id),
    ...overlays.flatMap(({ change }) => (change.kind === 'key' ? [change.key_id] : [])),
  ]);
  return [...ids].sort().flatMap((id) => {
    const subject = keySubject(id);
    const view = viewKey(
      kept.find(({ key_id }) => key_id === id),
      overlays.find((overlay) => overlay.subject === subject),
      edits.filter((edit) => edit.subject === subject),
      [],
    );
    return view ? [view] : [];
  });
}

export async function readKey(user: UserDb, id: string): Promise<KeyView | null> {
  const subject = keySubject(id);
  const tx = user.transaction(['keys', 'overlays', 'outbox', 'tasks']);
  const kept = await tx.objectStore('keys').get(id);
  const overlays = await tx.objectStore('overlays').getAll();
  const edits = (await tx.objectStore('outbox').getAll()).filter((edit) => edit.subject === subject);
  const tasks = await tx.objectStore('tasks').getAll();
  const changed = overlays.flatMap(({ change }) => (change.kind === 'task' ? [change.task] : []));
  const others = tasks.filter(({ task_id }) => !changed.some((task) => task.task_id === task_id));
  const sheets = [...changed, ...others].filter(({ key_id }) => key_id === id).map(({ template_id }) => template_id);
  const overlay = overlays.find((one) => one.subject === subject);
  return viewKey(kept, overlay, edits, [...new Set(sheets)]);
}

/** What the sheet asks that the key names, or its tasks; null for a template that only the server has. */
export function shapeFor(content: KeyContent, sheets: readonly string[]): SheetShape | null {
  const templateId = templateOfKey(content, sheets);
  const template = templateId === undefined ? undefined : builtIn(templateId);
  return template ? shapeOfTemplate(template) : null;
}

/** Where two contents differ, a cell each: booklet, question, what stands in either. */
export function differencesOf(ours: KeyContent, theirs: KeyContent) {
  const found: { booklet: string; question: number; ours: string; theirs: string }[] = [];
  for (const booklet of new Set([...bookletsOf(ours), ...bookletsOf(theirs)])) {
    for (let question = 1; question <= Math.max(questionCount(ours), questionCount(theirs)); question++) {
      const [a, b] = [shown(ours, booklet, question), shown(theirs, booklet, question)];
      if (a !== b) found.push({ booklet, question, ours: a, theirs: b });
    }
  }
  return found;
}
