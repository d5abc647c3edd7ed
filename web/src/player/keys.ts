/**
 * The key frames of one stream, for fast and backward play: listed page by page, fetched piece by
 * piece in the direction of play. What was not listed as a picture of an instant is none.
 */

import type { Interval, KeyList, Micros } from '../api/types';
import { fragmentsOf } from './fmp4';
import { FASTEST_STREAM } from './sync';

/** A key frame: the picture of [from, to). */
export interface KeyFrame extends Interval {
  init: string;
  address: string;
  /** Its place in its piece. */
  place: number;
}

export interface KeySource {
  list(from: Micros, to: Micros, step: Micros): Promise<KeyList>;
  piece(address: string): Promise<ArrayBuffer>;
  init(id: string): Promise<ArrayBuffer>;
}

/** A key frame's bytes, a fragment of its own behind the init it needs. */
export interface KeyBytes {
  init: ArrayBuffer;
  fragment: Uint8Array<ArrayBuffer>;
}

export type KeyPlace =
  | { kind: 'key'; key: KeyFrame }
  | { kind: 'gap'; from: Micros; to: Micros }
  | { kind: 'unknown' }
  | { kind: 'refused'; status: number };

/** Backward play, and play faster than this many times, show key frames alone. */
export function isFast(rate: number): boolean {
  return rate < 0 || rate > FASTEST_STREAM;
}

/** So that no more than eight pictures a second are fetched and decoded for a tile. */
export function stepOf(rate: number): Micros {
  const speed = Math.abs(rate);
  return speed > 8 ? 2_000_000 : speed > 4 ? 1_000_000 : 500_000;
}

const KEYS_A_PAGE = 240;
/** Footage is fetched for so much of play ahead (ms). */
const AHEAD_MS = 3000;
const PIECES = 48;
const PAGES = 24;
/** What has failed, and what is still being recorded, is asked for again after so long. */
const ASK_AGAIN_MS = 2000;
const REFUSALS = [401, 403, 410];

interface Page {
  from: Micros;
  to: Micros;
  keys: KeyFrame[];
  listed: boolean;
  settled: boolean;
  asking: boolean;
  asked: number;
}

interface Piece {
  data: Uint8Array<ArrayBuffer>[] | null;
  asking: boolean;
  asked: number;
}

/** Index of the last of `keys` (in order) that begins at or before `time`, or -1. */
function lastBefore(keys: readonly KeyFrame[], time: Micros): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]!.from <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** What `keys`, all of a time, say of an instant in it. */
export function placeIn(keys: readonly KeyFrame[], time: Micros, page: Interval): KeyPlace {
  const index = lastBefore(keys, time);
  const key = keys[index];
  if (key && time < key.to) return { kind: 'key', key };
  return { kind: 'gap', from: key?.to ?? page.from, to: keys[index + 1]?.from ?? page.to };
}

export class KeyTrack {
  #pages = new Map<string, Page>();
  #pieces = new Map<string, Piece>();
  #inits = new Map<string, Promise<ArrayBuffer>>();
  #refused: number | null = null;
  #closed = false;

  constructor(
    private readonly source: KeySource,
    private readonly now: () => number = () => performance.now(),
  ) {}

  close(): void {
    this.#closed = true;
    this.#pages.clear();
    this.#pieces.clear();
    this.#inits.clear();
  }

  /** What there is at `time` when played at `rate`, as far as it is known here. */
  at(time: Micros, rate: number): KeyPlace {
    if (this.#refused !== null) return { kind: 'refused', status: this.#refused };
    const page = this.#pages.get(this.#name(time, stepOf(rate)));
    if (!page?.listed) return { kind: 'unknown' };
    const place = placeIn(page.keys, time, page);
    const grows = !page.settled && place.kind === 'gap' && place.to === page.to;
    return grows ? { kind: 'unknown' } : place;
  }

  /** The key frame that comes next at `rate`, as far as it is known here. */
  after(key: KeyFrame, rate: number): KeyFrame | null {
    const there = rate < 0 ? key.from - 1 : key.to;
    const keys = this.#pages.get(this.#name(there, stepOf(rate)))?.keys ?? [];
    const index = rate < 0 ? lastBefore(keys, key.from - 1) : lastBefore(keys, key.from) + 1;
    return keys[index] ?? null;
  }

  /** Asks for what is needed at `time`, and for what comes next at `rate`. */
  want(time: Micros, rate: number): void {
    if (this.#closed || this.#refused !== null) return;
    const step = stepOf(rate);
    const reach = time + AHEAD_MS * 1000 * rate;
    const first = this.#page(time, step);
    const next = this.#page(reach, step);
    const [from, to] = rate < 0 ? [reach, time] : [time, reach];
    const pages = first === next ? [first] : [first, next];
    const keys = pages.flatMap((page) => page.keys).filter((key) => key.from < to && key.to > from);
    if (rate < 0) keys.reverse();
    // The one that is on comes first, whatever the direction.
    keys.sort(
      (a, b) => Number(b.from <= time && time < b.to) - Number(a.from <= time && time < a.to),
    );
    for (const address of new Set(keys.map((key) => key.address))) this.#fetch(address);
  }

  /** A key frame's bytes if they are here. */
  async bytes(key: KeyFrame): Promise<KeyBytes | null> {
    const fragment = this.#pieces.get(key.address)?.data?.[key.place];
    if (!fragment) return null;
    let init = this.#inits.get(key.init);
    if (!init) {
      init = this.source.init(key.init);
      this.#inits.set(key.init, init);
    }
    try {
      return { init: await init, fragment };
    } catch (error) {
      this.#inits.delete(key.init);
      this.#failed(error);
      return null;
    }
  }

  #length(step: Micros): Micros {
    return KEYS_A_PAGE * step;
  }

  #name(time: Micros, step: Micros): string {
    return `${step}:${Math.floor(time / this.#length(step))}`;
  }

  #page(time: Micros, step: Micros): Page {
    const name = this.#name(time, step);
    const from = Math.floor(time / this.#length(step)) * this.#length(step);
    const page = this.#pages.get(name) ?? {
      from,
      to: from + this.#length(step),
      keys: [],
      listed: false,
      settled: false,
      asking: false,
      asked: -Infinity,
    };
    // Used last, forgotten last.
    this.#pages.delete(name);
    this.#pages.set(name, page);
    if (this.#pages.size > PAGES) this.#pages.delete(this.#pages.keys().next().value!);
    if (!page.settled && !page.asking && this.now() - page.asked >= ASK_AGAIN_MS) {
      void this.#list(page, step);
    }
    return page;
  }

  async #list(page: Page, step: Micros): Promise<void> {
    page.asking = true;
    page.asked = this.now();
    try {
      const list = await this.source.list(page.from, page.to, step);
      page.keys = list.pieces
        .flatMap(({ address, init, keys }) =>
          keys.map(({ at, to }, place) => ({ from: at, to, init, address, place })),
        )
        .sort((a, b) => a.from - b.from);
      page.settled = list.settled;
      page.listed = true;
    } catch (error) {
      this.#failed(error);
    } finally {
      page.asking = false;
    }
  }

  #fetch(address: string): void {
    const known = this.#pieces.get(address);
    if (known) {
      this.#pieces.delete(address);
      this.#pieces.set(address, known);
      if (known.data || known.asking || this.now() - known.asked < ASK_AGAIN_MS) return;
    }
    const piece: Piece = { data: null, asking: true, asked: this.now() };
    this.#pieces.set(address, piece);
    if (this.#pieces.size > PIECES) this.#pieces.delete(this.#pieces.keys().next().value!);
    this.source
      .piece(address)
      .then((data) => {
        piece.data = fragmentsOf(data);
      })
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        piece.asking = false;
      });
  }

  #failed(error: unknown): void {
    const status = (error as { status?: number }).status ?? 0;
    if (REFUSALS.includes(status)) this.#refused = status;
    // What was listed is not there any more: somebody else's claim, or its time had come.
    else if (status === 404) for (const page of this.#pages.values()) page.settled = false;
  }
}
