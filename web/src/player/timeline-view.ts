/** The arithmetic of the timeline: which instants are in sight, and where they lie. Pure. */

import type { Interval, Micros } from '../api/types';

export const SECOND: Micros = 1_000_000;
export const SHORTEST: Micros = 10 * SECOND;
export const LONGEST: Micros = 24 * 3600 * SECOND;

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600];

export function xOf(view: Interval, width: number, time: Micros): number {
  return ((time - view.from) / (view.to - view.from)) * width;
}

export function timeOf(view: Interval, width: number, x: number): Micros {
  return Math.round(view.from + (x / width) * (view.to - view.from));
}

/** `view` kept inside `all` (with some air) and between 10 s and 24 h long. */
export function clamp(view: Interval, all: Interval): Interval {
  const air = Math.max(SECOND, (all.to - all.from) * 0.02);
  const longest = Math.min(LONGEST, Math.max(SHORTEST, all.to - all.from + 2 * air));
  const length = Math.min(longest, Math.max(SHORTEST, view.to - view.from));
  const earliest = all.from - air;
  const latest = all.to + air - length;
  const middle = (view.from + view.to - length) / 2;
  const from =
    latest <= earliest
      ? (all.from + all.to - length) / 2
      : Math.min(latest, Math.max(earliest, middle));
  return { from: Math.round(from), to: Math.round(from + length) };
}

/** Zooms about `anchor`, which stays where it is; `factor` below 1 looks closer. */
export function zoom(view: Interval, all: Interval, anchor: Micros, factor: number): Interval {
  const length = view.to - view.from;
  const wanted = Math.min(LONGEST, Math.max(SHORTEST, length * factor));
  const share = (anchor - view.from) / length;
  const from = anchor - share * wanted;
  return clamp({ from, to: from + wanted }, all);
}

export function pan(view: Interval, all: Interval, by: Micros): Interval {
  return clamp({ from: view.from + by, to: view.to + by }, all);
}

/** Moves the view so that a running playhead stays in sight. */
export function keepInSight(view: Interval, all: Interval, time: Micros): Interval {
  const length = view.to - view.from;
  if (time >= view.from && time <= view.to - length * 0.02) return view;
  return clamp({ from: time - length * 0.1, to: time + length * 0.9 }, all);
}

/** Instants to label: round in local time, at least `apart` pixels from each other. */
export function ticks(view: Interval, width: number, apart: number, offset: Micros): Micros[] {
  const perPixel = (view.to - view.from) / Math.max(1, width);
  const step =
    (STEPS_S.find((seconds) => (seconds * SECOND) / perPixel >= apart) ?? 86400) * SECOND;
  const found: Micros[] = [];
  const first = Math.ceil((view.from + offset) / step) * step - offset;
  for (let at = first; at <= view.to; at += step) found.push(at);
  return found;
}
