/** A live tile: fMP4 over one WebSocket into Media Source, kept a fraction of a second behind. */

import type { Micros } from '../api/types';

export type LiveView =
  | { kind: 'connecting' }
  | { kind: 'picture' }
  | { kind: 'stalled'; last: Micros | null }
  | { kind: 'offline'; last: Micros | null }
  | { kind: 'forbidden' }
  | { kind: 'unplayable'; codecs: string };

export interface Hello {
  codecs: string;
  mime?: string;
  width?: number;
  height?: number;
  utc_us?: Micros;
  state?: undefined;
}

interface Notice {
  state: 'stalled' | 'offline' | 'forbidden' | 'ok';
}

export const STALL_MS = 3000;
/** After so many attempts that brought nothing, "connecting" would be untrue. */
const PATIENT_ATTEMPTS = 2;
const TRIM_BEHIND_S = 15;
const TRIM_AT_S = 30;
const JUMP_S = 1;
/** A picture so far behind the element's own time: the decoder cannot keep up and must begin anew. */
const LAG_S = 0.7;
/** So long a decoder is given to catch up after a jump. */
const LAG_MS = 2000;

/** What is kept in hand at first, and at most after having run dry again and again; seconds. */
const LEAST_SPARE = 0.06;
const MOST_SPARE = 0.25;
/** Running dry costs a visible halt, so the spare grows at once and shrinks slowly. */
const SPARE_UP = 0.03;
const SPARE_DOWN_PER_TICK = 0.0005;
/** Ticks over which the least is taken: between two of them media may just be about to come. */
const TICKS = 8;

/**
 * How far behind the sender a live element plays: as little as it can without running dry, which
 * differs from line to line and from machine to machine, and is therefore found out.
 */
export class Pace {
  #spare = LEAST_SPARE;
  #heads: number[] = [];

  /** Seconds that shall be left when the next media are about to come. */
  get spare(): number {
    return this.#spare;
  }

  /** The element had to wait for media. */
  ranDry(): void {
    this.#spare = Math.min(MOST_SPARE, this.#spare + SPARE_UP);
    this.#heads = [];
  }

  /**
   * `ahead` seconds are left, and media come `chunk` s at a time: the rate to play at, and how far
   * from the end to jump to when it fell far behind (or null).
   */
  tick(ahead: number, chunk: number): { jump: number | null; rate: number } {
    if (ahead > JUMP_S + chunk) {
      this.#heads = [];
      return { jump: this.#spare + chunk, rate: 1 };
    }
    this.#spare = Math.max(LEAST_SPARE, this.#spare - SPARE_DOWN_PER_TICK);
    this.#heads.push(ahead);
    if (this.#heads.length > TICKS) this.#heads.shift();
    const over = Math.min(...this.#heads) - this.#spare;
    if (over > 0.15) return { jump: null, rate: 1.15 };
    if (over > 0.03) return { jump: null, rate: 1.06 };
    if (over < -0.03) return { jump: null, rate: 0.9 };
    return { jump: null, rate: 1 };
  }
}

/** Milliseconds before the n-th new attempt; jitter, so that a wall does not return as one. */
export function backOff(attempt: number, random: () => number = Math.random): number {
  const top = Math.min(15_000, 500 * 2 ** Math.min(attempt, 6));
  return Math.round(top * (0.5 + random() / 2));
}

/** The MIME type to open a SourceBuffer with. */
export function mimeOf(hello: Hello, track: 'picture' | 'sound'): string {
  if (hello.mime) return hello.mime;
  return `${track === 'picture' ? 'video' : 'audio'}/mp4; codecs="${hello.codecs}"`;
}

export class Live {
  view: LiveView = { kind: 'connecting' };
  readonly pace = new Pace();
  onView: (view: LiveView) => void = () => {};

  #socket: WebSocket | null = null;
  #source: MediaSource | null = null;
  #buffer: SourceBuffer | null = null;
  #queue: ArrayBuffer[] = [];
  #hello: Hello | null = null;
  #base: number | null = null;
  #chunk = 0.1;
  #end = 0;
  #attempt = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #paintedAt = 0;
  #paintedMedia: number | null = null;
  #lagsFrom = 0;
  #last: Micros | null = null;
  #wanted = false;
  #url = '';

  constructor(
    readonly media: HTMLMediaElement,
    private readonly address: string,
    private readonly track: 'picture' | 'sound' = 'picture',
  ) {
    media.addEventListener('waiting', () => {
      // Only after it has played: at the start, and after a jump, it waits as a matter of course.
      if (this.view.kind === 'picture' && !media.seeking) this.pace.ranDry();
    });
    if (media instanceof HTMLVideoElement && 'requestVideoFrameCallback' in media) {
      const paint = (_: number, frame: VideoFrameCallbackMetadata) => {
        this.#onPaint(frame.mediaTime);
        media.requestVideoFrameCallback(paint);
      };
      media.requestVideoFrameCallback(paint);
    }
  }

  /** Recorder time of the frame on the screen, as far as the sender told it. */
  get frameTime(): Micros | null {
    return this.#last;
  }

  open(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#attempt = 0;
    this.#connect();
    this.#timer = setInterval(() => this.#tend(), 100);
  }

  /** Stops pulling; `open` starts anew. A hidden or off-screen tile costs nothing. */
  close(): void {
    this.#wanted = false;
    clearInterval(this.#timer);
    clearTimeout(this.#retry);
    this.#drop();
    this.#show({ kind: 'connecting' });
  }

  /** `close`, and lets go of the element for good. */
  destroy(): void {
    this.close();
    this.#release();
    this.media.removeAttribute('src');
    this.media.load();
  }

  #connect(): void {
    this.#drop();
    this.#paintedAt = performance.now();
    const socket = new WebSocket(this.address);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (socket !== this.#socket) return;
      if (typeof event.data === 'string') this.#onText(event.data);
      else this.#append(event.data);
    };
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#lost(event.code);
    };
  }

  #onText(text: string): void {
    const message = JSON.parse(text) as Hello | Notice;
    if (message.state === undefined) {
      this.#begin(message);
      return;
    }
    if (message.state === 'forbidden') {
      this.#wanted = false;
      clearInterval(this.#timer);
      this.#drop();
      this.#show({ kind: 'forbidden' });
    } else if (message.state === 'offline') this.#show({ kind: 'offline', last: this.#last });
    else if (message.state === 'stalled') this.#show({ kind: 'stalled', last: this.#last });
  }

  #begin(hello: Hello): void {
    const mime = mimeOf(hello, this.track);
    this.#release();
    this.#queue = [];
    this.#hello = hello;
    this.#base = null;
    if (!('MediaSource' in window) || !MediaSource.isTypeSupported(mime)) {
      this.#wanted = false;
      this.#drop();
      this.#show({ kind: 'unplayable', codecs: hello.codecs });
      return;
    }
    const source = new MediaSource();
    this.#source = source;
    this.#url = URL.createObjectURL(source);
    this.media.src = this.#url;
    source.addEventListener('sourceopen', () => {
      if (source !== this.#source) return;
      const buffer = source.addSourceBuffer(mime);
      buffer.addEventListener('updateend', () => this.#onAppended());
      this.#buffer = buffer;
      this.#pump();
    });
  }

  #append(bytes: ArrayBuffer): void {
    this.#queue.push(bytes);
    this.#pump();
  }

  #pump(): void {
    const buffer = this.#buffer;
    if (!buffer || buffer.updating || this.#queue.length === 0) return;
    if (this.#source?.readyState !== 'open') return;
    try {
      buffer.appendBuffer(this.#queue.shift()!);
    } catch (error) {
      // Full, or the decoder gave up: begin again from the next key frame.
      console.warn('live append failed', error);
      this.#lost(0);
    }
  }

  #onAppended(): void {
    const { buffered } = this.media;
    if (buffered.length > 0) {
      const end = buffered.end(buffered.length - 1);
      if (this.#base === null) {
        this.#base = buffered.start(0);
        this.media.currentTime = Math.max(this.#base, end - 0.15);
        this.media.play().catch(() => undefined);
      } else if (end > this.#end) {
        this.#chunk += (Math.min(1, end - this.#end) - this.#chunk) * 0.2;
      }
      this.#end = end;
    }
    this.#pump();
  }

  /** Ten times a second: stay close to the end, forget what is old, notice when nothing moves. */
  #tend(): void {
    const { buffered } = this.media;
    const quiet = performance.now() - this.#paintedAt;
    if (this.track === 'picture' && quiet > STALL_MS && this.view.kind !== 'offline') {
      this.#show({ kind: 'stalled', last: this.#last });
      if (quiet > 4 * STALL_MS && this.#socket?.readyState === WebSocket.OPEN) this.#lost(0);
    }
    if (buffered.length === 0) return;
    const end = buffered.end(buffered.length - 1);
    const { jump, rate } = this.pace.tick(end - this.media.currentTime, this.#chunk);
    if (jump !== null) this.media.currentTime = end - jump;
    else if (this.#lags()) this.media.currentTime = end - this.pace.spare;
    if (this.media.playbackRate !== rate) this.media.playbackRate = rate;
    if (this.media.paused) this.media.play().catch(() => undefined);
    const buffer = this.#buffer;
    if (buffer && !buffer.updating && end - buffered.start(0) > TRIM_AT_S) {
      buffer.remove(0, end - TRIM_BEHIND_S);
    }
  }

  /** Whether pictures come much later than their time: on a busy machine they would for ever. */
  #lags(): boolean {
    if (this.#paintedMedia === null || this.media.seeking) return false;
    const now = performance.now();
    if (this.media.currentTime - this.#paintedMedia < LAG_S || now < this.#lagsFrom) return false;
    this.#lagsFrom = now + LAG_MS;
    return true;
  }

  #onPaint(mediaTime: number): void {
    if (mediaTime === this.#paintedMedia) return;
    this.#paintedMedia = mediaTime;
    this.#paintedAt = performance.now();
    this.#attempt = 0;
    if (this.#hello?.utc_us !== undefined && this.#base !== null) {
      this.#last = Math.round(this.#hello.utc_us + (mediaTime - this.#base) * 1e6);
    }
    if (this.#wanted && this.view.kind !== 'picture') this.#show({ kind: 'picture' });
  }

  #lost(code: number): void {
    this.#drop();
    if (!this.#wanted) return;
    if (code === 4401 || code === 4403 || code === 1008) {
      this.#wanted = false;
      clearInterval(this.#timer);
      this.#show({ kind: 'forbidden' });
      return;
    }
    const hopeless = this.#hello === null && this.#attempt >= PATIENT_ATTEMPTS;
    if (this.view.kind === 'picture' || hopeless) this.#show({ kind: 'stalled', last: this.#last });
    this.#retry = setTimeout(() => this.#connect(), backOff(this.#attempt++));
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    clearTimeout(this.#retry);
    if (socket && socket.readyState <= WebSocket.OPEN) socket.close();
    this.#queue = [];
  }

  /** Lets go of the media: a Media Source left behind keeps its player and memory. */
  #release(): void {
    this.#buffer = null;
    this.#source = null;
    this.#hello = null;
    this.#end = 0;
    this.#paintedMedia = null;
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = '';
  }

  #show(view: LiveView): void {
    if (JSON.stringify(view) === JSON.stringify(this.view)) return;
    this.view = view;
    this.onView(view);
  }
}
