/** What a tile shows in fast and backward play: the key frame of the clock's instant, or why none. */

import type { Micros } from '../api/types';
import type { KeyFrame, KeyTrack } from './keys';
import type { Painter } from './stills';
import { UNTRUE_MS } from './sync';
import type { TileView } from './tile';

export class KeyView {
  view: TileView = { kind: 'loading' };

  #shown: KeyFrame | null = null;
  #wanted: KeyFrame | null = null;
  #painting = false;
  #closed = false;
  /** Cannot be decoded; a browser that plays the codec decodes each of them. */
  #bad = new Set<string>();

  constructor(
    private readonly track: KeyTrack,
    private readonly painter: Painter,
  ) {}

  close(): void {
    this.#closed = true;
    this.track.close();
    this.painter.close();
  }

  /** Takes the picture away. What was shown is shown again only once it is painted anew. */
  hide(): void {
    this.#shown = this.#wanted = null;
    this.painter.hide();
    this.view = { kind: 'loading' };
  }

  /** Whether the tile shows what there is to show at `time`. */
  ready(time: Micros, rate: number): boolean {
    const place = this.track.at(time, rate);
    if (place.kind === 'key') {
      return same(place.key, this.#shown) || this.#bad.has(nameOf(place.key));
    }
    return place.kind !== 'unknown';
  }

  /** One step of the controller: shows, or fetches, what belongs to `time`. */
  follow(time: Micros, rate: number): void {
    this.track.want(time, rate);
    const place = this.track.at(time, rate);
    switch (place.kind) {
      case 'refused':
      case 'gap':
        // A picture from before a gap is never shown after it.
        if (this.#shown) this.hide();
        this.#wanted = null;
        this.view = place;
        return;
      case 'unknown':
        this.#wanted = null;
        this.#late(time, rate);
        return;
      case 'key':
        this.#wanted = place.key;
        if (same(place.key, this.#shown)) this.#arrived(place.key);
        else if (this.#bad.has(nameOf(place.key))) this.view = { kind: 'unplayable' };
        else {
          this.#late(time, rate);
          void this.#paint();
        }
    }
  }

  #arrived(key: KeyFrame): void {
    this.view = { kind: 'picture', driftMs: 0, keyAt: key.from };
  }

  /** The last picture stays for a moment, with its own time on it. */
  #late(time: Micros, rate: number): void {
    const shown = this.#shown;
    const off = shown ? Math.max(shown.from - time, time - shown.to) / Math.abs(rate) : Infinity;
    this.view =
      shown === null || off > UNTRUE_MS * 1000
        ? { kind: 'loading' }
        : { kind: 'picture', driftMs: 0, keyAt: shown.from };
  }

  /** One at a time: what was wanted meanwhile comes next, what lies between is left out. */
  async #paint(): Promise<void> {
    if (this.#painting) return;
    this.#painting = true;
    try {
      while (!this.#closed && this.#wanted && !same(this.#wanted, this.#shown)) {
        const key: KeyFrame = this.#wanted;
        if (this.#bad.has(nameOf(key))) return;
        const bytes = await this.track.bytes(key);
        if (!bytes) return;
        const painted = await this.painter.paint(bytes);
        if (!painted) this.#bad.add(nameOf(key));
        else if (this.#wanted) {
          this.#shown = key;
          if (same(key, this.#wanted)) this.#arrived(key);
        } else {
          this.#shown = null;
          this.painter.hide();
        }
      }
    } finally {
      this.#painting = false;
    }
  }
}

function nameOf(key: KeyFrame): string {
  return `${key.address}#${key.place}`;
}

function same(a: KeyFrame | null, b: KeyFrame | null): boolean {
  return a !== null && b !== null && a.from === b.from && a.init === b.init;
}
