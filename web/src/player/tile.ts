/** One tile of a replay: a media element, its hls.js and the map from recorder time to it. */

import Hls from 'hls.js/light';
import type { ErrorData, Fragment, LevelDetails } from 'hls.js/light';
import type { Interval, Micros } from '../api/types';
import { frameTicks, timescale } from './fmp4';
import type { FrameTicks } from './fmp4';
import { FrameTable, SAME_FRAME } from './frames';
import { AFTER_GAP_LEAD, FrameGrid, PICTURE, steer, UNTRUE_MS } from './sync';
import type { Tuning } from './sync';
import { extent, nextPicture, placeOf, spansOf, timeAt } from './timemap';
import type { Place, Span } from './timemap';

export type TileView =
  | { kind: 'loading' }
  /** `keyAt`: it is the key frame of that instant, which stands for what follows it. */
  | { kind: 'picture'; driftMs: number; keyAt?: Micros }
  | { kind: 'gap'; from: Micros; to: Micros }
  | { kind: 'before' }
  | { kind: 'after' }
  | { kind: 'refused'; status: number }
  | { kind: 'unplayable' };

const RETRY_MS = [1000, 2000, 4000, 8000, 15000];
/**
 * Where a file does not tell when its frames begin, one painted after a seek may be of uneven length
 * and yet the right one: so it is once no other has come for so long.
 */
const QUIET_MS = 1000;
/** A browser may forget to tell of a paint: it is asked to paint again after so long. */
const ASK_AGAIN_MS = [2500, 7500];
/** Standing on the wrong frame is worse than waiting; whoever wants another instant ends it. */
const SEEK_WAIT_MS = 15_000;

const CONFIG = {
  // fMP4 passes through untouched; a worker would only add a blob: address to the policy.
  enableWorker: false,
  autoStartLoad: false,
  lowLatencyMode: false,
  maxBufferLength: 12,
  maxMaxBufferLength: 20,
  backBufferLength: 15,
  // The clock decides where a tile is; hls.js must neither chase the live edge nor hop.
  maxLiveSyncPlaybackRate: 1,
  liveDurationInfinity: true,
};

function maskOf(place: Exclude<Place, { kind: 'media' }>): TileView {
  return place.kind === 'gap'
    ? { kind: 'gap', from: place.from, to: place.to }
    : { kind: place.kind };
}

export class Tile {
  view: TileView = { kind: 'loading' };
  readonly grid = new FrameGrid();
  readonly #frames = new FrameTable();
  /** Loaded, and not yet on the media's times. */
  readonly #loaded = new Map<number, FrameTicks>();
  /** Media time of the frame on the screen, or null before the first. */
  painted: number | null = null;

  #hls: Hls | null = null;
  #spans: Span[] = [];
  #tries = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #started = false;
  #inGap = false;
  #sought: number | null = null;
  #want: Micros;
  #paintedAt = 0;
  /** When the browser gave the painted frame to the screen, and when a seek was last asked for. */
  #presentedAt = 0;
  #soughtAt = 0;

  constructor(
    readonly media: HTMLMediaElement,
    private readonly url: string,
    start: Micros,
    private readonly tuning: Tuning = PICTURE,
  ) {
    this.#want = start;
  }

  open(): void {
    if (!Hls.isSupported()) {
      this.view = { kind: 'unplayable' };
      return;
    }
    this.#watchPaints();
    this.#connect();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#hls?.destroy();
    this.#hls = null;
    this.media.removeAttribute('src');
    this.media.load();
  }

  get extent(): Interval | null {
    return extent(this.#spans);
  }

  nextPicture(time: Micros): Micros | null {
    return nextPicture(this.#spans, time);
  }

  placeOf(time: Micros): Place {
    return placeOf(this.#spans, time);
  }

  /** The middle of the frame on the screen, so that every camera shows the frame that holds it. */
  frameMiddle(): Micros | null {
    if (this.painted === null) return null;
    const start = timeAt(this.#spans, this.painted + 1e-4);
    const frame = this.#frames.at(this.painted + SAME_FRAME);
    const seconds = frame ? frame.end - this.painted : this.grid.seconds;
    return start === null ? null : Math.round(start + seconds * 5e5);
  }

  /** Whether the tile could go on from `time` at once (a tile without picture there always can). */
  ready(time: Micros): boolean {
    if (this.view.kind === 'refused' || this.view.kind === 'unplayable') return true;
    if (this.#spans.length === 0) return false;
    const place = this.placeOf(time);
    if (place.kind !== 'media') return true;
    return !this.media.seeking && this.media.readyState >= 3 && this.#near(place.media, 0.5);
  }

  /** One step of the controller, every 100 ms while the clock runs. */
  follow(time: Micros, rate: number): void {
    this.#want = time;
    if (this.#stuck()) return;
    const place = this.placeOf(time);
    if (place.kind !== 'media') {
      this.#park(place);
      return;
    }
    if (this.#inGap) {
      this.#inGap = false;
      if (!this.#near(place.media, 0.2)) this.#seek(place.media + AFTER_GAP_LEAD);
    }
    this.#judge(place.media);
    if (this.media.seeking) return;
    const steering = steer(this.media.currentTime, place.media, rate, this.tuning);
    if (steering.kind === 'seek') this.#seek(steering.to);
    else if (this.media.playbackRate !== steering.rate) this.media.playbackRate = steering.rate;
    this.#sought = null;
    if (this.media.paused) this.media.play().catch(() => undefined);
  }

  /** Brings the tile to `time` before the clock starts; does not wait. */
  cue(time: Micros): void {
    this.#want = time;
    if (this.#stuck()) return;
    this.media.pause();
    const place = this.placeOf(time);
    if (place.kind !== 'media') this.#park(place);
    else {
      this.#inGap = false;
      // Asked again and again while waiting: seek once, and again only if something moved it off.
      const asked = this.#sought !== null && Math.abs(this.#sought - place.media) < 0.001;
      if (!this.#near(place.media, asked ? 0.3 : 0.001)) this.#seek(place.media);
      this.#judge(place.media);
    }
  }

  /**
   * Stops and shows exactly the frame that holds `time`; resolves once it is painted, or once it
   * is `wanted` no more.
   */
  async show(time: Micros, wanted: () => boolean): Promise<void> {
    this.cue(time);
    const place = this.placeOf(time);
    if (this.#stuck() || place.kind !== 'media') return;
    this.media.playbackRate = 1;
    await this.#arrived(place.media, wanted);
    this.#judge(place.media);
  }

  /** Refreshes what may be shown while the clock stands. */
  look(time: Micros): void {
    this.#want = time;
    if (this.#stuck()) return;
    const place = this.placeOf(time);
    if (place.kind !== 'media') this.#park(place);
    else this.#judge(place.media);
  }

  /** Stands still and silent while others show key frames; says what there is at `time`. */
  rest(time: Micros): void {
    this.#want = time;
    if (this.#stuck()) return;
    if (!this.media.paused) this.media.pause();
    const place = this.placeOf(time);
    this.view = place.kind === 'media' ? { kind: 'picture', driftMs: 0 } : maskOf(place);
  }

  #near(media: number, seconds: number): boolean {
    return Math.abs(this.media.currentTime - media) <= seconds;
  }

  #stuck(): boolean {
    if (this.view.kind === 'refused' || this.view.kind === 'unplayable') return true;
    if (this.#spans.length > 0) return false;
    this.view = { kind: 'loading' };
    return true;
  }

  /** No picture at the wanted time: stand still behind a mask, ready where it goes on. */
  #park(place: Exclude<Place, { kind: 'media' }>): void {
    this.#inGap = true;
    if (!this.media.paused) this.media.pause();
    const next = place.kind === 'gap' ? place.resume : place.kind === 'before' ? place.first : null;
    if (next !== null && !this.media.seeking && !this.#near(next, 0.2)) this.#seek(next + 0.001);
    this.view = maskOf(place);
  }

  /** A frame of another instant is not shown: the tile counts as loading until it has caught up. */
  #judge(target: number): void {
    const sound = !(this.media instanceof HTMLVideoElement);
    const shown = sound ? this.media.currentTime : this.painted;
    const driftMs = shown === null ? Infinity : Math.round((shown - target) * 1000);
    const untrue = Math.abs(driftMs) > UNTRUE_MS || this.media.readyState < 1;
    this.view = untrue ? { kind: 'loading' } : { kind: 'picture', driftMs };
  }

  #seek(media: number): void {
    this.grid.cut();
    this.#sought = media;
    this.#soughtAt = performance.now();
    this.media.currentTime = media;
  }

  async #arrived(target: number, wanted: () => boolean): Promise<void> {
    const until = performance.now() + SEEK_WAIT_MS;
    let seeked: number | null = null;
    let asked = 0;
    while (!this.#closed && wanted() && performance.now() < until) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      if (this.media.seeking || this.media.readyState < 2) continue;
      if (!(this.media instanceof HTMLVideoElement)) return;
      seeked ??= performance.now();
      const shown = this.#shows(target, seeked);
      if (shown) return;
      const waited = performance.now() - Math.max(this.#paintedAt, seeked);
      if (shown === false && waited > (ASK_AGAIN_MS[asked] ?? Infinity)) {
        asked++;
        this.#seek(target);
      }
    }
  }

  /**
   * Whether the frame on the screen is the one for `target`: by the file, else by its quiet. What
   * is known of paints is old on a busy machine: only one since the last seek says what is seen.
   */
  #shows(target: number, seeked: number): boolean | null {
    if (this.painted === null || this.#presentedAt < this.#soughtAt) return false;
    const known = this.#frames.shows(this.painted, target);
    if (known !== null) return known;
    const early = target - this.painted;
    if (early > -SAME_FRAME && early < this.grid.seconds * 1.2) return true;
    return performance.now() - Math.max(this.#paintedAt, seeked) > QUIET_MS || null;
  }

  #watchPaints(): void {
    const video = this.media;
    if (!(video instanceof HTMLVideoElement) || !('requestVideoFrameCallback' in video)) return;
    const paint = (_: number, frame: VideoFrameCallbackMetadata) => {
      if (this.#closed) return;
      this.painted = frame.mediaTime;
      this.#paintedAt = performance.now();
      this.#presentedAt = frame.presentationTime;
      this.grid.painted(frame.mediaTime);
      video.requestVideoFrameCallback(paint);
    };
    video.requestVideoFrameCallback(paint);
  }

  #connect(): void {
    const hls = new Hls(CONFIG);
    this.#hls = hls;
    this.#started = false;
    this.#frames.clear();
    this.#loaded.clear();
    const take = (details: LevelDetails) => {
      this.#spans = spansOf(details.fragments);
      if (this.#started) return;
      this.#started = true;
      const place = this.placeOf(this.#want);
      const next =
        place.kind === 'media'
          ? place.media
          : place.kind === 'gap'
            ? place.resume
            : place.kind === 'before'
              ? place.first
              : null;
      hls.startLoad(Math.max(0, next ?? 0));
    };
    // A reloaded playlist is not on the media's times before hls.js has merged it (LEVEL_UPDATED).
    hls.on(Hls.Events.LEVEL_LOADED, (_, data) => {
      if (!this.#started) take(data.details);
    });
    hls.on(Hls.Events.LEVEL_UPDATED, (_, data) => take(data.details));
    hls.on(Hls.Events.LEVEL_PTS_UPDATED, (_, data) => take(data.details));
    hls.on(Hls.Events.FRAG_LOADED, (_, { frag, payload }) => this.#take(frag, payload));
    hls.on(Hls.Events.FRAG_BUFFERED, (_, { frag }) => {
      this.#tries = 0;
      this.#place(frag);
    });
    hls.on(Hls.Events.MANIFEST_PARSED, () => {
      if (!this.#started) hls.startLoad(-1);
    });
    hls.on(Hls.Events.ERROR, (_, data) => this.#failed(hls, data));
    hls.loadSource(this.url);
    hls.attachMedia(this.media);
  }

  #take(frag: Fragment, payload: ArrayBuffer): void {
    const ticks = frag.sn === 'initSegment' ? null : frameTicks(payload);
    if (ticks === null || frag.sn === 'initSegment') return;
    this.grid.loaded(ticks.starts.length, frag.duration);
    this.#loaded.set(frag.sn, ticks);
  }

  /** Now it is known where in the media a fragment lies. */
  #place(frag: Fragment): void {
    if (frag.sn === 'initSegment') return;
    const ticks = this.#loaded.get(frag.sn);
    const init = frag.initSegment?.data;
    const scale = init ? timescale(init) : null;
    this.#loaded.delete(frag.sn);
    if (!ticks || scale === null || frag.startDTS === undefined) return;
    this.#frames.add(frag.sn, ticks, scale, frag.startDTS);
  }

  #failed(hls: Hls, data: ErrorData): void {
    if (this.#closed) return;
    const status = data.response?.code ?? 0;
    // The right is gone: stop at once, where hls.js would go on and ask for every later entry.
    const refused = status === 401 || status === 403 || status === 410;
    if (!data.fatal && !refused) return;
    if (refused || status === 404) {
      this.view = { kind: 'refused', status };
      hls.destroy();
      return;
    }
    if (data.details === Hls.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR) {
      this.view = { kind: 'unplayable' };
      hls.destroy();
      return;
    }
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && this.#tries === 0) {
      this.#tries++;
      hls.recoverMediaError();
      return;
    }
    hls.destroy();
    const wait = RETRY_MS[Math.min(this.#tries++, RETRY_MS.length - 1)]!;
    this.#retry = setTimeout(() => this.#connect(), wait);
  }
}
