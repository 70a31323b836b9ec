// Which files of an archive are pages, by their names: server and device must count the same ones.

const IMAGE = /\.(jpe?g|png|tiff?|webp|pdf)$/i;
/** What Finder and Explorer leave beside the scans. */
const LITTER = /(^|\/)(__MACOSX\/|\._|\.DS_Store$|Thumbs\.db$)/;

export const isScanName = (name: string): boolean => !name.endsWith('/') && !LITTER.test(name) && IMAGE.test(name);

/** Browsers cannot open these: what they are only the server can tell. */
export const needsServer = (name: string): boolean => /\.(tiff?|pdf)$/i.test(name);

/** One of these may be several pages of the batch. A TIFF in an archive is one, or fails by name. */
export const mayBeSeveral = (name: string, archived: boolean): boolean =>
  (archived ? /\.pdf$/i : /\.(tiff?|pdf)$/i).test(name);
