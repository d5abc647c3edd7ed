import { beforeAll, expect, test, vi } from 'vitest';

type Time = typeof import('../src/lib/time');
let time: Time;

beforeAll(async () => {
  vi.stubGlobal('localStorage', { getItem: () => null, setItem: () => undefined });
  time = await import('../src/lib/time');
});

// 2026-11-22 02:32:15.040 UTC
const AT = Date.UTC(2026, 10, 22, 2, 32, 15, 40) * 1000 + 7;

test('times are those of the site, wherever the reader is', () => {
  expect(time.clock(AT)).toBe('10:32:15');
  expect(time.clockExact(AT)).toBe('10:32:15.040');
  expect(time.moment(AT)).toBe('2026-11-22 10:32:15');
  expect(time.zoneName(AT)).toBe('UTC+8');
});

test('what is typed means the site’s time, and comes back the same', () => {
  expect(time.toInput(AT, true)).toBe('2026-11-22T10:32:15');
  expect(time.fromInput('2026-11-22T10:32:15')).toBe(AT - (AT % 1_000_000));
  expect(time.fromInput('')).toBeNull();
});

test('a zone with summer time is read at the instant that is meant', () => {
  time.setZone('Europe/Berlin');
  expect(time.fromInput('2026-07-01T12:00')).toBe(Date.UTC(2026, 6, 1, 10) * 1000);
  expect(time.fromInput('2026-01-01T12:00')).toBe(Date.UTC(2026, 0, 1, 11) * 1000);
  time.setZone('Asia/Shanghai');
});

test('a share is never rounded up to the whole', () => {
  expect(time.percent(0.99999)).toBe('99.9%');
  expect(time.percent(1)).toBe('100%');
});

test('lengths are told in the largest fitting unit', () => {
  expect(time.duration(8_400_000)).toBe('8.4 秒');
  expect(time.duration(125_000_000)).toBe('2 分 5 秒');
  expect(time.duration(7_380_000_000)).toBe('2 小时 3 分');
});
