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
  /** It comes after the wanted one, and is decoded before its time. */
  #next: KeyFrame | null = null;
  #prepared: KeyFrame | null = null;
  #working = false;
  /** Goes on with each gap. */
  #epoch = 0;
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
    this.#epoch++;
    this.#shown = this.#wanted = this.#next = null;
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
        this.hide();
        this.view = place;
        return;
      case 'unknown':
        this.#wanted = this.#next = null;
        this.#late(time, rate);
        return;
      case 'key':
        this.#wanted = place.key;
        this.#next = this.track.after(place.key, rate);
        if (same(place.key, this.#prepared)) this.#present();
        if (same(place.key, this.#shown)) this.#arrived(place.key);
        else if (this.#bad.has(nameOf(place.key))) this.view = { kind: 'unplayable' };
        else this.#late(time, rate);
        void this.#work();
    }
  }

  #arrived(key: KeyFrame): void {
    this.view = { kind: 'picture', driftMs: 0, keyAt: key.from };
  }

  #present(): void {
    this.painter.show();
    this.#shown = this.#prepared;
    this.#prepared = null;
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

  /** What is to be decoded: the wanted one, else the one that comes next. */
  #job(): KeyFrame | null {
    const open = (key: KeyFrame | null) =>
      key !== null &&
      !same(key, this.#shown) &&
      !same(key, this.#prepared) &&
      !this.#bad.has(nameOf(key));
    if (open(this.#wanted)) return this.#wanted;
    return same(this.#wanted, this.#shown) && open(this.#next) ? this.#next : null;
  }

  /** One at a time: what was wanted meanwhile comes after it, what lies between is left out. */
  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    try {
      for (let key = this.#job(); key !== null && !this.#closed; key = this.#job()) {
        const due = same(key, this.#wanted);
        const epoch = this.#epoch;
        const bytes = await this.track.bytes(key);
        if (!bytes) return;
        this.#prepared = null;
        if (!(await this.painter.prepare(bytes))) this.#bad.add(nameOf(key));
        else {
          this.#prepared = key;
          // Late or not: a slow machine shows what it can, but nothing from before a gap.
          if ((due && epoch === this.#epoch) || same(key, this.#wanted)) this.#present();
          if (this.#shown && same(this.#shown, this.#wanted)) this.#arrived(this.#shown);
        }
      }
    } finally {
      this.#working = false;
    }
  }
}

function nameOf(key: KeyFrame): string {
  return `${key.address}#${key.place}`;
}

function same(a: KeyFrame | null, b: KeyFrame | null): boolean {
  return a !== null && b !== null && a.from === b.from && a.init === b.init;
}
