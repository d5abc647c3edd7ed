/** The little that the player reads from fragments itself: when each frame begins. Pure. */

function boxes(
  view: DataView,
  from: number,
  to: number,
  visit: (type: string, from: number, to: number) => void,
): void {
  let at = from;
  while (at + 8 <= to) {
    const short = view.getUint32(at);
    const long = short === 1 && at + 16 <= to;
    const size = long ? Number(view.getBigUint64(at + 8)) : short === 0 ? to - at : short;
    const header = long ? 16 : 8;
    // A size that cannot be true ends the walk; what was counted so far stands.
    if (size < header || at + size > to) return;
    const type = String.fromCharCode(
      view.getUint8(at + 4),
      view.getUint8(at + 5),
      view.getUint8(at + 6),
      view.getUint8(at + 7),
    );
    visit(type, at + header, at + size);
    at += size;
  }
}

/** When the frames of a piece of media begin, in ticks after the decoding time of its first. */
export interface FrameTicks {
  /** In the order they are shown. */
  starts: number[];
  /** Where the last one ends. */
  end: number;
}

interface Defaults {
  duration: number;
}

/** What a `tfhd` says of samples that say nothing themselves (ISO 14496-12, 8.8.7). */
function defaultsOf(view: DataView, from: number): Defaults {
  const flags = view.getUint32(from) & 0xffffff;
  let at = from + 8;
  if (flags & 0x1) at += 8;
  if (flags & 0x2) at += 4;
  return { duration: flags & 0x8 ? view.getUint32(at) : 0 };
}

function baseTime(view: DataView, from: number): number {
  const long = view.getUint8(from) === 1;
  return long ? Number(view.getBigUint64(from + 4)) : view.getUint32(from + 4);
}

/** Reads a `trun` (ISO 14496-12, 8.8.8) into `frames`; gives the decoding time after it. */
function readRun(
  view: DataView,
  from: number,
  to: number,
  dts: number,
  { duration }: Defaults,
  frames: [start: number, length: number][],
): number {
  const flags = view.getUint32(from) & 0xffffff;
  const count = view.getUint32(from + 4);
  let at = from + 8 + (flags & 0x1 ? 4 : 0) + (flags & 0x4 ? 4 : 0);
  const width = [0x100, 0x200, 0x400, 0x800].filter((flag) => flags & flag).length * 4;
  if (at + count * width > to) return dts;
  for (let sample = 0; sample < count; sample++) {
    const length = flags & 0x100 ? view.getUint32(at) : duration;
    const shift = flags & 0x800 ? view.getInt32(at + width - 4) : 0;
    frames.push([dts + shift, length]);
    dts += length;
    at += width;
  }
  return dts;
}

/** The frames in all fragments (`moof`) of `bytes`, which hold one track; null if there are none. */
export function frameTicks(bytes: ArrayBuffer): FrameTicks | null {
  const view = new DataView(bytes);
  const frames: [start: number, length: number][] = [];
  let first: number | null = null;
  boxes(view, 0, view.byteLength, (type, from, to) => {
    if (type !== 'moof') return;
    boxes(view, from, to, (inner, start, end) => {
      if (inner !== 'traf') return;
      let defaults: Defaults = { duration: 0 };
      let dts = 0;
      boxes(view, start, end, (part, place, limit) => {
        if (limit - place < 8) return;
        if (part === 'tfhd' && limit - place >= 12) defaults = defaultsOf(view, place);
        if (part === 'tfdt' && limit - place >= 8 + 4 * view.getUint8(place)) {
          dts = baseTime(view, place);
          first ??= dts;
        }
        if (part === 'trun') dts = readRun(view, place, limit, dts, defaults, frames);
      });
    });
  });
  if (frames.length === 0) return null;
  frames.sort(([a], [b]) => a - b);
  const [start, length] = frames[frames.length - 1]!;
  const base = first ?? 0;
  return { starts: frames.map(([at]) => at - base), end: start + length - base };
}

/** The fragments (`moof` and `mdat`) that `bytes` consist of, each by itself. */
export function fragmentsOf(bytes: ArrayBuffer): Uint8Array<ArrayBuffer>[] {
  const found: Uint8Array<ArrayBuffer>[] = [];
  let start = 0;
  boxes(new DataView(bytes), 0, bytes.byteLength, (type, _, to) => {
    if (type !== 'mdat') return;
    found.push(new Uint8Array(bytes, start, to - start));
    start = to;
  });
  return found;
}

/** Ticks a second of the one track that an init segment describes; null if it does not say. */
export function timescale(bytes: Uint8Array): number | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let found: number | null = null;
  const inside = new Set(['moov', 'trak', 'mdia']);
  const look = (type: string, from: number, to: number): void => {
    if (inside.has(type)) boxes(view, from, to, look);
    if (type !== 'mdhd' || to - from < 24) return;
    found = view.getUint32(from + (view.getUint8(from) === 1 ? 20 : 12)) || null;
  };
  boxes(view, 0, view.byteLength, look);
  return found;
}
