// Anti-aliased drawing of the printed shapes into a raster. Only +, -, *, / and square roots, so that a page drawn in a
// browser is the page drawn on a server.
import type { GrayImage } from '../omr/image.ts';
import type { Shape } from '../template/print.ts';

export const blankRaster = (width: number, height: number): GrayImage => ({
  width,
  height,
  data: new Uint8Array(width * height).fill(255),
});

/** @param scale pixels per millimetre */
export const drawShapes = (image: GrayImage, shapes: readonly Shape[], scale: number): void => {
  for (const shape of shapes) {
    switch (shape.shape) {
      case 'box':
        drawBox(image, shape.x * scale, shape.y * scale, shape.width * scale, shape.height * scale, shape.ink);
        break;
      case 'ring':
        drawRing(
          image,
          shape.x * scale,
          shape.y * scale,
          (shape.width / 2) * scale,
          (shape.height / 2) * scale,
          shape.line * scale,
          shape.ink,
        );
        break;
      case 'strokes':
        for (let i = 0; i < shape.segments.length; i += 4) {
          const [x1, y1, x2, y2] = shape.segments.slice(i, i + 4) as [number, number, number, number];
          drawSegment(image, x1 * scale, y1 * scale, x2 * scale, y2 * scale, shape.line * scale, shape.ink);
        }
        break;
    }
  }
};

/** Exact coverage, added up: boxes that share an edge leave no pale seam. */
const drawBox = (image: GrayImage, x: number, y: number, width: number, height: number, ink: number): void => {
  const { data } = image;
  const left = Math.max(0, Math.floor(x));
  const right = Math.min(image.width, Math.ceil(x + width));
  const top = Math.max(0, Math.floor(y));
  const bottom = Math.min(image.height, Math.ceil(y + height));
  for (let py = top; py < bottom; py++) {
    const dy = Math.min(py + 1, y + height) - Math.max(py, y);
    for (let px = left; px < right; px++) {
      const cover = dy * (Math.min(px + 1, x + width) - Math.max(px, x));
      const at = py * image.width + px;
      data[at] = Math.max(0, Math.round(data[at]! - 255 * ink * cover));
    }
  }
};

/** An ellipse's line, `line` wide and lying inside the ellipse. */
const drawRing = (
  image: GrayImage,
  cx: number,
  cy: number,
  rx: number,
  ry: number,
  line: number,
  ink: number,
): void => {
  const top = Math.max(0, Math.floor(cy - ry - 1));
  const bottom = Math.min(image.height - 1, Math.ceil(cy + ry + 1));
  const left = Math.max(0, Math.floor(cx - rx - 1));
  const right = Math.min(image.width - 1, Math.ceil(cx + rx + 1));
  const r = Math.min(rx, ry);
  // nothing of the line is nearer to the centre than this (in radii, squared)
  const inside = Math.max(0, 1 - (line + 1) / r);
  for (let py = top; py <= bottom; py++) {
    const v = (py + 0.5 - cy) / ry;
    for (let px = left; px <= right; px++) {
      const u = (px + 0.5 - cx) / rx;
      const d2 = u * u + v * v;
      if (d2 < inside * inside) continue;
      const depth = (1 - Math.sqrt(d2)) * r; // pixels inside the outer edge
      const cover = Math.min(1, depth + 0.5, line - depth + 0.5);
      if (cover > 0) darken(image, py * image.width + px, ink * cover);
    }
  }
};

/** A line with round ends. */
const drawSegment = (
  image: GrayImage,
  x1: number,
  y1: number,
  x2: number,
  y2: number,
  line: number,
  ink: number,
): void => {
  const r = line / 2;
  const top = Math.max(0, Math.floor(Math.min(y1, y2) - r - 1));
  const bottom = Math.min(image.height - 1, Math.ceil(Math.max(y1, y2) + r + 1));
  const left = Math.max(0, Math.floor(Math.min(x1, x2) - r - 1));
  const right = Math.min(image.width - 1, Math.ceil(Math.max(x1, x2) + r + 1));
  const [dx, dy] = [x2 - x1, y2 - y1];
  const length2 = dx * dx + dy * dy;
  for (let py = top; py <= bottom; py++) {
    for (let px = left; px <= right; px++) {
      const [ax, ay] = [px + 0.5 - x1, py + 0.5 - y1];
      const t = length2 === 0 ? 0 : Math.max(0, Math.min(1, (ax * dx + ay * dy) / length2));
      const [ex, ey] = [ax - t * dx, ay - t * dy];
      const away2 = ex * ex + ey * ey;
      if (away2 >= (r + 0.5) * (r + 0.5)) continue;
      // a line thinner than a pixel covers only its own width of it
      const cover = Math.min(1, line, r + 0.5 - Math.sqrt(away2));
      if (cover > 0) darken(image, py * image.width + px, ink * cover);
    }
  }
};

/** Print does not get darker where two lines cross. */
const darken = (image: GrayImage, at: number, ink: number): void => {
  const value = Math.round(255 * (1 - ink));
  if (value < image.data[at]!) image.data[at] = value;
};
