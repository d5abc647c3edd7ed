/** When each frame that a tile has loaded begins: only so is it known which one an instant shows. */

import type { FrameTicks } from './fmp4';

/** One frame: it is shown from `start` until `end`, in seconds of the tile's media. */
export interface Frame {
  start: number;
  end: number;
}

/** So far may what a browser says of a painted frame be from what its file says (s). */
export const SAME_FRAME = 0.002;
/** Pieces of media kept; what was loaded longest ago is forgotten first. */
const PIECES = 400;

interface Piece {
  starts: number[];
  end: number;
}

/** Index of the last of `sorted` that is at or before `value`, or -1. */
function lastBefore(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export class FrameTable {
  #pieces = new Map<number, Piece>();

  /** Takes the frames of the piece of media numbered `sn`, whose decoding begins at `begin`. */
  add(sn: number, ticks: FrameTicks, timescale: number, begin: number): void {
    const starts = ticks.starts.map((tick) => begin + tick / timescale);
    this.#pieces.delete(sn);
    this.#pieces.set(sn, { starts, end: begin + ticks.end / timescale });
    if (this.#pieces.size > PIECES) this.#pieces.delete(this.#pieces.keys().next().value!);
  }

  clear(): void {
    this.#pieces.clear();
  }

  /** The frame that is on the screen at `media`, or null if that is not known. */
  at(media: number): Frame | null {
    for (const { starts, end } of this.#pieces.values()) {
      if (media >= end) continue;
      const index = lastBefore(starts, media);
      if (index >= 0) return { start: starts[index]!, end: starts[index + 1] ?? end };
    }
    return null;
  }

  /** Whether a frame that was `painted` is the one for `media`; null if that is not known. */
  shows(painted: number, media: number): boolean | null {
    const frame = this.at(painted + SAME_FRAME);
    if (frame === null || Math.abs(frame.start - painted) > SAME_FRAME) return null;
    const near = [media - SAME_FRAME, media, media + SAME_FRAME].map((at) => this.at(at));
    const known = near.filter((one) => one !== null);
    if (known.length === 0) return null;
    return known.some((one) => Math.abs(one.start - painted) <= SAME_FRAME);
  }
}
