// Which files of an archive are pages, by their names: server and device must count the same ones.

const IMAGE = /\.(jpe?g|png|tiff?|webp)$/i;
/** What Finder and Explorer leave beside the scans. */
const LITTER = /(^|\/)(__MACOSX\/|\._|\.DS_Store$|Thumbs\.db$)/;

export const isScanName = (name: string): boolean => !name.endsWith('/') && !LITTER.test(name) && IMAGE.test(name);
