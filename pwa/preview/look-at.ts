// What the device finds in a batch before it is sent: pages in file order with what each is, and what is odd about them.
// Pure but for the reading, which is handed in.
import { groupPages, type PageGroup, type PageSeen, type Settled } from '../../shared/grouping.ts';
import type { Reading } from '../../shared/protocol/reading.ts';

/** One page as it was looked at. */
export interface Looked {
  page_index: number;
  name: string;
  kind: PageSeen['kind'];
  task_id: string | null;
  /** degrees clockwise that it must be turned by to stand upright */
  orientation: 0 | 90 | 180 | 270;
  /** why it cannot be read */
  reason: string | null;
  /** only the server can open it, and finds one page in it or several */
  on_server?: 'one' | 'several';
}

/** A page that this device does not open: it may be anything. */
export const leftToServer = (page_index: number, name: string, on_server: 'one' | 'several'): Looked => ({
  page_index,
  name,
  kind: null,
  task_id: null,
  orientation: 0,
  reason: null,
  on_server,
});

export const lookedFrom = (page_index: number, name: string, reading: Reading): Looked => {
  const base = { page_index, name, task_id: null, orientation: 0 as const, reason: null };
  switch (reading.kind) {
    case 'sheet':
      return { ...base, kind: 'sheet', orientation: reading.orientation };
    case 'cover':
      return { ...base, kind: 'cover', task_id: reading.task_id, orientation: reading.orientation };
    case 'blank':
      return { ...base, kind: 'blank' };
    case 'foreign':
      // As the server files it: a page that failed, of which it is known or not that it was no cover.
      return { ...base, kind: reading.looks_like === 'sheet' ? 'damaged-sheet' : null, reason: reading.reason };
  }
};

export type Oddity = 'on-server' | 'unreadable' | 'turned' | 'blank' | 'duplicate' | 'before-cover' | 'cover-unread';
export interface Odd {
  what: Oddity;
  pages: number[];
}

/** `ask-server`: it begins with a page that only the server can open, which may be its cover. */
export interface PreviewGroup extends Omit<PageGroup, 'state'> {
  state: PageGroup['state'] | 'ask-server';
  /** pages that only the server can open; `sheets` does not count them */
  on_server: number;
}

export interface Preview {
  groups: PreviewGroup[];
  /** The server may count pages differently from here on: a person's word would not find its page. */
  counted_until: number;
  odd: Odd[];
  covers: number;
  /** pages looked at so far */
  looked: number;
}

/**
 * @param pages in file order, without gaps from the first: groups are told only as far as all pages are known
 * @param twins by page index, the earlier page that has the same bytes
 */
export function previewOf(
  pages: readonly Looked[],
  typedTask: string | null,
  settled: ReadonlyMap<number, Settled>,
  twins: ReadonlyMap<number, number>,
): Preview {
  const seen = pages.map(({ page_index, kind, task_id }) => ({ page_index, kind, cover_task: task_id }));
  const groups = groupPages(seen, typedTask, settled).map((group, i, all): PreviewGroup => {
    const its = pages.slice(group.first_page, all[i + 1]?.first_page);
    const on_server = its.filter((page) => page.on_server).length;
    const asks = (group.state === 'maybe-cover' || group.state === 'no-cover') && its[0]?.on_server;
    return {
      ...group,
      sheets: group.sheets - on_server,
      failed_sheets: group.failed_sheets - on_server,
      state: asks ? 'ask-server' : group.state,
      on_server,
    };
  });
  const where = (test: (page: Looked) => boolean): number[] => pages.filter(test).map(({ page_index }) => page_index);
  const first = groups[0];
  const before = first?.state === 'no-cover' ? first : null;
  const beforeEnd = groups[1]?.first_page ?? Number.POSITIVE_INFINITY;
  const all: Odd[] = [
    {
      what: 'cover-unread',
      pages: where((page) => page.kind === 'cover' && page.task_id === null && !settled.has(page.page_index)),
    },
    {
      what: 'before-cover',
      pages: before ? where((page) => page.page_index < beforeEnd && page.kind !== 'blank') : [],
    },
    {
      what: 'unreadable',
      pages: where((page) => !page.on_server && (page.kind === null || page.kind === 'damaged-sheet')),
    },
    { what: 'on-server', pages: where((page) => page.on_server !== undefined) },
    { what: 'turned', pages: where((page) => page.orientation !== 0) },
    { what: 'duplicate', pages: where((page) => twins.has(page.page_index)) },
    { what: 'blank', pages: where((page) => page.kind === 'blank') },
  ];
  const several = pages.findIndex((page) => page.on_server === 'several');
  return {
    groups,
    counted_until: several < 0 ? Number.POSITIVE_INFINITY : several,
    odd: all.filter((odd) => odd.pages.length > 0),
    covers: pages.filter(({ kind }) => kind === 'cover').length,
    looked: pages.length,
  };
}

/** The same bytes twice, by checksum and length: which page each repeats. */
export function twinsOf(entries: readonly { crc32: number; size: number }[]): Map<number, number> {
  const first = new Map<string, number>();
  const twins = new Map<number, number>();
  for (const [index, { crc32, size }] of entries.entries()) {
    const key = `${crc32}:${size}`;
    const earlier = first.get(key);
    if (earlier === undefined) first.set(key, index);
    else twins.set(index, earlier);
  }
  return twins;
}
