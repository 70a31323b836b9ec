// The raster the engine reads.

/** One byte a pixel, row by row from the top left: 0 black, 255 white. */
export interface GrayImage {
  width: number;
  height: number;
  data: Uint8Array;
}
