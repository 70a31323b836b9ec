// Where a reviewer stands among what waits. What was decided here is gone from the list at once, before the store has said
// so; what was skipped comes last; what was undone is back. Pure.
import type { Doubt } from './queue.ts';

export interface Walk {
  /** decided or asked here: the store says so a moment later */
  gone: ReadonlySet<string>;
  /** in the order they were skipped */
  late: readonly string[];
  /** undone here: the store shows them a moment later */
  back: readonly Doubt[];
  /** what is looked at, and its place, for when it vanishes by somebody else's decision */
  at: { key: string; index: number } | null;
}
export const START: Walk = { gone: new Set(), late: [], back: [], at: null };

/** The list as it is walked through. @param doubts as stored, in order. @param sort puts what is back where it belongs */
export function listOf(doubts: readonly Doubt[], walk: Walk, sort: (all: Doubt[]) => Doubt[]): Doubt[] {
  const stored = new Set(doubts.map(({ key }) => key));
  const missing = walk.back.filter(({ key }) => !stored.has(key));
  const all = (missing.length > 0 ? sort([...doubts, ...missing]) : doubts).filter(({ key }) => !walk.gone.has(key));
  if (walk.late.length === 0) return all;
  const late = walk.late.flatMap((key) => all.find((one) => one.key === key) ?? []);
  return [...all.filter(({ key }) => !walk.late.includes(key)), ...late];
}

/** What is looked at now; null when nothing is left. */
export function currentOf(list: readonly Doubt[], { at }: Walk): Doubt | null {
  if (!at) return list[0] ?? null;
  return list.find(({ key }) => key === at.key) ?? list[Math.min(at.index, list.length - 1)] ?? null;
}

const standAt = (list: readonly Doubt[], index: number): Walk['at'] => {
  const wrapped = list.length === 0 ? 0 : (index + list.length) % list.length;
  const there = list[wrapped];
  return there ? { key: there.key, index: wrapped } : null;
};

export function step(list: readonly Doubt[], walk: Walk, by: 1 | -1): Walk {
  const now = currentOf(list, walk);
  return { ...walk, at: standAt(list, list.findIndex(({ key }) => key === now?.key) + by) };
}

/** These were decided: the next one that is left is looked at. */
export function leave(list: readonly Doubt[], walk: Walk, keys: readonly string[]): Walk {
  const now = currentOf(list, walk);
  const index = Math.max(
    0,
    list.findIndex(({ key }) => key === now?.key),
  );
  const left = list.filter(({ key }) => !keys.includes(key));
  const before = list.slice(0, index).filter(({ key }) => !keys.includes(key)).length;
  return {
    gone: new Set([...walk.gone, ...keys]),
    late: walk.late.filter((key) => !keys.includes(key)),
    back: walk.back.filter(({ key }) => !keys.includes(key)),
    at: standAt(left, before),
  };
}

export function skip(list: readonly Doubt[], walk: Walk): Walk {
  const now = currentOf(list, walk);
  if (!now) return walk;
  const { at } = step(list, walk, 1);
  return { ...walk, at, late: [...walk.late.filter((key) => key !== now.key), now.key] };
}

/** These are undone: the first of them is looked at again. */
export function comeBack(walk: Walk, doubts: readonly Doubt[]): Walk {
  const keys = doubts.map(({ key }) => key);
  const [first] = keys;
  return {
    ...walk,
    gone: new Set([...walk.gone].filter((key) => !keys.includes(key))),
    back: [...walk.back.filter(({ key }) => !keys.includes(key)), ...doubts],
    at: first === undefined ? walk.at : { key: first, index: 0 },
  };
}

/** The store has caught up: only what it still shows has to be left out, so that a new question to the same field is seen. */
export function heard(walk: Walk, doubts: readonly Doubt[]): Walk {
  const stored = new Set(doubts.map(({ key }) => key));
  const gone = new Set([...walk.gone].filter((key) => stored.has(key)));
  const back = walk.back.filter(({ key }) => !stored.has(key));
  return gone.size === walk.gone.size && back.length === walk.back.length ? walk : { ...walk, gone, back };
}
