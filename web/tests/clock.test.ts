import { expect, test } from 'vitest';
import { Clock } from '../src/player/clock';

test('runs at its rate from where it stands, and only while it runs', () => {
  let now = 1000;
  const clock = new Clock(5_000_000, () => now);
  now += 300;
  expect(clock.time()).toBe(5_000_000);
  clock.play();
  now += 250;
  expect(clock.time()).toBe(5_250_000);
  clock.setRate(2);
  now += 100;
  expect(clock.time()).toBe(5_450_000);
  clock.pause();
  now += 9000;
  expect(clock.time()).toBe(5_450_000);
});

test('a seek keeps running', () => {
  let now = 0;
  const clock = new Clock(0, () => now);
  clock.play();
  now = 40;
  clock.seek(1_000_000);
  now = 60;
  expect(clock.time()).toBe(1_020_000);
});

test('microseconds of our century stay whole', () => {
  let now = 0;
  const clock = new Clock(1_795_377_600_000_001, () => now);
  clock.play();
  now = 3_600_000;
  expect(clock.time()).toBe(1_795_381_200_000_001);
});
