/** Holds all tiles of a replay in step with one clock, and the one audible track with them. */

import type { Interval, Micros } from '../api/types';
import { Clock } from './clock';
import { isFast } from './keys';
import { PERIOD_MS } from './sync';
import type { FrameGrid } from './sync';
import type { TileView } from './tile';

/** What the controller needs of a tile; `Tile` is the real one. */
export interface Follower {
  readonly view: TileView;
  readonly grid: FrameGrid;
  readonly extent: Interval | null;
  frameMiddle(): Micros | null;
  nextPicture(time: Micros): Micros | null;
  ready(time: Micros, rate: number): boolean;
  follow(time: Micros, rate: number): void;
  cue(time: Micros, rate: number): void;
  /** Stands still and silent while others show key frames. */
  rest(time: Micros): void;
  look(time: Micros): void;
  show(time: Micros, wanted: () => boolean): Promise<void>;
  close(): void;
}

export interface Bounds {
  from: Micros;
  /** Null while the end is not known: what the playlists reach is the end. */
  to: Micros | null;
  live: boolean;
}

/** Behind the end of a growing record, so that the next fragments are there when needed. */
export const LIVE_MARGIN: Micros = 2_000_000;
/** How long the clock waits for slow tiles before it goes on without them. */
export const PATIENCE_MS = 3000;
/** Cameras that begin so soon after the first one are in the first sight. */
const FIRST_SIGHT: Micros = 2_000_000;
/** Cameras that end so soon before the record does are in the last one. */
const LAST_SIGHT: Micros = 1_000_000;

export class Replay {
  readonly clock: Clock;
  readonly tiles = new Map<string, Follower>();
  focus: string | null = null;
  loop: Interval | null = null;
  /** Called after every step of the controller. */
  onStep: () => void = () => {};

  #sound: Follower | null = null;
  #playing = false;
  #heldSince: number | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;
  #settling: Promise<void> | null = null;
  #next: Micros | null = null;
  #looking: number | null = null;

  constructor(
    public bounds: Bounds,
    start: Micros,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.clock = new Clock(start, now);
  }

  get playing(): boolean {
    return this.#playing;
  }

  /** The clock waits: tiles are loading, or the record has not grown that far. */
  get waiting(): boolean {
    return this.#playing && this.#heldSince !== null;
  }

  /** Not every tile shows yet what it is to show. */
  get busy(): boolean {
    return this.#settling !== null || this.waiting || this.#looking !== null;
  }

  get rate(): number {
    return this.clock.rate;
  }

  /** The last instant that may be shown. */
  get end(): Micros {
    let reach = -Infinity;
    for (const tile of this.tiles.values()) reach = Math.max(reach, tile.extent?.to ?? -Infinity);
    const { from, to, live } = this.bounds;
    if (live) return Math.max(from, (reach === -Infinity ? (to ?? from) : reach) - LIVE_MARGIN);
    return to ?? (reach === -Infinity ? from : reach);
  }

  start(): void {
    this.#timer ??= setInterval(() => this.step(), PERIOD_MS);
  }

  /**
   * Moves on to where there is something to see, as soon as the playlists tell. The first sight
   * then shows all cameras that begin within two seconds of the first one.
   */
  findPicture(): void {
    this.#looking = this.now();
  }

  #lookForPicture(): void {
    const tiles = [...this.tiles.values()];
    const told = tiles.filter((tile) => tile.extent !== null);
    const patient = this.now() - this.#looking! < PATIENCE_MS;
    if (told.length === 0 || (told.length < tiles.length && patient)) return;
    this.#looking = null;
    const time = this.clock.time();
    const firsts = told.map((tile) => tile.nextPicture(time)).filter((at) => at !== null);
    if (firsts.length === 0) return;
    const first = Math.min(...firsts);
    const target = Math.max(...firsts.filter((at) => at <= first + FIRST_SIGHT));
    if (target > time) void this.settle(target + 20_000);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const tile of this.tiles.values()) tile.close();
    this.tiles.clear();
    this.listen(null);
  }

  add(id: string, tile: Follower): void {
    this.tiles.set(id, tile);
    this.focus ??= id;
  }

  remove(id: string): void {
    this.tiles.get(id)?.close();
    this.tiles.delete(id);
    if (this.focus === id) this.focus = this.tiles.keys().next().value ?? null;
  }

  /** Makes `sound` the one audible track; null for silence. */
  listen(sound: Follower | null): void {
    this.#sound?.close();
    this.#sound = sound;
    sound?.cue(this.clock.time(), 1);
  }

  play(): void {
    if (this.#playing) return;
    this.#looking = null;
    const time = this.clock.time();
    if (this.rate < 0 && time <= this.bounds.from) this.clock.setRate(1);
    if (this.rate > 0 && time >= this.end && !this.bounds.live) this.clock.seek(this.bounds.from);
    this.#playing = true;
    this.#hold();
  }

  /** Stops with all tiles on the frame that the focused camera shows. */
  async pause(): Promise<void> {
    if (!this.#playing) return;
    this.#stop();
    await this.settle(this.#focused()?.frameMiddle() ?? this.clock.time());
  }

  toggle(): void {
    if (this.#playing) void this.pause();
    else this.play();
  }

  seek(time: Micros): void {
    const target = Math.max(this.bounds.from, Math.min(time, this.end));
    this.#looking = null;
    if (this.#playing) {
      this.clock.pause();
      this.clock.seek(target);
      this.#hold();
    } else void this.settle(target);
  }

  /** Goes `frames` frames of the focused camera on (or back) and stands there. */
  async stepFrames(frames: number): Promise<void> {
    if (this.#playing) await this.pause();
    const frame = (this.#focused()?.grid.seconds ?? 0.04) * 1e6;
    const from = this.#next ?? this.clock.time();
    const target = Math.max(this.bounds.from, Math.min(from + frames * frame, this.end));
    await this.settle(target);
  }

  /** Negative is backward. Between the stream and key frames the clock waits for the tiles. */
  setRate(rate: number): void {
    const switches = isFast(rate) !== isFast(this.rate);
    this.clock.setRate(rate);
    if (!this.#playing || !switches) return;
    this.clock.pause();
    this.#hold();
  }

  /**
   * Shows `time` on every tile, then moves to the middle of the focused camera's frame if `time`
   * lay near its edge: only from the middle do genlocked cameras all show that frame number.
   * While one target is being shown only the newest of later ones is kept.
   */
  settle(time: Micros): Promise<void> {
    this.clock.seek(time);
    this.#next = Math.round(time);
    this.#settling ??= this.#settleAll().finally(() => {
      this.#settling = null;
      this.onStep();
    });
    return this.#settling;
  }

  async #settleAll(): Promise<void> {
    while (this.#next !== null) {
      const target = this.#next;
      await this.#showAll(target, () => this.#next === target && !this.#playing);
      if (this.#next !== target) continue;
      this.#next = null;
      if (this.#playing) return;
      const middle = this.#focused()?.frameMiddle() ?? null;
      const frame = (this.#focused()?.grid.seconds ?? 0.04) * 1e6;
      if (middle === null || Math.abs(middle - target) > frame) continue;
      if (Math.abs(middle - target) < frame * 0.25) continue;
      this.clock.seek(middle);
      await this.#showAll(middle, () => this.#next === null && !this.#playing);
    }
  }

  async #showAll(time: Micros, wanted: () => boolean): Promise<void> {
    this.#sound?.cue(time, 1);
    await Promise.all([...this.tiles.values()].map((tile) => tile.show(time, wanted)));
    this.onStep();
  }

  /** One step of the controller; the timer calls it, and tests do. */
  step(): void {
    const time = this.clock.time();
    if (!this.#playing) {
      for (const tile of this.tiles.values()) tile.look(time);
      if (this.#looking !== null) this.#lookForPicture();
    } else if (this.#heldSince !== null) this.#waitFor(time);
    else this.#run(time);
    this.onStep();
  }

  #run(time: Micros): void {
    const { rate } = this;
    if (this.loop && (rate < 0 ? time <= this.loop.from : time >= this.loop.to)) {
      this.seek(rate < 0 ? this.loop.to : this.loop.from);
    } else if (rate < 0 && time <= this.bounds.from) {
      this.#stop();
      void this.settle(this.bounds.from);
    } else if (rate > 0 && time >= this.end) this.#atEnd();
    else {
      for (const tile of this.tiles.values()) tile.follow(time, rate);
      if (isFast(rate)) this.#sound?.rest(time);
      else this.#sound?.follow(time, rate);
    }
  }

  #atEnd(): void {
    if (this.bounds.live) {
      // What is recorded now comes no faster.
      if (isFast(this.rate)) this.clock.setRate(1);
      this.clock.pause();
      this.clock.seek(this.end);
      this.#heldSince = this.now();
    } else {
      this.#stop();
      void this.settle(this.#lastSight() - 1000);
    }
  }

  /** Where cameras end within a second of the record's end, their last pictures are its last sight. */
  #lastSight(): Micros {
    const ends = [...this.tiles.values()].map((tile) => tile.extent?.to ?? -Infinity);
    return Math.min(this.end, ...ends.filter((to) => to > this.end - LAST_SIGHT));
  }

  /** The clock stands until the tiles are ready, but not for ever: one must not stop the rest. */
  #waitFor(time: Micros): void {
    const { rate } = this;
    for (const tile of this.tiles.values()) tile.cue(time, rate);
    const ready = [...this.tiles.values()].every((tile) => tile.ready(time, rate));
    const known = [...this.tiles.values()].some((tile) => tile.extent !== null);
    const patient = this.now() - this.#heldSince! < PATIENCE_MS;
    if (this.bounds.live && rate > 0 && time > this.end - LIVE_MARGIN / 4) return;
    if (ready || (known && !patient)) {
      this.#heldSince = null;
      this.clock.play();
    }
  }

  #hold(): void {
    const time = this.clock.time();
    this.#next = null;
    this.#heldSince = this.now();
    for (const tile of this.tiles.values()) tile.cue(time, this.rate);
    if (isFast(this.rate)) this.#sound?.rest(time);
    else this.#sound?.cue(time, 1);
  }

  #stop(): void {
    this.#playing = false;
    this.#heldSince = null;
    this.clock.pause();
    this.#sound?.cue(this.clock.time(), 1);
  }

  #focused(): Follower | null {
    const focused = this.focus === null ? undefined : this.tiles.get(this.focus);
    if (focused?.view.kind === 'picture') return focused;
    for (const tile of this.tiles.values()) if (tile.view.kind === 'picture') return tile;
    return null;
  }
}
