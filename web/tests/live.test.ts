import { describe, expect, test } from 'vitest';
import { backOff, mimeOf, Pace } from '../src/player/live';

describe('pace', () => {
  const settle = (pace: Pace, ahead: number, chunk = 0.04) => {
    let found = pace.tick(ahead, chunk);
    for (let turn = 0; turn < 20; turn++) found = pace.tick(ahead, chunk);
    return found;
  };

  test('plays a little faster until as little is left as will do', () => {
    expect(settle(new Pace(), 0.4)).toEqual({ jump: null, rate: 1.15 });
    expect(settle(new Pace(), 0.12)).toEqual({ jump: null, rate: 1.06 });
    expect(settle(new Pace(), 0.07)).toEqual({ jump: null, rate: 1 });
    expect(settle(new Pace(), 0.02)).toEqual({ jump: null, rate: 0.9 });
  });

  test('goes by the least that was left, not by what has just come', () => {
    const pace = new Pace();
    settle(pace, 0.07);
    expect(pace.tick(0.5, 0.5)).toEqual({ jump: null, rate: 1 });
  });

  test('keeps more after running dry, within bounds, and forgets it in time', () => {
    const pace = new Pace();
    const least = pace.spare;
    pace.ranDry();
    expect(pace.spare).toBeGreaterThan(least);
    for (let turn = 0; turn < 100; turn++) pace.ranDry();
    expect(pace.spare).toBe(0.25);
    for (let turn = 0; turn < 1000; turn++) pace.tick(0.3, 0.04);
    expect(pace.spare).toBe(least);
  });

  test('jumps when more than a second behind, but not for fragments of half a second', () => {
    const pace = new Pace();
    expect(pace.tick(1.2, 0.04).jump).toBeCloseTo(pace.spare + 0.04, 6);
    expect(pace.tick(1.2, 0.5).jump).toBeNull();
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
