/** Which stream of a camera a tile plays, and which one its sound comes from. Pure. */

import type {
  Interval,
  Micros,
  Playback,
  PlaybackStream,
  Timeline,
  TimelineGap,
} from '../api/types';

export type Quality = 'auto' | 'main' | 'sub';

export interface PlayedCamera {
  key: string;
  room: string;
  name: string;
  streams: PlaybackStream[];
}

/** A playback's streams by camera, in the order in which the API lists them. */
export function camerasOf(playback: Playback, timeline: Timeline | null): PlayedCamera[] {
  const found = new Map<string, PlayedCamera>();
  for (const stream of playback.streams) {
    const known = timeline?.streams.find((one) => one.stream_id === stream.stream_id);
    const key = stream.camera_id ?? known?.camera_id ?? `${stream.room}/${stream.camera}`;
    const camera = found.get(key);
    if (camera) camera.streams.push(stream);
    else found.set(key, { key, room: stream.room, name: stream.camera, streams: [stream] });
  }
  return [...found.values()];
}

export type CanPlay = (mime: string) => boolean;

function playable(stream: PlaybackStream, canPlay: CanPlay): boolean {
  const codec = stream.codecs?.picture;
  return !codec || canPlay(`video/mp4; codecs="${codec}"`);
}

/**
 * The stream to show: among many tiles the sub-stream, alone the main one, unless told otherwise;
 * one that the browser can play before one that it cannot.
 */
export function pictureOf(
  camera: PlayedCamera,
  quality: Quality,
  alone: boolean,
  canPlay: CanPlay,
): PlaybackStream | null {
  const wanted = quality === 'auto' ? (alone ? 'main' : 'sub') : quality;
  const pictures = camera.streams.filter((stream) => stream.tracks.includes('picture'));
  const rank = (stream: PlaybackStream) =>
    (playable(stream, canPlay) ? 0 : 2) + (stream.role === wanted ? 0 : 1);
  return pictures.sort((a, b) => rank(a) - rank(b))[0] ?? null;
}

/** The stream of a camera that gives sound alone (or of which only the sound is permitted), or null. */
export function soundAloneOf(camera: PlayedCamera): PlaybackStream | null {
  return camera.streams.some((stream) => stream.tracks.includes('picture'))
    ? null
    : soundOf(camera);
}

export function soundOf(camera: PlayedCamera): PlaybackStream | null {
  return camera.streams.find((stream) => stream.tracks.includes('sound')) ?? null;
}

/** The stream of which a picture may be copied, the main one before others, or null. */
export function copyOf(camera: PlayedCamera): PlaybackStream | null {
  const able = camera.streams.filter((stream) => stream.copies?.includes('picture'));
  return able.find((stream) => stream.role === 'main') ?? able[0] ?? null;
}

/** Adjacent intervals as one, in order. */
export function joined(parts: readonly Interval[], slack: number): Interval[] {
  const sorted = [...parts].sort((a, b) => a.from - b.from);
  const out: Interval[] = [];
  for (const part of sorted) {
    const last = out.at(-1);
    if (last && part.from <= last.to + slack) last.to = Math.max(last.to, part.to);
    else out.push({ from: part.from, to: part.to });
  }
  return out;
}

/** The first instant of which there is footage, or null. */
export function beginning(timeline: Timeline): Micros | null {
  const firsts = timeline.streams
    .map((stream) => Math.min(...stream.segments.map((segment) => segment.from)))
    .filter(Number.isFinite);
  return firsts.length === 0 ? null : Math.min(...firsts);
}

/** The stated gaps in a stream's picture that touch [from, to). */
export function pictureGaps(
  timeline: Timeline | null,
  streamId: string,
  part: Interval,
): TimelineGap[] {
  const stream = timeline?.streams.find((one) => one.stream_id === streamId);
  return (stream?.gaps ?? []).filter(
    (gap) => gap.medium !== 'sound' && gap.from < part.to && gap.to > part.from,
  );
}
