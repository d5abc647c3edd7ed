/** The state of one opened replay as the page sees it: a thin, reactive skin over `Replay`. */

import { untrack } from 'svelte';
import { keysOf, playlistUrl, thumbnailsOf } from '../api/client';
import type { Interval, Micros, Playback, PlaybackStream, Timeline } from '../api/types';
import { beginning, camerasOf, copyOf, pictureOf, soundAloneOf, soundOf } from '../player/cameras';
import { CameraTile } from '../player/camera-tile';
import type { PlayedCamera, Quality } from '../player/cameras';
import { isFast, KeyTrack } from '../player/keys';
import { KeyView } from '../player/keyview';
import { Replay } from '../player/replay';
import { CanvasPainter } from '../player/stills';
import { SOUND } from '../player/sync';
import { Thumbnails, type Sight } from '../player/thumbnails';
import { Tile } from '../player/tile';
import type { TileView } from '../player/tile';

export const RATES = [-16, -8, -4, -2, -1, 0.25, 0.5, 1, 2, 4, 8, 16];
const BACKWARD = [-1, -2, -4, -8, -16];
const FORWARD = [0.25, 0.5, 1, 2, 4, 8, 16];

function canPlay(mime: string): boolean {
  return 'MediaSource' in window && MediaSource.isTypeSupported(mime);
}

/** Called with an element when it is there; gives what to do when it goes. */
type Attachment<T extends HTMLElement> = (element: T) => () => void;

export interface Shown {
  camera: PlayedCamera;
  /** The stream that is wanted. */
  stream: PlaybackStream | null;
  /** The one in front, and behind it the one that is wanted until it has its first picture. */
  layers: PlaybackStream[];
  /** It has no picture: the tile shows its level. */
  soundAlone: boolean;
  number: number;
}

export class Stage {
  readonly cameras: PlayedCamera[];
  readonly replay: Replay;

  time = $state(0);
  end = $state(0);
  playing = $state(false);
  waiting = $state(false);
  busy = $state(false);
  rate = $state(1);
  loop = $state.raw<Interval | null>(null);
  views = $state.raw<Record<string, TileView>>({});
  quality = $state<Quality>('auto');
  focus = $state('');
  /** The one camera shown alone, or null for all. */
  alone = $state<string | null>(null);
  soundKey = $state<string | null>(null);
  muted = $state(true);

  #mark: Micros | null = null;
  #thumbnails = new Map<string, Thumbnails>();
  /** Counts what has arrived, so that the page looks again. */
  #sights = $state(0);
  #attachments = new Map<string, Attachment<HTMLMediaElement>>();
  #keyAttachments = new Map<string, Attachment<HTMLCanvasElement>>();
  #tiles = new Map<string, CameraTile>();
  /** Of each camera on the stage, the stream that is in front. */
  #front = $state.raw<Record<string, string>>({});

  constructor(
    private readonly playback: Playback,
    timeline: Timeline | null,
    asked: Micros | null,
  ) {
    const first = (timeline && beginning(timeline)) ?? playback.from;
    const start = asked ?? Math.max(playback.from, first);
    this.cameras = camerasOf(playback, timeline);
    const { from, to, live } = playback;
    this.replay = new Replay({ from, to: live ? null : to, live }, start);
    this.focus = this.cameras[0]?.key ?? '';
    this.replay.focus = this.focus;
    this.soundKey = this.cameras.find((camera) => soundOf(camera))?.key ?? null;
    this.time = start;
    this.end = this.replay.end;
    this.replay.onStep = () => this.#take();
    if (asked === null) this.replay.findPicture();
    this.replay.start();
  }

  readonly shown: Shown[] = $derived.by(() => {
    const alone = this.alone !== null || this.cameras.length === 1;
    return this.cameras
      .map((camera, index) => {
        const stream = pictureOf(camera, this.quality, alone, canPlay) ?? soundAloneOf(camera);
        return {
          camera,
          stream,
          layers: stream ? this.#layers(camera, stream) : [],
          soundAlone: soundAloneOf(camera) !== null,
          number: index + 1,
        };
      })
      .filter(({ camera }) => this.alone === null || camera.key === this.alone);
  });

  readonly soundCamera: PlayedCamera | null = $derived.by(
    () => this.cameras.find((camera) => camera.key === this.soundKey) ?? null,
  );

  readonly withPicture: number = $derived.by(
    () =>
      this.cameras.filter(
        (camera) => this.views[camera.key]?.kind === 'picture' && soundAloneOf(camera) === null,
      ).length,
  );

  close(): void {
    this.replay.close();
    for (const thumbnails of this.#thumbnails.values()) thumbnails.close();
  }

  /** The small picture of a camera for an instant; what is not here yet is asked for. */
  sightOf(key: string, time: Micros, gaps: readonly Interval[]): Sight | null {
    void this.#sights;
    let found = this.#thumbnails.get(key);
    const camera = this.cameras.find((one) => one.key === key);
    // Of the sub-stream, which costs least; whether a browser plays its codec does not matter.
    const stream = camera && pictureOf(camera, 'sub', false, () => true);
    if (!found && stream) {
      const source = thumbnailsOf(this.playback.id, stream.stream_id);
      found = new Thumbnails(source, () => this.#sights++);
      this.#thumbnails.set(key, found);
    }
    return found?.at(time, gaps) ?? null;
  }

  /** The camera in focus with the stream that a snapshot would be taken of, or null. */
  readonly copied: { camera: PlayedCamera; stream: PlaybackStream } | null = $derived.by(() => {
    const camera = this.cameras.find((one) => one.key === this.focus);
    const stream = camera && copyOf(camera);
    return camera && stream ? { camera, stream } : null;
  });

  /** The record has stopped growing: the end is where the playlists end. */
  finish(to: Micros | null): void {
    if (this.replay.bounds.live) this.replay.bounds = { ...this.replay.bounds, to, live: false };
  }

  /** A tile begins with the sub-stream, which is there soonest, and keeps what it has meanwhile. */
  #layers(camera: PlayedCamera, wanted: PlaybackStream): PlaybackStream[] {
    const front = camera.streams.find((one) => one.stream_id === this.#front[camera.key]);
    const first = front ?? pictureOf(camera, 'sub', false, canPlay) ?? wanted;
    return first.stream_id === wanted.stream_id ? [wanted] : [first, wanted];
  }

  /** What ties a stream's media element to the replay: the same function for the same stream. */
  attachment(camera: PlayedCamera, stream: PlaybackStream): Attachment<HTMLMediaElement> {
    const key = `${camera.key}:${stream.stream_id}`;
    const known = this.#attachments.get(key) ?? this.#attach(camera, stream);
    this.#attachments.set(key, known);
    return known;
  }

  #attach(camera: PlayedCamera, stream: PlaybackStream): Attachment<HTMLMediaElement> {
    const soundAlone = soundAloneOf(camera) !== null;
    return (media) => {
      const url = playlistUrl(this.playback.id, stream.stream_id, soundAlone ? 'sound' : 'picture');
      const tuning = soundAlone ? SOUND : undefined;
      const layer = new Tile(media, url, this.replay.clock.time(), tuning);
      const tile = this.#tileOf(camera.key);
      untrack(() => {
        tile.join(stream.stream_id, layer);
        this.#front = { [camera.key]: stream.stream_id, ...this.#front };
      });
      return () => {
        if (tile.leave(layer)) return;
        this.#tiles.delete(camera.key);
        if (this.replay.tiles.get(camera.key) === tile) this.replay.remove(camera.key);
        const { [camera.key]: _, ...rest } = this.#front;
        this.#front = rest;
      };
    };
  }

  #tileOf(key: string): CameraTile {
    const known = this.#tiles.get(key);
    if (known) return known;
    const tile = new CameraTile();
    tile.onFront = (id) => (this.#front = { ...this.#front, [key]: id });
    this.#tiles.set(key, tile);
    this.replay.add(key, tile);
    this.replay.focus = untrack(() => this.focus);
    return tile;
  }

  /** What ties a camera's canvas to its key frames; those of the sub-stream cost least. */
  keyAttachment(camera: PlayedCamera): Attachment<HTMLCanvasElement> {
    const known = this.#keyAttachments.get(camera.key);
    if (known) return known;
    const attach: Attachment<HTMLCanvasElement> = (canvas) => {
      const stream = pictureOf(camera, 'sub', false, canPlay);
      if (!stream) return () => {};
      const track = new KeyTrack(keysOf(this.playback.id, stream.stream_id));
      const tile = this.#tileOf(camera.key);
      tile.showKeys(new KeyView(track, new CanvasPainter(canvas)));
      return () => tile.showKeys(null);
    };
    this.#keyAttachments.set(camera.key, attach);
    return attach;
  }

  /** Plays the chosen camera's sound on `audio` while wanted; gives how to stop. */
  listen(audio: HTMLAudioElement): () => void {
    const stream = this.soundCamera && soundOf(this.soundCamera);
    if (!stream || this.muted) return () => {};
    const url = playlistUrl(this.playback.id, stream.stream_id, 'sound');
    const tile = new Tile(audio, url, this.replay.clock.time(), SOUND);
    tile.open();
    this.replay.listen(tile);
    return () => this.replay.listen(null);
  }

  toggle(): void {
    this.replay.toggle();
    this.#take();
  }

  skip(seconds: number): void {
    this.seek(this.replay.clock.time() + seconds * 1_000_000);
  }

  seek(time: Micros): void {
    this.replay.seek(Math.round(time));
    this.#take();
  }

  frame(by: 1 | -1): void {
    void this.replay.stepFrames(by);
  }

  setRate(rate: number): void {
    this.replay.setRate(rate);
    this.#take();
  }

  /** `L`: plays, and faster each time; out of backward play it plays forward at once. */
  faster(): void {
    if (!this.playing || this.rate < 0) {
      if (isFast(this.rate)) this.setRate(1);
      if (!this.playing) this.toggle();
    } else this.setRate(FORWARD[FORWARD.indexOf(this.rate) + 1] ?? this.rate);
  }

  /** `J`: plays backward, and faster each time. */
  backward(): void {
    const going = this.playing && this.rate < 0;
    this.setRate(BACKWARD[going ? BACKWARD.indexOf(this.rate) + 1 : 0] ?? this.rate);
    if (!this.playing) this.toggle();
  }

  pause(): void {
    void this.replay.pause();
    this.#take();
  }

  toLive(): void {
    this.seek(this.replay.end);
    if (!this.playing) this.toggle();
  }

  setFocus(key: string): void {
    this.focus = key;
    this.replay.focus = key;
    if (this.alone !== null) this.alone = key;
  }

  enlarge(key: string): void {
    this.setFocus(key);
    this.alone = this.alone === null ? key : null;
  }

  hear(key: string): void {
    if (this.soundKey === key && !this.muted) this.muted = true;
    else {
      this.soundKey = key;
      this.muted = false;
    }
  }

  /** `[` and `]`: the selection between them is played again and again. */
  mark(which: 'in' | 'out'): void {
    const now = this.replay.clock.time();
    const from = which === 'in' ? now : (this.#mark ?? this.replay.bounds.from);
    const to = which === 'out' ? now : (this.loop?.to ?? this.replay.end);
    if (which === 'in') this.#mark = now;
    if (to - from < 500_000) return;
    this.loop = { from, to };
    this.replay.loop = this.loop;
  }

  clearLoop(): void {
    this.#mark = null;
    this.loop = null;
    this.replay.loop = null;
  }

  #take(): void {
    this.time = this.replay.clock.time();
    this.end = this.replay.end;
    this.playing = this.replay.playing;
    this.waiting = this.replay.waiting;
    this.busy = this.replay.busy;
    this.rate = this.replay.rate;
    const views: Record<string, TileView> = {};
    for (const [key, tile] of this.replay.tiles) views[key] = tile.view;
    this.views = views;
  }
}
