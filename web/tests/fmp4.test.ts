import { expect, test } from 'vitest';
import { sampleCount } from '../src/player/fmp4';

function box(type: string, ...parts: Uint8Array[]): Uint8Array {
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

function run(samples: number): Uint8Array {
  const body = new Uint8Array(8);
  new DataView(body.buffer).setUint32(4, samples);
  return box('trun', body);
}

const fragment = (samples: number) =>
  new Uint8Array([
    ...box('moof', box('mfhd', new Uint8Array(8)), box('traf', box('tfhd'), run(samples))),
    ...box('mdat', new Uint8Array(samples)),
  ]);

test('counts the samples of all fragments', () => {
  const bytes = new Uint8Array([...fragment(12), ...fragment(13)]);
  expect(sampleCount(bytes.buffer)).toBe(25);
});

test('bytes that are no boxes hold nothing, and do no harm', () => {
  expect(sampleCount(new ArrayBuffer(0))).toBe(0);
  expect(sampleCount(new Uint8Array(64).fill(255).buffer)).toBe(0);
  expect(sampleCount(fragment(9).slice(0, 40).buffer)).toBe(0);
});
