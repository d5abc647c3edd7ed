/**
 * Small pictures for the time under the cursor: fetched when first wanted, never a wrong one.
 *
 * Nothing is fetched without a wish for it, and nothing seeks the tiles. A picture stands only for
 * instants after its own, and never across a gap.
 */

import type { Interval, Micros, ThumbnailIndex } from '../api/types';

export interface Sight {
  url: string;
  at: Micros;
  width: number;
  height: number;
  /** Where on the sheet it lies. */
  x: number;
  y: number;
}

export interface ThumbnailSource {
  index(): Promise<ThumbnailIndex>;
  sheet(id: string): Promise<Blob>;
}

interface Tile {
  at: Micros;
  sheet: string;
  place: number;
}

/** Key frames may lie so far apart whatever the step is. */
const LONGEST_GOP: Micros = 12_000_000;
/** While the pictures are being made; then, to notice that a right has become narrower. */
const ASK_AGAIN_MS = 1500;
const REFRESH_MS = 30_000;

/** The last of `tiles` (in order) at or before `time` that may stand for it, or null. */
export function tileFor<T extends { at: Micros }>(
  tiles: readonly T[],
  time: Micros,
  step: Micros,
  gaps: readonly Interval[],
): T | null {
  let low = 0;
  let high = tiles.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (tiles[middle]!.at <= time) low = middle + 1;
    else high = middle;
  }
  const tile = tiles[low - 1];
  if (!tile || time - tile.at > Math.max(step * 1.5, LONGEST_GOP)) return null;
  return gaps.some((gap) => gap.from <= time && gap.to > tile.at) ? null : tile;
}

export class Thumbnails {
  #index: ThumbnailIndex | null = null;
  #tiles: Tile[] = [];
  #urls = new Map<string, string | null>();
  #asked = -Infinity;
  #asking = false;
  #closed = false;

  constructor(
    private readonly source: ThumbnailSource,
    private readonly onChange: () => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The picture for `time` if it is here; asks for what is missing. */
  at(time: Micros, gaps: readonly Interval[]): Sight | null {
    this.#ask();
    const index = this.#index;
    const tile = index && tileFor(this.#tiles, time, index.step, gaps);
    if (!index || !tile) return null;
    const url = this.#urlOf(tile.sheet);
    if (!url) return null;
    return {
      url,
      at: tile.at,
      width: index.width,
      height: index.height,
      x: (tile.place % index.columns) * index.width,
      y: Math.floor(tile.place / index.columns) * index.height,
    };
  }

  close(): void {
    this.#closed = true;
    for (const sheet of [...this.#urls.keys()]) this.#forget(sheet);
    this.#tiles = [];
  }

  #ask(): void {
    const wait = this.#index?.state === 'making' ? ASK_AGAIN_MS : REFRESH_MS;
    if (this.#asking || this.#closed || this.now() - this.#asked < wait) return;
    this.#asking = true;
    this.#asked = this.now();
    this.source
      .index()
      .then(
        (index) => this.#take(index),
        () => this.#take(null),
      )
      .finally(() => (this.#asking = false));
  }

  #take(index: ThumbnailIndex | null): void {
    if (this.#closed) return;
    // What is shown no more must not stay in a picture that was fetched before.
    const before = new Map(this.#index?.sheets.map((sheet) => [sheet.id, JSON.stringify(sheet)]));
    const after = new Map(index?.sheets.map((sheet) => [sheet.id, JSON.stringify(sheet)]));
    for (const sheet of [...this.#urls.keys()]) {
      if (after.get(sheet) !== before.get(sheet)) this.#forget(sheet);
    }
    this.#index = index;
    this.#tiles = (index?.sheets ?? [])
      .flatMap((sheet) => sheet.tiles.map((tile) => ({ ...tile, sheet: sheet.id })))
      .sort((a, b) => a.at - b.at);
    this.onChange();
  }

  #forget(sheet: string): void {
    const url = this.#urls.get(sheet);
    if (url) URL.revokeObjectURL(url);
    this.#urls.delete(sheet);
  }

  #urlOf(sheet: string): string | null {
    const known = this.#urls.get(sheet);
    if (known !== undefined) return known;
    const urls = this.#urls;
    urls.set(sheet, null);
    this.source.sheet(sheet).then(
      (blob) => {
        if (this.#closed || !urls.has(sheet)) return;
        urls.set(sheet, URL.createObjectURL(blob));
        this.onChange();
      },
      // The next look at the index tells what became of it.
      () => undefined,
    );
    return null;
  }
}
