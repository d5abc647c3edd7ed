/** The state of one opened replay as the page sees it: a thin, reactive skin over `Replay`. */

import { untrack } from 'svelte';
import { playlistUrl, thumbnailsOf } from '../api/client';
import type { Interval, Micros, Playback, PlaybackStream, Timeline } from '../api/types';
import { beginning, camerasOf, copyOf, pictureOf, soundAloneOf, soundOf } from '../player/cameras';
import type { PlayedCamera, Quality } from '../player/cameras';
import { Replay, SOUND_MAX_RATE } from '../player/replay';
import { SOUND } from '../player/sync';
import { Thumbnails, type Sight } from '../player/thumbnails';
import { Tile } from '../player/tile';
import type { TileView } from '../player/tile';

const RATES = [0.25, 0.5, 1, 2, 4];

function canPlay(mime: string): boolean {
  return 'MediaSource' in window && MediaSource.isTypeSupported(mime);
}

/** Called with an element when it is there; gives what to do when it goes. */
type Attachment = (media: HTMLMediaElement) => () => void;

export interface Shown {
  camera: PlayedCamera;
  stream: PlaybackStream | null;
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
  #attachments = new Map<string, Attachment>();

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
      .map((camera, index) => ({
        camera,
        stream: pictureOf(camera, this.quality, alone, canPlay) ?? soundAloneOf(camera),
        soundAlone: soundAloneOf(camera) !== null,
        number: index + 1,
      }))
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

  /** What ties a stream's video element to the replay: the same function for the same stream. */
  attachment(shown: Shown): Attachment {
    const key = `${shown.camera.key}:${shown.stream?.stream_id}`;
    const known = this.#attachments.get(key) ?? this.#attach(shown);
    this.#attachments.set(key, known);
    return known;
  }

  #attach({ camera, stream, soundAlone }: Shown): Attachment {
    return (media) => {
      if (!stream) return () => {};
      const url = playlistUrl(this.playback.id, stream.stream_id, soundAlone ? 'sound' : 'picture');
      const tuning = soundAlone ? SOUND : undefined;
      const tile = new Tile(media, url, this.replay.clock.time(), tuning);
      this.replay.add(camera.key, tile);
      this.replay.focus = untrack(() => this.focus);
      tile.open();
      return () => {
        // The next stream of this camera may already have taken the place.
        if (this.replay.tiles.get(camera.key) === tile) this.replay.remove(camera.key);
        else tile.close();
      };
    };
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

  faster(): void {
    if (!this.playing) this.toggle();
    else this.setRate(RATES[RATES.indexOf(this.rate) + 1] ?? this.rate);
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

  get silentBecauseFast(): boolean {
    return this.rate > SOUND_MAX_RATE;
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
