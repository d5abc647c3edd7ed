import { expect, test } from 'vitest';
import { LEVEL_FLOOR, levelOf } from '../src/player/level';

test('a level is said in dB below full scale, and nothing is the floor', () => {
  const tone = (amplitude: number) =>
    Float32Array.from({ length: 1000 }, (_, index) => amplitude * Math.sin((index * Math.PI) / 25));
  expect(levelOf(tone(1))).toBeCloseTo(-3.01, 1);
  expect(levelOf(tone(0.1))).toBeCloseTo(-23.01, 1);
  expect(levelOf(new Float32Array(1000))).toBe(LEVEL_FLOOR);
  expect(levelOf(new Float32Array(0))).toBe(LEVEL_FLOOR);
});
