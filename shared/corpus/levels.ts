// The three levels at which the engine's accuracy is claimed: sheets with known answers, drawn through the printed geometry
// and worn down by named, seeded effects. Lengths in pixels are those of 200 dpi and grow with the resolution.
import type { GrayImage } from '../omr/image.ts';
import { layOut } from '../template/geometry.ts';
import { sheetQr } from '../template/qr-text.ts';
import type { Template } from '../template/template.ts';
import { drawBlank } from './draw.ts';
import { CAREFUL, CARELESS, crossBubble, drawLine, fillBubble, HASTY, type Hand, tickBubble } from './pencil.ts';
import { type Random, seeded } from './random.ts';
import { bend, blur, cutCorner, fold, grain, photocopy, shade, streak, turn } from './wear.ts';

export type Level = 1 | 2 | 3;

interface Wear {
  hand: Hand;
  /** degrees, and share of the size */
  skew: number;
  scale: number;
  /** how far corners move, as a share of the page */
  corners: number;
  turned: boolean;
  blur: number;
  noise: number;
  shading: number;
  jpeg: readonly [number, number];
  /** share of questions with an erased second mark, and how dark at most what is left of it is */
  erased: number;
  erasedDarkness: number;
  /** share of questions with a stray line near by */
  stray: number;
  /** share of marks that are ticks or crosses */
  ticks: number;
  /** shares of pages */
  folded: number;
  streaked: number;
  cut: number;
  copied: number;
}

const WEAR: Record<Level, Wear> = {
  1: {
    hand: CAREFUL,
    skew: 1,
    scale: 0.005,
    corners: 0,
    turned: false,
    blur: 0.6,
    noise: 4,
    shading: 0,
    jpeg: [75, 90],
    erased: 0,
    erasedDarkness: 0,
    stray: 0,
    ticks: 0,
    folded: 0,
    streaked: 0,
    cut: 0,
    copied: 0,
  },
  2: {
    hand: HASTY,
    skew: 4,
    scale: 0.005,
    corners: 0.02,
    turned: true,
    blur: 1.2,
    noise: 10,
    shading: 0.25,
    jpeg: [50, 75],
    erased: 0.03,
    erasedDarkness: 0.15,
    stray: 0.01,
    ticks: 0,
    folded: 0.15,
    streaked: 0,
    cut: 0,
    copied: 0,
  },
  3: {
    hand: CARELESS,
    skew: 10,
    scale: 0.01,
    corners: 0.08,
    turned: true,
    blur: 2.2,
    noise: 20,
    shading: 0.5,
    jpeg: [30, 50],
    erased: 0.03,
    erasedDarkness: 0.25,
    stray: 0.02,
    ticks: 0.1,
    folded: 0.25,
    streaked: 0.15,
    cut: 0.15,
    copied: 0.15,
  },
};
/** On every level so many questions are left blank, and so many marked twice. */
const BLANK = 0.02;
const DOUBLE = 0.01;

export interface WornSheet {
  image: GrayImage;
  /** quality at which the scanner would write it */
  jpeg: number;
  /** value of every field by its label, as readings write them */
  truth: Map<string, string>;
  /** degrees clockwise that the raster must be turned by to stand upright */
  orientation: 0 | 90 | 180 | 270;
  /** what was done to it, for whoever looks at a failure */
  effects: string[];
}

/** The same template, level and seed give the same page. */
export const wornSheet = (template: Template, level: Level, seed: number, dpi: number): WornSheet => {
  const wear = WEAR[level];
  const random = seeded(Math.imul(seed, 0x9e3779b1) + level);
  const qr = template.qr ? sheetQr({ templateId: template.id, version: template.version }) : null;
  const blank = drawBlank(template, qr, dpi);
  const truth = fill(blank, template, wear, random, dpi / 25.4);
  return { truth, ...worn(blank, wear, random, dpi) };
};

const fill = (image: GrayImage, template: Template, wear: Wear, random: Random, scale: number): Map<string, string> => {
  const { fields, bubbles } = layOut(template);
  const truth = new Map<string, string>();
  const mark = (index: number): void => {
    const bubble = bubbles[index]!;
    if (!random.chance(wear.ticks)) fillBubble(image, bubble, scale, wear.hand, random);
    else if (random.chance(0.5)) tickBubble(image, bubble, scale, random);
    else crossBubble(image, bubble, scale, random);
  };
  for (const { label, type, groups, options } of fields) {
    if (type === 'grid') {
      const picks = groups.map(() => random.int(options.length));
      picks.forEach((pick, i) => {
        mark(groups[i]! + pick);
      });
      truth.set(label, picks.map((pick) => options[pick]!).join(''));
      continue;
    }
    const first = groups[0]!;
    const marked = new Set<number>();
    if (!random.chance(BLANK)) marked.add(random.int(options.length));
    if (marked.size > 0 && options.length > 1 && random.chance(DOUBLE)) marked.add(random.int(options.length));
    for (const pick of marked) mark(first + pick);
    truth.set(label, options.filter((_, i) => marked.has(i)).join('|'));
    if (random.chance(wear.erased)) {
      const pick = random.int(options.length);
      const left = random.between(0.3, 1) * wear.erasedDarkness;
      const rubbed: Hand = { coverage: [0.7, 1], darkness: [left, left], offset: 0.05 };
      if (!marked.has(pick)) fillBubble(image, bubbles[first + pick]!, scale, rubbed, random);
    }
    if (random.chance(wear.stray)) {
      const { x, y, width } = bubbles[first + random.int(options.length)]!;
      const from = [x + width * random.between(-1, 1), y + width * random.between(-0.8, 0.8)] as const;
      const to = [from[0] + random.between(-3, 3), from[1] + random.between(-1.5, 1.5)] as const;
      drawLine(image, [from, to], scale, random.between(0.25, 0.45), random.between(0.3, 0.8));
    }
  }
  return truth;
};

const worn = (page: GrayImage, wear: Wear, random: Random, dpi: number): Omit<WornSheet, 'truth'> => {
  const effects: string[] = [];
  const perPixel = dpi / 200;
  let image = page;
  const lid = random.chance(0.5) ? 255 : 25;
  if (random.chance(wear.folded)) {
    const down = random.chance(0.3);
    image = fold(image, {
      at: random.between(0.3, 0.7),
      down,
      shorter: random.between(0, 0.006),
      slide: random.between(-0.004, 0.004),
      crease: random.between(0.05, 0.3),
    });
    effects.push(down ? 'fold down' : 'fold across');
  }
  if (random.chance(wear.cut)) {
    const corner = random.int(4) as 0 | 1 | 2 | 3;
    image = cutCorner(image, corner, Math.round((random.between(8, 25) / 25.4) * dpi), lid);
    effects.push(`corner ${corner} cut`);
  }
  const corners = [0, 1, 2, 3].map(
    () => [random.between(-1, 1) * wear.corners, random.between(-1, 1) * wear.corners] as const,
  );
  const skew = random.between(-1, 1) * wear.skew;
  image = bend(image, { skew, scale: 1 + random.between(-1, 1) * wear.scale, corners, behind: lid });
  effects.push(`skew ${skew.toFixed(1)}`);
  image = blur(image, random.between(0, wear.blur) * perPixel);
  if (random.chance(wear.copied)) {
    image = photocopy(image, random.between(1.2, 1.8));
    effects.push('photocopy');
  }
  if (wear.shading > 0) image = shade(image, random.between(0, wear.shading));
  if (random.chance(wear.streaked)) {
    const darkness = random.between(0.15, 0.6);
    image = streak(image, random.between(0.1, 0.9), 1 + random.int(Math.ceil(3 * perPixel)), darkness);
    effects.push('streak');
  }
  image = grain(image, random.between(0, wear.noise), random.int(0x7fffffff));
  const degrees = wear.turned ? random.pick([0, 90, 180, 270] as const) : 0;
  return {
    image: turn(image, degrees),
    jpeg: Math.round(random.between(...wear.jpeg)),
    orientation: ((360 - degrees) % 360) as WornSheet['orientation'],
    effects,
  };
};
