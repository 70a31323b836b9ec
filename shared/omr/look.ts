// What can be said of a page as a whole: dirt on the glass, faint print, and whether a page that could not be read is
// nevertheless some bubble sheet.
import { blobsIn } from './blobs.ts';
import type { GrayImage } from './image.ts';
import type { Pose } from './pose.ts';
import { type Frame, inkLevels, type Paper, paperAt } from './threshold.ts';
import { project } from './warp.ts';

/** Lines looked at for streaks, how far beside a point the paper is compared, and how much darker a streak is. */
const STREAK_LINES = 96;
const BESIDE = 5;
const STREAK_DARKER = 0.07 * 255;
/** A streak runs down the whole glass; frames of boxes end with the box, and above the first there is margin. */
const STREAK_SHARE = 0.94;
/** Of every so many-th line a streak may be missing on one: on nearly all pages that says that there is none. */
const FIRST_LINES = 8;
const FIRST_MISSED = 1;
const NEXT = 12;

/** Whether a thin dark line runs through nearly the whole raster, as dirt on a scanner's glass draws it: down, or across
 *  when the page was turned after it was scanned. */
export const hasStreak = ({ width, height, data }: GrayImage): boolean =>
  runsAlong(data, width, height, 1, width) || runsAlong(data, height, width, width, 1);

/**
 * @param places where a streak may stand, `place` apart in memory
 * @param length of a streak in pixels, `along` apart
 */
const runsAlong = (data: Uint8Array, places: number, length: number, place: number, along: number): boolean => {
  // the scanner's lid may show before and behind the page
  const margin = Math.floor(length * 0.03);
  const step = Math.max(1, Math.floor((length - 2 * margin) / STREAK_LINES));
  const aside = BESIDE * place;
  const darkAt = (here: number): boolean => {
    const least = data[here]! + STREAK_DARKER;
    return data[here - aside]! > least && data[here + aside]! > least;
  };
  const stride = Math.max(step, Math.floor((length - 2 * margin) / FIRST_LINES)) * along;
  for (let p = BESIDE; p < places - BESIDE; p++) {
    const first = p * place + margin * along;
    // a line beside the first comes with it from memory, and nearly always both say that there is none
    let missed = (darkAt(first) ? 0 : 1) + (darkAt(first + NEXT * along) ? 0 : 1);
    for (let line = 1, at = first + stride; line < FIRST_LINES && missed <= FIRST_MISSED; line++, at += stride) {
      if (!darkAt(at)) missed++;
    }
    if (missed > FIRST_MISSED) continue;
    let [seen, lines] = [0, 0];
    for (let l = margin; l < length - margin; l += step) {
      lines++;
      if (darkAt(p * place + l * along)) seen++;
    }
    if (seen > STREAK_SHARE * lines) return true;
  }
  return false;
};

/** Printed black this little darker than its paper leaves pencil nothing to be told by. */
const FAINT_PRINT = 0.55;

/** Whether the printed ticks are hardly darker than the paper. */
export const isLowContrast = (
  { width, height, data }: GrayImage,
  paper: Paper,
  { toImage }: Pose,
  ticks: readonly { centres: readonly (readonly [number, number])[] }[],
): boolean => {
  const seen: number[] = [];
  for (const { centres } of ticks) {
    for (const [x, y] of centres) {
      const at = project(toImage, x, y);
      const [ix, iy] = [Math.floor(at.x), Math.floor(at.y)];
      if (ix < 0 || iy < 0 || ix >= width || iy >= height) continue;
      seen.push(1 - data[iy * width + ix]! / Math.max(1, paperAt(paper, at.x, at.y)));
    }
  }
  seen.sort((a, b) => a - b);
  return seen.length > 0 && seen[seen.length >> 1]! < FAINT_PRINT;
};

/** Bubbles of 3.5 to 6.5 mm on an A4 page, as shares of a frame's long side. */
const SMALLEST_BUBBLE = 3.5 / 297;
const LARGEST_BUBBLE = 6.5 / 297;
/** Fewer round outlines than this are a letter's capitals or a form's boxes. */
const MANY = 90;

/** Whether a page holds so many round outlines of one size that it is some bubble sheet, whoever printed it. */
export const looksLikeSheet = (frame: Frame, paper: Paper): boolean => {
  const long = Math.max(frame.width, frame.height);
  const least = Math.floor(long * SMALLEST_BUBBLE);
  const most = Math.ceil(long * LARGEST_BUBBLE);
  const zone = { x: 0, y: 0, width: frame.width, height: frame.height };
  const sizes: number[] = [];
  for (const { left, right, top, bottom } of blobsIn(frame, inkLevels(paper, 0.75), paper.columns, zone, least, most)) {
    const [w, h] = [right - left + 1, bottom - top + 1];
    if (Math.abs(w - h) <= 2) sizes.push(w + h);
  }
  sizes.sort((a, b) => a - b);
  const middle = sizes[sizes.length >> 1] ?? 0;
  return sizes.filter((size) => Math.abs(size - middle) <= 3).length >= MANY;
};
