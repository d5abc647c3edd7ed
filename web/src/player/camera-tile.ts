/**
 * What one camera shows: the stream in front, another that is to take its place once it has a
 * picture, and over both the key frames of fast and backward play.
 */

import type { Interval, Micros } from '../api/types';
import { isFast } from './keys';
import type { KeyView } from './keyview';
import type { Follower } from './replay';
import { DRIFT_BADGE_MS, FrameGrid } from './sync';
import type { TileView } from './tile';

/** A stream of the camera on a media element; `Tile` is the real one. */
export interface Layer extends Follower {
  open(): void;
}

interface Held {
  id: string;
  layer: Layer;
}

export class CameraTile implements Follower {
  /** Called when another stream has come to the front. */
  onFront: (id: string) => void = () => {};

  #front: Held | null = null;
  #back: (Held & { opened: boolean; showing: Micros | null }) | null = null;
  #keys: KeyView | null = null;
  /** Key frames are what is seen. */
  #fast = false;
  readonly #noGrid = new FrameGrid();

  /** Adds a stream. The first is in front; one after it takes its place with its first picture. */
  join(id: string, layer: Layer): void {
    if (this.#front === null) {
      this.#front = { id, layer };
      layer.open();
    } else {
      this.#back?.layer.close();
      this.#back = { id, layer, opened: false, showing: null };
    }
  }

  /** Takes a stream away; gives whether any is left. */
  leave(layer: Layer): boolean {
    if (this.#back?.layer === layer) this.#back = null;
    if (this.#front?.layer === layer) {
      this.#front = this.#back;
      if (this.#back && !this.#back.opened) this.#back.layer.open();
      this.#back = null;
    }
    layer.close();
    return this.#front !== null;
  }

  /** What shows key frames; null where there are none. */
  showKeys(keys: KeyView | null): void {
    this.#keys?.close();
    this.#keys = keys;
    this.#fast = false;
  }

  get view(): TileView {
    if (this.#fast && this.#keys) return this.#keyed(this.#keys.view);
    return this.#front?.layer.view ?? { kind: 'loading' };
  }

  /** The stream knows how far a hole reaches, and what is before and after the footage. */
  #keyed(view: TileView): TileView {
    const stream = this.#front?.layer.view;
    const hole = stream && ['gap', 'before', 'after'].includes(stream.kind);
    return view.kind === 'gap' && hole ? stream : view;
  }

  get grid(): FrameGrid {
    return this.#front?.layer.grid ?? this.#noGrid;
  }

  get extent(): Interval | null {
    return this.#front?.layer.extent ?? null;
  }

  /** None in fast play: the clock's instant is then where a viewer is. */
  frameMiddle(): Micros | null {
    return this.#fast ? null : (this.#front?.layer.frameMiddle() ?? null);
  }

  nextPicture(time: Micros): Micros | null {
    return this.#front?.layer.nextPicture(time) ?? null;
  }

  ready(time: Micros, rate: number): boolean {
    if (isFast(rate)) return this.#keys?.ready(time, rate) ?? true;
    return this.#front?.layer.ready(time, rate) ?? true;
  }

  follow(time: Micros, rate: number): void {
    if (isFast(rate)) {
      this.#fast = true;
      this.#follow(time, rate);
      return;
    }
    this.#slow();
    this.#front?.layer.follow(time, rate);
    if (this.#opened()) {
      this.#back!.showing = null;
      this.#back!.layer.follow(time, rate);
      this.#change();
    }
  }

  cue(time: Micros, rate: number): void {
    if (isFast(rate)) {
      this.#follow(time, rate);
      // Until its first key frame is there, the frame that was on stays.
      if (this.#keys?.ready(time, rate)) this.#fast = true;
      return;
    }
    this.#front?.layer.cue(time, rate);
    if (this.#front?.layer.ready(time, rate)) this.#slow();
    if (this.#opened()) {
      this.#back!.showing = null;
      this.#back!.layer.cue(time, rate);
      if (this.#back!.layer.ready(time, rate)) this.#change();
    }
  }

  rest(time: Micros): void {
    this.#front?.layer.rest(time);
    this.#back?.layer.rest(time);
  }

  look(time: Micros): void {
    this.#front?.layer.look(time);
    if (this.#opened()) void this.#bring(time);
  }

  async show(time: Micros, wanted: () => boolean): Promise<void> {
    await this.#front?.layer.show(time, wanted);
    if (wanted()) this.#slow();
  }

  close(): void {
    this.#front?.layer.close();
    this.#back?.layer.close();
    this.showKeys(null);
    this.#front = this.#back = null;
  }

  #follow(time: Micros, rate: number): void {
    this.rest(time);
    this.#keys?.follow(time, rate);
  }

  #slow(): void {
    if (this.#fast) this.#keys?.hide();
    this.#fast = false;
  }

  /** The stream behind loads once that in front has begun, so that the first picture comes soon. */
  #opened(): boolean {
    const back = this.#back;
    if (!back) return false;
    if (!back.opened && this.#front?.layer.view.kind !== 'loading') {
      back.opened = true;
      back.layer.open();
    }
    return back.opened;
  }

  /** While the clock stands: shows the same instant behind, and brings it to the front then. */
  async #bring(time: Micros): Promise<void> {
    const back = this.#back!;
    if (back.showing === time) return;
    // Before its playlist is there it cannot say whether it has that instant.
    if (back.layer.extent === null) return;
    back.showing = time;
    await back.layer.show(time, () => this.#back === back && back.showing === time);
    if (this.#back === back && back.showing === time) this.#change();
  }

  #change(): void {
    const { id, layer } = this.#back!;
    const front = this.#front?.layer.view.kind;
    const has = layer.view.kind === 'picture' && Math.abs(layer.view.driftMs) < DRIFT_BADGE_MS;
    // Where neither has a picture, why there is none is told of the stream that was asked for.
    const tells = front !== 'picture' && ['gap', 'before', 'after'].includes(layer.view.kind);
    if (!has && !tells) return;
    const before = this.#front;
    this.#front = { id, layer };
    this.#back = null;
    this.onFront(id);
    before?.layer.close();
  }
}
