/**
 * Single key frames on a canvas. Each is a file of its own to the browser, played by a video that
 * nobody sees: what it shows can be of no other instant, and it works without a secure context.
 */

import type { KeyBytes } from './keys';

/** What frames are drawn by; the real one is `CanvasPainter`. */
export interface Painter {
  /** Decodes a frame and keeps it; resolves false if that cannot be done. */
  prepare(bytes: KeyBytes): Promise<boolean>;
  /** Draws the frame that was prepared last. */
  show(): void;
  /** The canvas shows nothing. */
  hide(): void;
  close(): void;
}

/** A picture that is not decoded by then never will be. */
const WAIT_MS = 3000;

/** A video may be told to be loaded a moment before its picture can be drawn: it is tried again. */
const AGAIN_MS = 5;

export class CanvasPainter implements Painter {
  #video = document.createElement('video');
  #prepared = document.createElement('canvas');

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.#video.muted = true;
    this.#video.preload = 'auto';
  }

  async prepare({ init, fragment }: KeyBytes): Promise<boolean> {
    const url = URL.createObjectURL(new Blob([init, fragment], { type: 'video/mp4' }));
    const until = performance.now() + WAIT_MS;
    try {
      if (!(await this.#load(url))) return false;
      while (!this.#draw()) {
        if (performance.now() > until) return false;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
      return true;
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  show(): void {
    const { width, height } = this.#prepared;
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    this.canvas.getContext('2d')!.drawImage(this.#prepared, 0, 0);
    this.canvas.hidden = false;
  }

  hide(): void {
    this.canvas.hidden = true;
  }

  close(): void {
    this.hide();
    this.#video.removeAttribute('src');
    this.#video.load();
  }

  /** Draws the video's picture; false if there was none, for then nothing is drawn. */
  #draw(): boolean {
    const { videoWidth: width, videoHeight: height } = this.#video;
    // Setting a size empties it as well: what was drawn before can never stand for this picture.
    this.#prepared.width = width;
    this.#prepared.height = height;
    const context = this.#prepared.getContext('2d', { willReadFrequently: true })!;
    context.drawImage(this.#video, 0, 0);
    return context.getImageData(width >> 1, height >> 1, 1, 1).data[3] === 255;
  }

  #load(url: string): Promise<boolean> {
    const video = this.#video;
    return new Promise((resolve) => {
      const done = (ok: boolean) => {
        clearTimeout(timer);
        video.onloadeddata = video.onerror = null;
        resolve(ok && video.videoWidth > 0);
      };
      const timer = setTimeout(() => done(false), WAIT_MS);
      video.onloadeddata = () => done(true);
      video.onerror = () => done(false);
      video.src = url;
    });
  }
}
