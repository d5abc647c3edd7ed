/**
 * Single key frames on a canvas. Each is a file of its own to the browser, played by a video that
 * nobody sees: what it shows can be of no other instant, and it works without a secure context.
 */

import type { KeyBytes } from './keys';

/** What a frame is drawn by; the real one is `CanvasPainter`. */
export interface Painter {
  /** Resolves true once the frame is on the canvas, false if it cannot be decoded. */
  paint(bytes: KeyBytes): Promise<boolean>;
  /** The canvas shows nothing. */
  hide(): void;
  close(): void;
}

/** A picture that is not decoded by then never will be. */
const WAIT_MS = 3000;

export class CanvasPainter implements Painter {
  #video = document.createElement('video');

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.#video.muted = true;
    this.#video.preload = 'auto';
  }

  async paint({ init, fragment }: KeyBytes): Promise<boolean> {
    const url = URL.createObjectURL(new Blob([init, fragment], { type: 'video/mp4' }));
    try {
      if (!(await this.#load(url))) return false;
      const { videoWidth: width, videoHeight: height } = this.#video;
      if (this.canvas.width !== width) this.canvas.width = width;
      if (this.canvas.height !== height) this.canvas.height = height;
      this.canvas.getContext('2d')!.drawImage(this.#video, 0, 0);
      this.canvas.hidden = false;
      return true;
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  hide(): void {
    this.canvas.hidden = true;
  }

  close(): void {
    this.hide();
    this.#video.removeAttribute('src');
    this.#video.load();
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
