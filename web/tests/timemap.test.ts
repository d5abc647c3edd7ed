import { describe, expect, test } from 'vitest';
import { extent, placeOf, spansOf, timeAt } from '../src/player/timemap';

const DATE = 1_795_377_600_000;
const US = 1_000_000;
const at = (seconds: number) => DATE * 1000 + Math.round(seconds * US);
const entry = (start: number, duration: number, gap = false, date = DATE + start * 1000) => ({
  start,
  duration,
  programDateTime: date,
  gap,
});

describe('one run', () => {
  const spans = spansOf([entry(0, 5), entry(5, 5), entry(10, 5)]);

  test('maps there and back', () => {
    expect(placeOf(spans, at(7.5))).toEqual({ kind: 'media', media: 7.5 });
    expect(timeAt(spans, 7.5)).toBe(at(7.5));
  });

  test('knows where it begins and ends', () => {
    expect(placeOf(spans, at(-1))).toEqual({ kind: 'before', first: 0 });
    expect(placeOf(spans, at(15))).toEqual({ kind: 'after' });
    expect(extent(spans)).toEqual({ from: at(0), to: at(15) });
  });
});

test('media that starts late or drifts is mapped by each entry’s own date', () => {
  const spans = spansOf([entry(0.04, 5, false, DATE), entry(5.08, 5, false, DATE + 5000)]);
  expect(placeOf(spans, at(1))).toEqual({ kind: 'media', media: 1.04 });
  const place = placeOf(spans, at(6));
  expect(place.kind === 'media' && place.media).toBeCloseTo(6.08, 6);
});

describe('gaps', () => {
  const spans = spansOf([entry(0, 5), entry(5, 5, true), entry(10, 3, true), entry(13, 5)]);

  test('are one gap however many entries they take', () => {
    for (const seconds of [5, 7, 12.999]) {
      expect(placeOf(spans, at(seconds))).toEqual({
        kind: 'gap',
        from: at(5),
        to: at(13),
        resume: 13,
      });
    }
    expect(placeOf(spans, at(4.999)).kind).toBe('media');
    expect(placeOf(spans, at(13)).kind).toBe('media');
  });

  test('have no instant of their own in the media', () => {
    expect(timeAt(spans, 9)).toBeNull();
  });

  test('at the end of a growing playlist resume nowhere yet', () => {
    const growing = spansOf([entry(0, 5), entry(5, 5, true)]);
    expect(placeOf(growing, at(6))).toEqual({ kind: 'gap', from: at(5), to: at(10), resume: null });
  });

  test('are also where the dates jump without a gap entry', () => {
    const jump = spansOf([entry(0, 5), entry(5, 5, false, DATE + 20_000)]);
    expect(placeOf(jump, at(9))).toEqual({ kind: 'gap', from: at(5), to: at(20), resume: 5 });
    expect(placeOf(jump, at(21))).toEqual({ kind: 'media', media: 6 });
  });

  test('a hole of rounding is not one', () => {
    const rounded = spansOf([entry(0, 4.98), entry(4.98, 5, false, DATE + 5000)]);
    expect(placeOf(rounded, at(4.99)).kind).toBe('media');
  });
});

test('overlapping dates show the later entry', () => {
  const spans = spansOf([entry(0, 5), entry(5, 5, false, DATE + 4800)]);
  const place = placeOf(spans, at(4.9));
  expect(place.kind === 'media' && place.media).toBeCloseTo(5.1, 6);
});

test('entries without a date follow their neighbour, before any date they are nowhere', () => {
  const spans = spansOf([
    { start: 0, duration: 2, programDateTime: null },
    entry(2, 2),
    { start: 4, duration: 2, programDateTime: null },
  ]);
  expect(spans).toHaveLength(2);
  expect(placeOf(spans, at(5))).toEqual({ kind: 'media', media: 5 });
});

test('nothing loaded is nothing to show', () => {
  expect(placeOf([], at(0))).toEqual({ kind: 'before', first: null });
  expect(extent([])).toBeNull();
});
