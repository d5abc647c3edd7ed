/** How many columns make the pictures largest. Pure. */

const CAPTION = 34;
const GAP = 6;
const ASPECT = 16 / 9;

/** Columns for `count` tiles with a caption each, in an area of so many pixels. */
export function bestColumns(count: number, width: number, height: number): number {
  let best = 1;
  let largest = 0;
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const tileWidth = (width - GAP * (columns - 1)) / columns;
    const tileHeight = (height - GAP * (rows - 1)) / rows - CAPTION;
    const picture = Math.min(tileWidth, tileHeight * ASPECT);
    // A little larger is not worth a ragged grid: fewer empty places win a tie.
    if (picture > largest * 1.02) {
      largest = picture;
      best = columns;
    }
  }
  return best;
}
