import { expect, test } from 'vitest';
import type { Interval, Micros } from '../src/api/types';
import { CameraTile, type Layer } from '../src/player/camera-tile';
import { FrameGrid } from '../src/player/sync';
import type { TileView } from '../src/player/tile';

const S = 1_000_000;
const always = () => true;
const settle = () => new Promise((done) => setTimeout(done));

class Fake implements Layer {
  view: TileView = { kind: 'loading' };
  grid = new FrameGrid();
  extent: Interval | null = { from: 0, to: 60 * S };
  opened = 0;
  closed = 0;
  rested = 0;
  isReady = false;
  at: Micros | null = null;

  open() {
    this.opened++;
  }

  close() {
    this.closed++;
  }

  frameMiddle() {
    return this.at;
  }

  nextPicture(time: Micros) {
    return time;
  }

  ready() {
    return this.isReady;
  }

  follow(time: Micros) {
    this.at = time;
  }

  cue(time: Micros) {
    this.at = time;
  }

  rest() {
    this.rested++;
  }

  look() {}

  async show(time: Micros) {
    this.at = time;
  }

  play() {
    this.view = { kind: 'picture', driftMs: 0 };
    this.isReady = true;
  }
}

function make() {
  const tile = new CameraTile();
  const [sub, main] = [new Fake(), new Fake()];
  const fronts: string[] = [];
  tile.onFront = (id) => fronts.push(id);
  tile.join('sub', sub);
  tile.join('main', main);
  return { tile, sub, main, fronts };
}

test('the main stream loads once the sub-stream has a picture, and then takes its place', () => {
  const { tile, sub, main, fronts } = make();
  expect([sub.opened, main.opened]).toEqual([1, 0]);
  tile.follow(S, 1);
  expect(main.opened).toBe(0);
  sub.play();
  tile.follow(2 * S, 1);
  expect(main.opened).toBe(1);
  expect(fronts).toEqual([]);
  main.view = { kind: 'picture', driftMs: 500 };
  tile.follow(3 * S, 1);
  expect(fronts).toEqual([]);
  main.play();
  tile.follow(4 * S, 1);
  expect(fronts).toEqual(['main']);
  expect(sub.closed).toBe(1);
  tile.follow(5 * S, 1);
  expect([sub.at, main.at]).toEqual([4 * S, 5 * S]);
});

test('standing still, it takes its place on the same instant', async () => {
  const { tile, sub, main, fronts } = make();
  await tile.show(7 * S, always);
  sub.play();
  tile.look(7 * S);
  main.play();
  await settle();
  expect(main.at).toBe(7 * S);
  expect(fronts).toEqual(['main']);
});

test('a main stream that may not be had, or has none then, leaves the sub-stream', async () => {
  for (const kind of ['refused', 'gap'] as const) {
    const { tile, sub, main, fronts } = make();
    sub.play();
    main.view = kind === 'gap' ? { kind, from: 0, to: S } : { kind, status: 403 };
    tile.follow(S, 1);
    tile.look(S);
    await settle();
    expect(fronts).toEqual([]);
    expect(tile.view.kind).toBe('picture');
  }
});

test('a stream that goes is closed, and the last one leaves nothing', () => {
  const { tile, sub, main } = make();
  expect(tile.leave(sub)).toBe(true);
  expect([sub.closed, main.opened]).toEqual([1, 1]);
  expect(tile.leave(main)).toBe(false);
  expect(tile.view.kind).toBe('loading');
});
