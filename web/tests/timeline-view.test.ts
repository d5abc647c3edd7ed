import { expect, test } from 'vitest';
import {
  clamp,
  keepInSight,
  LONGEST,
  pan,
  SECOND,
  SHORTEST,
  ticks,
  timeOf,
  xOf,
  zoom,
} from '../src/player/timeline-view';

const all = { from: 1000 * SECOND, to: 4600 * SECOND };
const length = (view: { from: number; to: number }) => view.to - view.from;

test('pixels and instants map there and back', () => {
  const view = { from: 1000 * SECOND, to: 2000 * SECOND };
  expect(xOf(view, 500, 1500 * SECOND)).toBe(250);
  expect(timeOf(view, 500, 250)).toBe(1500 * SECOND);
});

test('zooming leaves the instant under the pointer where it is', () => {
  const view = { from: 2000 * SECOND, to: 3000 * SECOND };
  const anchor = 2300 * SECOND;
  const closer = zoom(view, all, anchor, 0.5);
  expect(length(closer)).toBe(500 * SECOND);
  expect(xOf(closer, 1000, anchor)).toBeCloseTo(xOf(view, 1000, anchor), 6);
});

test('zooming ends at ten seconds and at the whole', () => {
  expect(length(zoom(all, all, 2000 * SECOND, 1e-6))).toBe(SHORTEST);
  const whole = zoom(all, all, 2000 * SECOND, 1e6);
  expect(whole.from).toBeLessThan(all.from);
  expect(whole.to).toBeGreaterThan(all.to);
  expect(length(clamp({ from: 0, to: 1e15 }, { from: 0, to: 1e15 }))).toBe(LONGEST);
});

test('panning does not leave the record', () => {
  const view = { from: 2000 * SECOND, to: 3000 * SECOND };
  expect(pan(view, all, 100 * SECOND).from).toBe(2100 * SECOND);
  const left = pan(view, all, -1e12);
  expect(length(left)).toBe(1000 * SECOND);
  expect(left.from).toBeGreaterThan(all.from - 120 * SECOND);
  const right = pan(view, all, 1e12);
  expect(right.to).toBeLessThan(all.to + 120 * SECOND);
});

test('the view follows a playhead that leaves it, and no other', () => {
  const view = { from: 2000 * SECOND, to: 3000 * SECOND };
  expect(keepInSight(view, all, 2500 * SECOND)).toBe(view);
  const moved = keepInSight(view, all, 3001 * SECOND);
  expect(moved.from).toBeLessThan(3001 * SECOND);
  expect(moved.to).toBeGreaterThan(3500 * SECOND);
});

test('labels are round in local time and far enough apart', () => {
  const offset = 8 * 3600 * SECOND;
  const found = ticks(all, 900, 96, offset);
  expect(found.length).toBeGreaterThan(2);
  const step = found[1]! - found[0]!;
  expect((step / length(all)) * 900).toBeGreaterThanOrEqual(96);
  for (const at of found) expect((at + offset) % step).toBe(0);
});
