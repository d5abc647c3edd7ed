import { describe, expect, test } from 'vitest';
import { FrameGrid, PICTURE, SOUND, steer } from '../src/player/sync';

describe('steer', () => {
  test('leaves a tile alone that is on time', () => {
    expect(steer(10.002, 10, 1, PICTURE)).toEqual({ kind: 'rate', rate: 1 });
  });

  test('slows down what is ahead and hurries what is behind, within limits', () => {
    const ahead = steer(10.05, 10, 1, PICTURE);
    const behind = steer(9.95, 10, 1, PICTURE);
    expect(ahead).toEqual({ kind: 'rate', rate: expect.closeTo(0.925, 3) as number });
    expect(behind).toEqual({ kind: 'rate', rate: expect.closeTo(1.075, 3) as number });
    expect(steer(10.3, 10, 1, PICTURE)).toEqual({ kind: 'rate', rate: 0.85 });
    expect(steer(9.7, 10, 2, PICTURE)).toEqual({ kind: 'rate', rate: 2.3 });
  });

  test('seeks ahead of the clock when far off', () => {
    expect(steer(9, 10, 1, PICTURE)).toEqual({ kind: 'seek', to: 10.06 });
  });

  test('tolerates more at high rates, where the same delay is more media', () => {
    expect(steer(9, 10, 4, PICTURE).kind).toBe('rate');
    expect(steer(8.3, 10, 4, PICTURE)).toEqual({ kind: 'seek', to: 10.24 });
  });

  test('changes the tempo of sound less than that of pictures', () => {
    expect(steer(10.02, 10, 1, SOUND)).toEqual({ kind: 'rate', rate: 1 });
    expect(steer(10.2, 10, 1, SOUND)).toEqual({ kind: 'rate', rate: 0.95 });
  });
});

describe('the frame grid', () => {
  test('is 25 frames a second until it has been seen', () => {
    expect(new FrameGrid().seconds).toBe(0.04);
  });

  test('finds the frame length although frames were dropped', () => {
    const grid = new FrameGrid();
    let time = 0;
    for (const frames of [1, 1, 2, 1, 3, 1, 1, 2, 1, 1]) {
      time += frames / 15;
      grid.painted(time);
    }
    expect(grid.seconds).toBeCloseTo(1 / 15, 6);
  });

  test('believes the media before a browser that paints every second frame', () => {
    const grid = new FrameGrid();
    for (let i = 0; i < 20; i++) grid.painted(i * 0.08);
    expect(grid.seconds).toBeCloseTo(0.08, 6);
    grid.loaded(125, 5);
    expect(grid.seconds).toBeCloseTo(0.04, 6);
  });

  test('believes painted frames before media in which the camera lost some', () => {
    const grid = new FrameGrid();
    grid.loaded(40, 5);
    for (let i = 0; i < 20; i++) grid.painted(i * 0.04);
    expect(grid.seconds).toBeCloseTo(0.04, 6);
  });

  test('does not take a seek for a frame', () => {
    const grid = new FrameGrid();
    for (let i = 0; i < 5; i++) grid.painted(i * 0.02);
    grid.cut();
    grid.painted(0.09);
    expect(grid.seconds).toBeCloseTo(0.02, 6);
  });
});
