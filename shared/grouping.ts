// Which pages belong together: covers in page order open groups. Pure, so that the device shows before sending what the
// server will make of it. What cannot be told is not guessed: it opens a group that is held for a person [R3].
import type { Reading } from './protocol/reading.ts';

export interface PageSeen {
  page_index: number;
  /** null: it failed, and may have been anything; 'damaged-sheet': it failed, and was no cover */
  kind: Reading['kind'] | 'damaged-sheet' | null;
  /** what a cover's QR says, null when it cannot be read */
  cover_task: string | null;
}

/** What a person said of the pages from one page on. */
export type Settled = { what: 'task'; task_id: string } | { what: 'join' } | { what: 'set-aside' };

export interface PageGroup {
  task_id: string | null;
  cover_page: number | null;
  first_page: number;
  sheets: number;
  failed_sheets: number;
  state: 'ok' | 'no-cover' | 'unreadable-cover' | 'maybe-cover' | 'set-aside';
}

/**
 * Groups pages that are in file order.
 * @param typedTask the task of a batch without covers; it holds for all its pages
 * @param settled by page index: a person's word counts as if it had been read
 */
export function groupPages(
  pages: readonly PageSeen[],
  typedTask: string | null,
  settled: ReadonlyMap<number, Settled> = new Map(),
): PageGroup[] {
  const groups: PageGroup[] = [];
  const open = (first_page: number, state: PageGroup['state'], more: Partial<PageGroup> = {}): PageGroup => {
    const group = { task_id: null, cover_page: null, first_page, sheets: 0, failed_sheets: 0, state, ...more };
    groups.push(group);
    return group;
  };
  const atStake = sheetsFollow(pages);
  let current = typedTask === null || settled.has(0) ? null : open(0, 'ok', { task_id: typedTask });
  for (const [i, page] of pages.entries()) {
    const said = settled.get(page.page_index);
    const cover_page = page.kind === 'cover' ? page.page_index : null;
    if (said?.what === 'task') current = open(page.page_index, 'ok', { task_id: said.task_id, cover_page });
    else if (said?.what === 'set-aside') current = open(page.page_index, 'set-aside', { cover_page });
    else if (said === undefined && typedTask === null) {
      if (page.kind === 'cover')
        current = open(page.page_index, page.cover_task === null ? 'unreadable-cover' : 'ok', {
          task_id: page.cover_task,
          cover_page,
        });
      // It may have been the cover of what follows. One failed page after another is one question.
      else if (page.kind === null && current && atStake[i] && !isRunOfFailures(current))
        current = open(page.page_index, 'maybe-cover');
    }
    if (page.kind === 'cover' || page.kind === 'blank') continue;
    current ??= typedTask === null ? open(page.page_index, 'no-cover') : open(0, 'ok', { task_id: typedTask });
    current.sheets++;
    if (page.kind === null || page.kind === 'damaged-sheet') current.failed_sheets++;
  }
  return groups;
}

/** For each page whether a sheet that was read comes after it, before the next cover. */
function sheetsFollow(pages: readonly PageSeen[]): boolean[] {
  const follow: boolean[] = new Array(pages.length);
  let any = false;
  for (let i = pages.length - 1; i >= 0; i--) {
    follow[i] = any;
    const kind = pages[i]?.kind;
    if (kind === 'sheet') any = true;
    else if (kind === 'cover') any = false;
  }
  return follow;
}

const isRunOfFailures = ({ state, sheets, failed_sheets }: PageGroup): boolean =>
  state === 'maybe-cover' && sheets === failed_sheets;
