// A sheet's number: its batch's and where its page lies in it, from 0. A batch has fewer than a million pages.
const PAGES = 1_000_000;

export const sheetIdOf = (batch_no: number, page_index: number): number => batch_no * PAGES + page_index;
export const pageIndexIn = (sheet_id: string | number): number => Number(sheet_id) % PAGES;
