// What Sheaf's QR codes say. A cover's is the bare task id, as existing covers have it; a sheet's names its template.

export interface SheetQr {
  templateId: string;
  version: number;
  /** of a sheet of several pages, from 1 */
  page?: number;
}

export type QrText =
  | { kind: 'cover'; task_id: string }
  | { kind: 'sheet'; template_id: string; version: number; page: number }
  | { kind: 'other'; text: string };

/** @param taskId 8 digits */
export const coverQr = (taskId: string): string => taskId;

/** `sheaf:sheaf-150@1`, and `sheaf:survey@3/2` for the second page. */
export const sheetQr = ({ templateId, version, page = 1 }: SheetQr): string =>
  `sheaf:${templateId}@${version}${page === 1 ? '' : `/${page}`}`;

export const parseQr = (text: string): QrText => {
  const trimmed = text.trim();
  if (/^\d{8}$/.test(trimmed)) return { kind: 'cover', task_id: trimmed };
  const sheet = /^sheaf:([A-Za-z0-9][A-Za-z0-9._-]{0,62})@(\d{1,6})(?:\/(\d{1,3}))?$/.exec(trimmed);
  if (!sheet) return { kind: 'other', text };
  return { kind: 'sheet', template_id: sheet[1]!, version: Number(sheet[2]), page: Number(sheet[3] ?? 1) };
};
