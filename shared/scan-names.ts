// Which files of an archive are pages, by their names: server and device must count the same ones.

const IMAGE = /\.(jpe?g|png|tiff?|webp|pdf)$/i;
/** What Finder and Explorer leave beside the scans. */
const LITTER = /(^|\/)(__MACOSX\/|\._|\.DS_Store$|Thumbs\.db$)/;

export const isScanName = (name: string): boolean => !name.endsWith('/') && !LITTER.test(name) && IMAGE.test(name);

/** Several pages may be in one of these, and a browser cannot open them: only the server can tell. */
export const needsServer = (name: string): boolean => /\.(tiff?|pdf)$/i.test(name);
