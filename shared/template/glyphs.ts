// A stroke font of capitals and digits on a grid 4 wide and 6 high: enough to print a sheet without a font file, and
// the same on every machine.

/** Polylines as two-digit points xy, y downwards; strokes are separated by `|`. */
const STROKES: Readonly<Record<string, string>> = {
  A: '06 20 46|14 34',
  B: '03 33 42 41 30 00 06 36 45 44 33',
  C: '41 30 10 01 05 16 36 45',
  D: '00 06 26 44 42 20 00',
  E: '40 00 06 46|03 33',
  F: '40 00 06|03 33',
  G: '41 30 10 01 05 16 36 45 43 23',
  H: '00 06|40 46|03 43',
  I: '10 30|20 26|16 36',
  J: '30 35 26 16 05',
  K: '00 06|40 03 46',
  L: '00 06 46',
  M: '06 00 23 40 46',
  N: '06 00 46 40',
  O: '10 30 41 45 36 16 05 01 10',
  P: '06 00 30 41 42 33 03',
  Q: '10 30 41 45 36 16 05 01 10|24 46',
  R: '06 00 30 41 42 33 03|23 46',
  S: '41 30 10 01 02 13 33 44 45 36 16 05',
  T: '00 40|20 26',
  U: '00 05 16 36 45 40',
  V: '00 26 40',
  W: '00 16 23 36 40',
  X: '00 46|40 06',
  Y: '00 23 40|23 26',
  Z: '00 40 06 46',
  0: '10 30 41 45 36 16 05 01 10|14 32',
  1: '11 20 26|16 36',
  2: '01 10 30 41 42 06 46',
  3: '01 10 30 41 42 33 13|33 44 45 36 16 05',
  4: '36 30 04 44',
  5: '40 00 02 32 43 45 36 16 05',
  6: '41 30 10 01 05 16 36 45 44 33 13 04',
  7: '00 40 16',
  8: '10 30 41 42 33 13 02 01 10|13 04 05 16 36 45 44 33',
  9: '42 33 13 02 01 10 30 41 45 36 16 05',
  '-': '13 33',
  '.': '25 26',
  ',': '25 16',
  ':': '21 22|24 25',
  '/': '06 40',
  '@': '43 32 12 03 14 34 43 41 30 10 01 05 16 36',
};

/** Width to height of a letter, and of a letter with the gap after it. */
const WIDTH = 4 / 6;
const ADVANCE = 5.6 / 6;

export const textWidth = (text: string, height: number): number =>
  text.length === 0 ? 0 : ((text.length - 1) * ADVANCE + WIDTH) * height;

/**
 * The strokes of a text as segments x1, y1, x2, y2 one after the other, in the unit of `height`. Characters that the
 * font lacks leave a gap; small letters are printed as capitals.
 * @param x left edge @param y upper edge @param height of a capital
 */
export const textStrokes = (text: string, x: number, y: number, height: number): number[] => {
  const segments: number[] = [];
  const unit = height / 6;
  [...text.toUpperCase()].forEach((character, i) => {
    const left = x + i * ADVANCE * height;
    for (const stroke of (STROKES[character] ?? '').split('|')) {
      const points = stroke.split(' ').filter((point) => point !== '');
      for (let k = 1; k < points.length; k++) {
        const [a, b] = [points[k - 1]!, points[k]!];
        segments.push(left + Number(a[0]) * unit, y + Number(a[1]) * unit);
        segments.push(left + Number(b[0]) * unit, y + Number(b[1]) * unit);
      }
    }
  });
  return segments;
};
