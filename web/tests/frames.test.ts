import { expect, test } from 'vitest';
import { FrameTable } from '../src/player/frames';

/** Two pieces from 10 s on, 25 frames a second; the third frame is 80 ms long. */
function table(): FrameTable {
  const frames = new FrameTable();
  frames.add(1, { starts: [0, 3600, 7200, 14400], end: 18000 }, 90000, 10);
  frames.add(2, { starts: [0, 3600], end: 7200 }, 90000, 10.2);
  return frames;
}

test('an instant shows the frame that began last', () => {
  const frames = table();
  expect(frames.at(10.05)).toEqual({ start: 10.04, end: 10.08 });
  expect(frames.at(10.15)).toEqual({ start: 10.08, end: 10.16 });
  expect(frames.at(10.21)?.start).toBe(10.2);
  expect(frames.at(10.21)?.end).toBeCloseTo(10.24, 9);
  expect(frames.at(9.9)).toBeNull();
  expect(frames.at(10.3)).toBeNull();
});

test('a long frame is the right one to its end, and no frame beside it ever is', () => {
  const frames = table();
  expect(frames.shows(10.08, 10.15)).toBe(true);
  expect(frames.shows(10.04, 10.15)).toBe(false);
  expect(frames.shows(10.16, 10.15)).toBe(false);
  // At an edge either is.
  expect(frames.shows(10.08, 10.161)).toBe(true);
  expect(frames.shows(10.16, 10.159)).toBe(true);
  // The last frame of a piece, and the first of the next.
  expect(frames.shows(10.16, 10.19)).toBe(true);
  expect(frames.shows(10.2, 10.19)).toBe(false);
});

test('what the table does not hold is not known', () => {
  const frames = table();
  expect(frames.shows(10.1, 10.15)).toBeNull();
  expect(frames.shows(10.08, 11)).toBeNull();
  frames.clear();
  expect(frames.shows(10.08, 10.15)).toBeNull();
});

test('pieces loaded again replace themselves, and the oldest are forgotten', () => {
  const frames = new FrameTable();
  for (let sn = 0; sn < 500; sn++) frames.add(sn, { starts: [0], end: 90000 }, 90000, sn);
  expect(frames.at(50)).toBeNull();
  expect(frames.at(499.5)).toEqual({ start: 499, end: 500 });
  frames.add(499, { starts: [0], end: 90000 }, 90000, 700);
  expect(frames.at(499.5)).toBeNull();
  expect(frames.at(700)).toEqual({ start: 700, end: 701 });
});
