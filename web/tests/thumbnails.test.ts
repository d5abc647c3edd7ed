import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ThumbnailIndex } from '../src/api/types';
import { Thumbnails, tileFor } from '../src/player/thumbnails';

const S = 1_000_000;
const tiles = [0, 1, 2, 10, 11].map((s) => ({ at: s * S }));

test('a picture stands for what comes after it, not before', () => {
  expect(tileFor(tiles, 1.9 * S, S, [])).toEqual({ at: S });
  expect(tileFor(tiles, -1, S, [])).toBeNull();
  expect(tileFor(tiles, 40 * S, S, [])).toBeNull();
});

test('no picture stands for a gap, nor from beyond one', () => {
  const gaps = [{ from: 3 * S, to: 9.5 * S }];
  expect(tileFor(tiles, 2.9 * S, S, gaps)).toEqual({ at: 2 * S });
  expect(tileFor(tiles, 5 * S, S, gaps)).toBeNull();
  expect(tileFor(tiles, 9.7 * S, S, gaps)).toBeNull();
  expect(tileFor(tiles, 10.2 * S, S, gaps)).toEqual({ at: 10 * S });
});

function indexOf(state: ThumbnailIndex['state'], places: number[]): ThumbnailIndex {
  const shown = places.map((place) => ({ at: place * S, place }));
  const sheets = places.length ? [{ id: 'one', from: 0, to: 100 * S, tiles: shown }] : [];
  return { state, width: 160, height: 88, columns: 10, step: S, sheets };
}

const settle = () => new Promise((done) => setTimeout(done));
let made = 0;

beforeEach(() => {
  made = 0;
  vi.spyOn(URL, 'createObjectURL').mockImplementation(() => `blob:${++made}`);
  vi.spyOn(URL, 'revokeObjectURL').mockImplementation(() => {});
});
afterEach(() => vi.restoreAllMocks());

test('asked for once, asked again while they are made, and one sheet fetched once', async () => {
  let now = 0;
  const index = vi.fn(async () => indexOf(index.mock.calls.length > 1 ? 'ready' : 'making', []));
  const sheet = vi.fn(async () => new Blob());
  const found = new Thumbnails(
    { index, sheet },
    () => {},
    () => now,
  );
  found.at(12 * S, []);
  found.at(12 * S, []);
  await settle();
  expect(index).toHaveBeenCalledTimes(1);
  now = 1000;
  found.at(12 * S, []);
  expect(index).toHaveBeenCalledTimes(1);
  now = 2000;
  index.mockImplementation(async () => indexOf('ready', [0, 12]));
  found.at(12 * S, []);
  await settle();
  expect(index).toHaveBeenCalledTimes(2);
  expect(found.at(12.5 * S, [])).toBeNull();
  await settle();
  expect(found.at(12.5 * S, [])).toEqual({
    url: 'blob:1',
    at: 12 * S,
    width: 160,
    height: 88,
    x: 320,
    y: 88,
  });
  expect(sheet).toHaveBeenCalledTimes(1);
});

test('what may be shown no more is dropped, with the sheet that showed it', async () => {
  let now = 0;
  const index = vi.fn(async () => indexOf('ready', [0, 1, 2]));
  const found = new Thumbnails(
    { index, sheet: async () => new Blob() },
    () => {},
    () => now,
  );
  for (let n = 0; n < 3; n++) {
    found.at(S, []);
    await settle();
  }
  expect(found.at(S, [])?.url).toBe('blob:1');
  index.mockRejectedValue(new Error('403'));
  now = 31_000;
  found.at(S, []);
  await settle();
  expect(found.at(S, [])).toBeNull();
  expect(URL.revokeObjectURL).toHaveBeenCalledWith('blob:1');
});
