/** Which camera is on which tile of the wall. Pure; the address of the page carries it. */

import type { Room, RoomCamera, Stream } from '../api/types';

export const SIZES = [1, 2, 4, 6, 9, 16] as const;
export type Size = (typeof SIZES)[number];

export interface Placed {
  room: Room;
  camera: RoomCamera;
}

export function sizeFor(count: number): Size {
  return SIZES.find((size) => size >= count) ?? 16;
}

export function allCameras(rooms: readonly Room[]): Placed[] {
  return rooms.flatMap((room) => room.cameras.map((camera) => ({ room, camera })));
}

/** Slots from the address: `n` tiles, camera ids by place, empty ones as nothing between commas. */
export function parse(query: URLSearchParams): { size: Size; slots: (string | null)[] } | null {
  const size = SIZES.find((one) => one === Number(query.get('n')));
  if (!size) return null;
  const ids = (query.get('cams') ?? '').split(',');
  return { size, slots: Array.from({ length: size }, (_, index) => ids[index] || null) };
}

export function write(size: Size, slots: readonly (string | null)[]): { n: string; cams: string } {
  const cams = slots
    .slice(0, size)
    .map((id) => id ?? '')
    .join(',')
    .replace(/,+$/, '');
  return { n: String(size), cams };
}

/** Slots for another size: cameras keep their order, those beyond the end fall off. */
export function resize(slots: readonly (string | null)[], size: Size): (string | null)[] {
  const kept = slots.filter((id) => id !== null);
  const from = kept.length <= size && slots.length <= size ? slots : kept;
  return Array.from({ length: size }, (_, index) => from[index] ?? null);
}

/** Slots with `id` shown: on the first empty tile, else on the last. */
export function place(slots: readonly (string | null)[], id: string): (string | null)[] {
  if (slots.includes(id)) return [...slots];
  const empty = slots.indexOf(null);
  const at = empty >= 0 ? empty : slots.length - 1;
  return slots.map((old, index) => (index === at ? id : old));
}

/** The stream to pull: main when large, else the sub-stream; one that plays before one that cannot. */
export function streamFor(
  camera: RoomCamera,
  large: boolean,
  canPlay: (mime: string) => boolean,
): Stream | null {
  const wanted = large ? 'main' : 'sub';
  const rank = (stream: Stream) => {
    const codec = stream.codecs?.picture;
    const plays = !codec || canPlay(`video/mp4; codecs="${codec}"`);
    return (plays ? 0 : 2) + (stream.role === wanted ? 0 : 1);
  };
  return (
    camera.streams
      // A stream that has never been connected may well have a picture.
      .filter((stream) => stream.tracks.length === 0 || stream.tracks.includes('picture'))
      .sort((a, b) => rank(a) - rank(b))[0] ?? null
  );
}

export function soundStream(camera: RoomCamera): Stream | null {
  return camera.streams.find((stream) => stream.tracks.includes('sound')) ?? null;
}
