import { expect, test } from 'vitest';
import { frameTicks, timescale } from '../src/player/fmp4';

function box(type: string, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = 8 + parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(0, size);
  bytes.set(new TextEncoder().encode(type), 4);
  let at = 8;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function words(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => view.setInt32(index * 4, value));
  return bytes;
}

const join = (...parts: Uint8Array[]): Uint8Array<ArrayBuffer> =>
  new Uint8Array(parts.flatMap((part) => [...part]));

/** A fragment as the recorder writes it: `run` is what its `trun` holds. */
function fragment(dts: number, duration: number, run: Uint8Array): Uint8Array<ArrayBuffer> {
  const traf = box(
    'traf',
    box('tfhd', words(0x020028, 1, duration, 0x01010000)),
    box('tfdt', words(0x01000000, 0, dts)),
    box('trun', run),
  );
  return join(box('moof', box('mfhd', words(0, 1)), traf), box('mdat', new Uint8Array(9)));
}

/** Samples of one length: sizes only, and the first one's flags. */
const even = (count: number) =>
  words(0x01000205, count, 0, 0x02000000, ...new Array<number>(count).fill(7));

test('reads the frames of all fragments of a piece, from the first decoding time', () => {
  const bytes = join(fragment(9000, 3600, even(2)), fragment(16200, 3600, even(1)));
  expect(frameTicks(bytes.buffer)).toEqual({ starts: [0, 3600, 7200], end: 10800 });
});

test('frames of uneven length, shown in another order than decoded', () => {
  // Each sample: its length, its size, by how much later it is shown than decoded.
  const samples = [3000, 7, 3000, 4000, 7, 7000, 5000, 7, -4000, 3000, 7, -1000];
  const bytes = fragment(0, 0, words(0x01000b01, 4, 0, ...samples));
  expect(frameTicks(bytes.buffer)).toEqual({ starts: [3000, 3000, 10000, 11000], end: 14000 });
});

test('what is not media has no frames, and what is cut off none that are not there', () => {
  expect(frameTicks(new ArrayBuffer(0))).toBeNull();
  expect(frameTicks(new Uint8Array(64).fill(255).buffer)).toBeNull();
  expect(frameTicks(fragment(0, 3600, even(9)).slice(0, 60).buffer)).toBeNull();
  // A count that the box cannot hold.
  expect(frameTicks(fragment(0, 3600, words(0x01000201, 1 << 30, 0, 7)).buffer)).toBeNull();
});

test('the timescale of an init segment, in both versions of its box', () => {
  const init = (mdhd: Uint8Array) =>
    join(box('ftyp', words(0)), box('moov', box('trak', box('mdia', box('mdhd', mdhd)))));
  expect(timescale(init(words(0, 0, 0, 90000, 0, 0)))).toBe(90000);
  expect(timescale(init(words(0x01000000, 0, 0, 0, 0, 48000, 0, 0, 0)))).toBe(48000);
  expect(timescale(init(words(0, 0)))).toBeNull();
  expect(timescale(new Uint8Array(3))).toBeNull();
});
