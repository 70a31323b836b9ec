// What may be believed of the note about the network. Pure.
import type { DeviceRow } from '../db.ts';

export type LinkNote = Extract<DeviceRow, { key: 'link' }> | null;

/** The leader knocks every 15 s: an answer older than this is history, not a connection. */
const FRESH_MS = 60_000;

/** Sheaf has answered lately. */
export const isFresh = (link: LinkNote, now: number): boolean =>
  link?.state === 'online' && link.last_ok !== null && now - link.last_ok < FRESH_MS;
