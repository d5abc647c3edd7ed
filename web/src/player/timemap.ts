/**
 * Maps recorder time (µs UTC) to a tile's media time (s) and back, through the playlist's entries.
 *
 * Each entry carries its PROGRAM-DATE-TIME; where an entry has no media (EXT-X-GAP) or the dates
 * jump, there is no picture and none may be shown.
 */

import type { Interval, Micros } from '../api/types';

/** One playlist entry: [from, to) in recorder time lies at [start, …) in media time. */
export interface Span extends Interval {
  start: number;
  gap: boolean;
}

export type Place =
  | { kind: 'media'; media: number }
  | { kind: 'gap'; from: Micros; to: Micros; resume: number | null }
  | { kind: 'before'; first: number | null }
  | { kind: 'after' };

/** A hole below this is rounding of the playlist's dates and durations, not a gap. */
export const ROUNDING: Micros = 60_000;

/** What of an hls.js fragment the map needs. */
export interface Entry {
  start: number;
  duration: number;
  programDateTime: number | null;
  gap?: boolean;
}

/** Spans of a parsed playlist, in order; entries without a date follow their neighbour. */
export function spansOf(entries: readonly Entry[]): Span[] {
  const spans: Span[] = [];
  let next: Micros | null = null;
  for (const entry of entries) {
    const from: Micros | null =
      entry.programDateTime === null ? next : Math.round(entry.programDateTime * 1000);
    if (from === null) continue;
    const to: Micros = from + Math.round(entry.duration * 1e6);
    spans.push({ from, to, start: entry.start, gap: entry.gap === true });
    next = to;
  }
  return spans;
}

/** Index of the last span that begins at or before `time`, or -1. */
function lastBefore(spans: readonly Span[], time: Micros): number {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle]!.from <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function gapAround(spans: readonly Span[], index: number): Place {
  let first = index;
  while (first > 0 && spans[first - 1]!.gap) first--;
  let last = index;
  while (last + 1 < spans.length && spans[last + 1]!.gap) last++;
  const following = spans[last + 1];
  const from = first > 0 ? Math.min(spans[first]!.from, spans[first - 1]!.to) : spans[first]!.from;
  return {
    kind: 'gap',
    from,
    to: following ? following.from : spans[last]!.to,
    resume: following ? following.start : null,
  };
}

/** Where in a tile's media `time` lies; never a place whose picture is of another instant. */
export function placeOf(spans: readonly Span[], time: Micros): Place {
  const index = lastBefore(spans, time);
  if (index < 0) {
    const first = spans.find((span) => !span.gap);
    return { kind: 'before', first: first ? first.start : null };
  }
  const span = spans[index]!;
  if (span.gap && time < span.to + ROUNDING) return gapAround(spans, index);
  if (time < span.to) return { kind: 'media', media: span.start + (time - span.from) / 1e6 };
  const next = spans[index + 1];
  if (!next) return { kind: 'after' };
  if (next.from - span.to <= ROUNDING) {
    return next.gap
      ? gapAround(spans, index + 1)
      : { kind: 'media', media: span.start + (span.to - span.from) / 1e6 - 0.001 };
  }
  return { kind: 'gap', from: span.to, to: next.from, resume: next.gap ? null : next.start };
}

/** The first instant from `time` on that has media, or null. */
export function nextPicture(spans: readonly Span[], time: Micros): Micros | null {
  const span = spans.find((one) => !one.gap && one.to > time);
  return span ? Math.max(span.from, time) : null;
}

/** Recorder time of a media time, or null outside every entry that has media. */
export function timeAt(spans: readonly Span[], media: number): Micros | null {
  let best: Span | null = null;
  for (const span of spans) {
    if (span.start > media + 1e-6) break;
    if (!span.gap) best = span;
  }
  if (!best) return null;
  const inside = (media - best.start) * 1e6;
  return inside <= best.to - best.from + ROUNDING ? Math.round(best.from + inside) : null;
}

/** The interval that the spans reach over, gaps included, or null when there are none. */
export function extent(spans: readonly Span[]): Interval | null {
  const first = spans[0];
  const last = spans.at(-1);
  return first && last ? { from: first.from, to: last.to } : null;
}
