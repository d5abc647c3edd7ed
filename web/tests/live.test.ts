import { describe, expect, test } from 'vitest';
import { backOff, chase, mimeOf } from '../src/player/live';

describe('chase', () => {
  test('stays between a tenth and a quarter of a second behind what has come', () => {
    expect(chase(0.2, 0.04)).toEqual({ jump: null, rate: 1 });
    expect(chase(0.35, 0.04)).toEqual({ jump: null, rate: 1.05 });
    expect(chase(0.6, 0.04)).toEqual({ jump: null, rate: 1.15 });
  });

  test('jumps when more than a second behind', () => {
    const { jump } = chase(1.2, 0.04);
    expect(jump).toBeCloseTo(0.14, 6);
  });

  test('gives a sender of half-second fragments the room that they need', () => {
    expect(chase(0.7, 0.5)).toEqual({ jump: null, rate: 1 });
    expect(chase(0.2, 0.5).jump).toBeNull();
  });
});

test('attempts grow apart, with jitter, up to fifteen seconds', () => {
  expect(backOff(0, () => 0)).toBe(250);
  expect(backOff(0, () => 1)).toBe(500);
  expect(backOff(3, () => 1)).toBe(4000);
  expect(backOff(40, () => 1)).toBe(15_000);
});

test('takes the sender’s type, or makes one of the codecs', () => {
  expect(mimeOf({ codecs: 'avc1.640028' }, 'picture')).toBe('video/mp4; codecs="avc1.640028"');
  expect(mimeOf({ codecs: 'flac' }, 'sound')).toBe('audio/mp4; codecs="flac"');
  expect(mimeOf({ codecs: 'flac', mime: 'audio/mp4; codecs="fLaC"' }, 'sound')).toBe(
    'audio/mp4; codecs="fLaC"',
  );
});
