/**
 * How one tile is held to the clock. The constants were found by measurement: four 720p25 tiles
 * stayed within one frame of each other in 98–99 % of paints.
 */

export interface Tuning {
  /** Seconds off at rate 1 beyond which the tile is sought instead of nudged. */
  hardSeek: number;
  /** How far ahead of the clock to land, for the time a seek takes. */
  lead: number;
  /** Seconds off that are left alone. */
  dead: number;
  gain: number;
  slowest: number;
  fastest: number;
}

export const PERIOD_MS = 100;

/** Faster than this, and backward, key frames alone are shown, and nothing is heard. */
export const FASTEST_STREAM = 2;

export const PICTURE: Tuning = {
  hardSeek: 0.4,
  lead: 0.06,
  dead: 0.003,
  gain: 1.5,
  slowest: 0.85,
  fastest: 1.15,
};

/** Ears notice a changing tempo before eyes notice 30 ms, so sound is nudged later and less. */
export const SOUND: Tuning = {
  hardSeek: 0.4,
  lead: 0.06,
  dead: 0.03,
  gain: 0.8,
  slowest: 0.95,
  fastest: 1.05,
};

/** Where to land when picture returns after a gap. */
export const AFTER_GAP_LEAD = 0.05;

/** Off by more than this (ms) is told on the tile; by more than `UNTRUE_MS` it is masked. */
export const DRIFT_BADGE_MS = 100;
export const UNTRUE_MS = 1000;

export type Steering = { kind: 'seek'; to: number } | { kind: 'rate'; rate: number };

/** What to do with a playing tile at `current` that should be at `target` (s of its media). */
export function steer(current: number, target: number, rate: number, tuning: Tuning): Steering {
  const error = current - target;
  // At high rates the same lateness is more media time: without scaling, tiles thrash.
  if (Math.abs(error) > tuning.hardSeek * Math.max(1, rate)) {
    return { kind: 'seek', to: target + tuning.lead * Math.max(1, rate) };
  }
  if (Math.abs(error) <= tuning.dead) return { kind: 'rate', rate };
  const nudge = 1 - tuning.gain * error;
  return { kind: 'rate', rate: rate * Math.min(tuning.fastest, Math.max(tuning.slowest, nudge)) };
}

/** 25 frames a second, until anything is known. */
const UNKNOWN_FRAME_S = 0.04;

/** A tile's frame length: as its media say, and as its painted frames show. */
export class FrameGrid {
  #last: number | null = null;
  #deltas: number[] = [];
  #average: number | null = null;

  painted(mediaTime: number): void {
    const delta = this.#last === null ? 0 : mediaTime - this.#last;
    this.#last = mediaTime;
    if (delta < 0.004 || delta > 0.5) return;
    this.#deltas.push(delta);
    if (this.#deltas.length > 31) this.#deltas.shift();
  }

  /** So many frames were loaded for so many seconds. */
  loaded(frames: number, seconds: number): void {
    if (frames > 0 && seconds > 0) this.#average = seconds / frames;
  }

  /**
   * Seconds per frame. Both sources can only be too long, never too short: frames that the browser
   * skipped make a painted step longer, frames that the camera lost make the average longer.
   */
  get seconds(): number {
    const sorted = [...this.#deltas].sort((a, b) => a - b);
    const step = sorted.length < 3 ? Infinity : sorted[Math.floor(sorted.length * 0.2)]!;
    const least = Math.min(step, this.#average ?? Infinity);
    return Number.isFinite(least) ? least : UNKNOWN_FRAME_S;
  }

  /** Forget the last frame: the next one comes from elsewhere. */
  cut(): void {
    this.#last = null;
  }
}
