import { describe, expect, test } from 'vitest';
import type { Interval, Micros } from '../src/api/types';
import { LIVE_MARGIN, PATIENCE_MS, Replay, type Follower } from '../src/player/replay';
import { FrameGrid } from '../src/player/sync';
import type { TileView } from '../src/player/tile';

const SECOND = 1_000_000;
const FRAME = 40_000;

/** A tile whose frames start `shift` after those of the others. */
class Fake implements Follower {
  view: TileView = { kind: 'picture', driftMs: 0 };
  grid = new FrameGrid();
  extent: Interval | null;
  isReady = true;
  at: Micros = 0;
  shown: Micros[] = [];
  closed = false;
  followed = 0;
  first = 0;

  constructor(
    to: Micros,
    private readonly shift = 0,
  ) {
    this.extent = { from: 0, to };
  }

  get frame(): number {
    return Math.floor((this.at - this.shift) / FRAME);
  }

  frameMiddle() {
    return this.view.kind === 'picture' ? this.frame * FRAME + this.shift + FRAME / 2 : null;
  }

  nextPicture(time: Micros) {
    return time < this.first ? this.first : time;
  }

  ready() {
    return this.isReady;
  }

  follow(time: Micros) {
    this.followed++;
    this.at = time;
  }

  cue(time: Micros) {
    this.at = time;
  }

  rested = 0;

  rest(time: Micros) {
    this.rested++;
    this.at = time;
  }

  look() {}

  /** While set, no frame is ever painted. */
  isStuck = false;

  async show(time: Micros, wanted: () => boolean) {
    this.at = time;
    this.shown.push(time);
    do await new Promise((resolve) => setTimeout(resolve, 0));
    while (this.isStuck && wanted());
  }

  close() {
    this.closed = true;
  }
}

function make(options: { live?: boolean; to?: Micros | null; shifts?: number[] } = {}) {
  const { live = false, to = 60 * SECOND, shifts = [0, 7000, -9000] } = options;
  const time = { now: 0 };
  const replay = new Replay({ from: 0, to: live ? null : to, live }, 10 * SECOND, () => time.now);
  const tiles = shifts.map((shift) => new Fake(60 * SECOND, shift));
  tiles.forEach((tile, index) => replay.add(String(index), tile));
  const run = (ms: number) => {
    for (let i = 0; i < ms / 100; i++) {
      time.now += 100;
      replay.step();
    }
  };
  return { replay, tiles, run, time };
}

describe('playing', () => {
  test('starts when the tiles are ready, and tells them the time', () => {
    const { replay, tiles, run } = make();
    replay.play();
    expect(replay.waiting).toBe(true);
    run(1100);
    expect(replay.waiting).toBe(false);
    expect(tiles.every((tile) => tile.at === 11 * SECOND)).toBe(true);
  });

  test('waits for a slow tile, but not for ever', () => {
    const { replay, tiles, run } = make();
    tiles[1]!.isReady = false;
    replay.play();
    run(PATIENCE_MS - 200);
    expect(replay.clock.time()).toBe(10 * SECOND);
    run(1200);
    expect(replay.clock.time()).toBeGreaterThan(10 * SECOND);
    expect(tiles[0]!.followed).toBeGreaterThan(0);
  });

  test('stops at the end of the record', async () => {
    const { replay, run } = make();
    replay.seek(59.5 * SECOND);
    replay.play();
    run(1500);
    expect(replay.playing).toBe(false);
    await Promise.resolve();
    expect(replay.clock.time()).toBeLessThan(60 * SECOND);
  });

  test('shows the last pictures at the end, not what comes after them', async () => {
    const { replay, tiles, run } = make();
    tiles[0]!.extent = { from: 0, to: 59.8 * SECOND };
    // This one broke off much earlier, and says so.
    tiles[1]!.extent = { from: 0, to: 30 * SECOND };
    replay.seek(59.5 * SECOND);
    replay.play();
    run(1500);
    await Promise.resolve();
    expect(replay.playing).toBe(false);
    expect(replay.clock.time()).toBe(59.8 * SECOND - 1000);
  });

  test('waits behind the end of a growing record and goes on as it grows', () => {
    const { replay, tiles, run } = make({ live: true });
    replay.seek(100 * SECOND);
    expect(replay.clock.time()).toBe(60 * SECOND - LIVE_MARGIN);
    replay.play();
    run(1000);
    expect(replay.waiting).toBe(true);
    for (const tile of tiles) tile.extent = { from: 0, to: 66 * SECOND };
    run(1000);
    expect(replay.waiting).toBe(false);
    expect(replay.clock.time()).toBeGreaterThan(60 * SECOND - LIVE_MARGIN);
  });

  test('repeats a selection', () => {
    const { replay, run } = make();
    replay.loop = { from: 10 * SECOND, to: 11 * SECOND };
    replay.play();
    run(1300);
    expect(replay.clock.time()).toBeLessThan(11 * SECOND);
    expect(replay.playing).toBe(true);
  });
});

describe('standing', () => {
  test('a pause puts every tile on the frame of the focused one', async () => {
    const { replay, tiles, run, time } = make();
    replay.play();
    run(1000);
    time.now += 33;
    tiles.forEach((tile) => tile.follow(replay.clock.time()));
    replay.focus = '1';
    const frame = tiles[1]!.frame;
    await replay.pause();
    expect(tiles.map((tile) => tile.frame)).toEqual([frame, frame, frame]);
    expect((replay.clock.time() - 7000) % FRAME).toBe(FRAME / 2);
  });

  test('a seek to the edge of a frame moves to its middle', async () => {
    const { replay, tiles } = make();
    await replay.settle(20 * SECOND + 1000);
    expect(replay.clock.time()).toBe(20 * SECOND + FRAME / 2);
    expect(new Set(tiles.map((tile) => tile.frame)).size).toBe(1);
  });

  test('steps go one frame each, on all tiles', async () => {
    const { replay, tiles } = make();
    await replay.settle(20 * SECOND);
    const frame = tiles[0]!.frame;
    for (let i = 1; i <= 5; i++) {
      await replay.stepFrames(1);
      expect(tiles.map((tile) => tile.frame)).toEqual([frame + i, frame + i, frame + i]);
    }
    await replay.stepFrames(-1);
    expect(tiles[2]!.frame).toBe(frame + 4);
  });

  test('while one target is being shown only the newest of later ones is kept', async () => {
    const { replay, tiles } = make({ shifts: [0] });
    replay.seek(20 * SECOND);
    replay.seek(21 * SECOND);
    replay.seek(22 * SECOND);
    await replay.settle(23 * SECOND + FRAME / 2);
    expect(tiles[0]!.shown.map((at) => Math.floor(at / SECOND))).toEqual([20, 23]);
  });

  test('a focused tile without picture leaves the frame to another', async () => {
    const { replay, tiles } = make();
    replay.focus = '0';
    tiles[0]!.view = { kind: 'gap', from: 0, to: 60 * SECOND };
    await replay.settle(20 * SECOND);
    expect((replay.clock.time() - 7000) % FRAME).toBe(FRAME / 2);
  });

  test('never leaves the record', () => {
    const { replay } = make();
    replay.seek(-5 * SECOND);
    expect(replay.clock.time()).toBe(0);
    replay.seek(500 * SECOND);
    expect(replay.clock.time()).toBeLessThanOrEqual(60 * SECOND);
  });
});

describe('a tile that never gets its picture', () => {
  test('keeps the replay from saying that it stands, until another instant is wanted', async () => {
    const { replay, tiles } = make();
    tiles[1]!.isStuck = true;
    const first = replay.settle(20 * SECOND);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(replay.busy).toBe(true);
    tiles[1]!.isStuck = false;
    tiles[0]!.isStuck = true;
    void replay.settle(30 * SECOND);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(tiles.every((tile) => tile.at === 30 * SECOND)).toBe(true);
    replay.play();
    await first;
    expect(tiles.every((tile) => tile.at === 30 * SECOND)).toBe(true);
  });
});

describe('the first sight', () => {
  test('is where the cameras that begin together have their first picture', () => {
    const { replay, tiles, run } = make();
    tiles[0]!.first = 12 * SECOND;
    tiles[1]!.first = 12.6 * SECOND;
    tiles[2]!.first = 40 * SECOND;
    replay.findPicture();
    run(100);
    expect(replay.clock.time()).toBe(12_620_000);
  });

  test('waits for the playlists, and gives way to whoever seeks', () => {
    const { replay, tiles, run } = make();
    for (const tile of tiles) {
      tile.first = 12 * SECOND;
      tile.extent = null;
    }
    replay.findPicture();
    run(500);
    expect(replay.clock.time()).toBe(10 * SECOND);
    replay.seek(11 * SECOND);
    for (const tile of tiles) tile.extent = { from: 0, to: 60 * SECOND };
    run(500);
    expect(replay.clock.time()).toBeLessThan(11.1 * SECOND);
  });
});

describe('fast and backward', () => {
  test('goes back, and stops where the viewing begins', () => {
    const { replay, tiles, run } = make();
    replay.setRate(-8);
    replay.play();
    run(600);
    expect(replay.clock.time()).toBe(10 * SECOND - 8 * 500_000);
    expect(tiles[0]!.at).toBe(replay.clock.time());
    run(1000);
    expect(replay.playing).toBe(false);
    expect(replay.clock.time()).toBe(0);
    // From there it cannot go back: it plays.
    replay.play();
    expect(replay.rate).toBe(1);
  });

  test('waits for the tiles between the stream and key frames, not between speeds', () => {
    const { replay, tiles, run } = make();
    replay.play();
    run(500);
    tiles[0]!.isReady = false;
    const at = replay.clock.time();
    replay.setRate(8);
    run(500);
    expect(replay.waiting).toBe(true);
    expect(replay.clock.time()).toBe(at);
    tiles[0]!.isReady = true;
    run(200);
    replay.setRate(16);
    expect(replay.waiting).toBe(false);
    expect(replay.clock.time()).toBeGreaterThan(at);
  });

  test('a selection is played backward again and again', () => {
    const { replay, run } = make();
    replay.loop = { from: 9 * SECOND, to: 12 * SECOND };
    replay.setRate(-4);
    replay.play();
    run(600);
    expect(replay.clock.time()).toBeGreaterThan(9 * SECOND);
    expect(replay.clock.time()).toBeLessThanOrEqual(12 * SECOND);
    expect(replay.playing).toBe(true);
  });

  test('goes on as fast as is recorded where it has caught up', () => {
    const { replay, tiles, run } = make({ live: true });
    replay.seek(55 * SECOND);
    replay.setRate(16);
    replay.play();
    run(1000);
    expect(replay.rate).toBe(1);
    for (const tile of tiles) tile.extent = { from: 0, to: 65 * SECOND };
    run(600);
    expect(replay.clock.time()).toBeLessThan(60 * SECOND);
    expect(replay.clock.time()).toBeGreaterThan(58 * SECOND);
  });

  test('stopping shows the frame of the clock’s instant', async () => {
    const { replay, tiles, run } = make({ shifts: [0] });
    replay.setRate(8);
    replay.play();
    run(600);
    const at = replay.clock.time();
    tiles[0]!.view = { kind: 'loading' };
    await replay.pause();
    expect(tiles[0]!.shown).toEqual([at]);
  });
});

describe('sound', () => {
  test('is silent above twice the speed', () => {
    const { replay, run } = make();
    const sound = new Fake(60 * SECOND);
    replay.listen(sound);
    replay.play();
    run(500);
    const before = sound.followed;
    expect(before).toBeGreaterThan(0);
    replay.setRate(4);
    run(500);
    expect(sound.followed).toBe(before);
  });

  test('is silent backward as well', () => {
    const { replay, run } = make();
    const sound = new Fake(60 * SECOND);
    replay.listen(sound);
    replay.setRate(-1);
    replay.play();
    run(500);
    expect(sound.followed).toBe(0);
    expect(sound.rested).toBeGreaterThan(0);
  });

  test('is one at a time', () => {
    const { replay } = make();
    const first = new Fake(60 * SECOND);
    replay.listen(first);
    replay.listen(new Fake(60 * SECOND));
    expect(first.closed).toBe(true);
  });
});

test('closing closes every tile', () => {
  const { replay, tiles } = make();
  replay.close();
  expect(tiles.every((tile) => tile.closed)).toBe(true);
});
