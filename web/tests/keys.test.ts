import { expect, test } from 'vitest';
import type { KeyList, Micros } from '../src/api/types';
import { isFast, KeyTrack, stepOf, type KeyBytes, type KeySource } from '../src/player/keys';
import { KeyView } from '../src/player/keyview';
import type { Painter } from '../src/player/stills';

const S = 1_000_000;
/** Footage from 0 to 300 s but for a hole from 100 to 130 s; a key frame every two seconds. */
const HOLE = { from: 100 * S, to: 130 * S };
const settle = async () => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  await new Promise((done) => setTimeout(done));
};

function piece(ordinals: number[]): ArrayBuffer {
  const bytes = new Uint8Array(ordinals.length * 17);
  ordinals.forEach((ordinal, place) => {
    const view = new DataView(bytes.buffer, place * 17, 17);
    for (const [at, size, name] of [
      [0, 8, 'moof'],
      [8, 9, 'mdat'],
    ] as const) {
      view.setUint32(at, size);
      [...name].forEach((letter, index) => view.setUint8(at + 4 + index, letter.charCodeAt(0)));
    }
    view.setUint8(16, ordinal);
  });
  return bytes.buffer;
}

class Fake implements KeySource {
  asked: string[] = [];
  failure: { status: number } | null = null;

  async list(from: Micros, to: Micros, step: Micros): Promise<KeyList> {
    this.asked.push(`list ${from / S}-${to / S} ${step / S}`);
    if (this.failure) throw this.failure;
    const keys = [];
    for (let at = 0; at < 300 * S; at += 2 * S) {
      if (at + 2 * S > from && at < to && (at < HOLE.from || at >= HOLE.to)) keys.push(at);
    }
    const pieces = [];
    for (let n = 0; n < keys.length; n += 4) {
      const mine = keys.slice(n, n + 4).map((at) => ({ at, to: at + 2 * S }));
      pieces.push({ address: mine.map(({ at }) => at / S).join('.'), init: 'i', keys: mine });
    }
    return { from, to, step, settled: true, pieces };
  }

  async piece(address: string) {
    this.asked.push(address);
    return piece(address.split('.').map(Number));
  }

  async init() {
    return new ArrayBuffer(1);
  }
}

class FakePainter implements Painter {
  painted: number[] = [];
  shown: number | null = null;

  #prepared = 0;

  async prepare({ fragment }: KeyBytes) {
    this.#prepared = fragment[16]!;
    return true;
  }

  show() {
    this.shown = this.#prepared;
    this.painted.push(this.shown);
  }

  hide() {
    this.shown = null;
  }

  close() {}
}

function make() {
  const source = new Fake();
  const painter = new FakePainter();
  let now = 0;
  const track = new KeyTrack(source, () => now);
  const view = new KeyView(track, painter);
  const at = async (seconds: number, rate: number) => {
    now += 100;
    // The list, the piece, the picture, and what was seen of it.
    for (let step = 0; step < 4; step++) {
      view.follow(seconds * S, rate);
      await settle();
    }
  };
  return { source, painter, view, track, at, wait: (ms: number) => (now += ms) };
}

test('key frames alone are shown faster than twice, and backward', () => {
  expect([0.25, 1, 2, 4, 16, -1, -16].map(isFast)).toEqual([
    ...[false, false, false],
    ...[true, true, true, true],
  ]);
  // No more than eight pictures a second.
  for (const rate of [4, 8, 16, -1, -16]) {
    expect((Math.abs(rate) * S) / stepOf(rate)).toBeLessThanOrEqual(8);
  }
});

test('the picture of an instant is the last key frame not after it, either way', async () => {
  const { painter, view, at } = make();
  for (const [seconds, rate, shown] of [
    [10.5, 8, 10],
    [12, 8, 12],
    [13.99, 8, 12],
    [11.9, -4, 10],
    [9.99, -4, 8],
  ] as const) {
    await at(seconds, rate);
    expect(painter.shown).toBe(shown);
    expect(view.view).toEqual({ kind: 'picture', driftMs: 0, keyAt: shown * S });
    expect(view.ready(seconds * S, rate)).toBe(true);
  }
  expect(painter.painted).toEqual([10, 12, 10, 8]);
});

test('a gap is masked, and nothing from before it is shown after it', async () => {
  const { painter, view, at } = make();
  await at(99, 8);
  expect(painter.shown).toBe(98);
  await at(101, 8);
  expect(view.view).toEqual({ kind: 'gap', ...HOLE });
  expect(painter.shown).toBeNull();
  expect(view.ready(101 * S, 8)).toBe(true);
  view.follow(171 * S, 8);
  expect(view.view.kind).toBe('loading');
  expect(painter.shown).toBeNull();
  await at(171, 8);
  expect(painter.shown).toBe(170);
});

test('what was decoded too late, while a gap came, is not shown', async () => {
  const { painter, view, at } = make();
  await at(20, 8);
  let done = (_: boolean) => {};
  painter.prepare = () => new Promise((resolve) => (done = resolve));
  view.follow(60 * S, 8);
  await settle();
  view.follow(60 * S, 8);
  await settle();
  view.follow(101 * S, 8);
  view.follow(131 * S, 8);
  done(true);
  await settle();
  expect(painter.shown).toBeNull();
  expect(view.view.kind).toBe('loading');
});

test('the next one is decoded before its time, and shown at its time at once', async () => {
  const { painter, view, at } = make();
  for (const rate of [8, -4]) {
    await at(31, rate);
    expect(painter.shown).toBe(30);
    const next = rate > 0 ? 32 : 28;
    view.follow((next + 0.1) * S, rate);
    expect(painter.shown).toBe(next);
    expect(view.view).toEqual({ kind: 'picture', driftMs: 0, keyAt: next * S });
  }
});

test('what is late stays for a moment, with its own time', async () => {
  const { view, at } = make();
  await at(20, 8);
  view.follow(24 * S, 8);
  expect(view.view).toEqual({ kind: 'picture', driftMs: 0, keyAt: 20 * S });
  view.follow(200 * S, 8);
  expect(view.view.kind).toBe('loading');
  expect(view.ready(200 * S, 8)).toBe(false);
});

test('fetches what comes next in the direction of play, and each piece once', async () => {
  const { source, at } = make();
  await at(61, -4);
  const pieces = source.asked.filter((asked) => !asked.startsWith('list'));
  // The piece that is on first, then those before it, three seconds of play.
  expect(pieces.slice(0, 2)).toEqual(['56.58.60.62', '48.50.52.54']);
  expect(pieces).not.toContain('64.66.68.70');
  await at(60.5, -4);
  expect(source.asked.filter((asked) => asked === '56.58.60.62')).toHaveLength(1);
});

test('a right that has ended is said, and nothing more is asked for', async () => {
  const { source, view, at } = make();
  source.failure = { status: 403 };
  await at(10, 8);
  expect(view.view).toEqual({ kind: 'refused', status: 403 });
  const asked = source.asked.length;
  await at(20, 8);
  expect(source.asked).toHaveLength(asked);
});

test('what failed is asked for again, not at once', async () => {
  const { source, painter, at, wait } = make();
  source.failure = { status: 500 };
  await at(10, 8);
  await at(10.1, 8);
  expect(source.asked).toHaveLength(1);
  source.failure = null;
  wait(2000);
  await at(10.2, 8);
  expect(painter.shown).toBe(10);
});
