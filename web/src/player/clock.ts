/** The one clock of a replay. Tiles follow it; none of them leads, so none can hold up the rest. */

import type { Micros } from '../api/types';

export class Clock {
  #anchorTime: Micros;
  #anchorNow: number;
  #rate = 1;
  #running = false;

  /** `now` is a monotonic source in milliseconds. */
  constructor(
    start: Micros,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#anchorTime = start;
    this.#anchorNow = now();
  }

  get rate(): number {
    return this.#rate;
  }

  get running(): boolean {
    return this.#running;
  }

  /** Recorder time under the playhead, whole microseconds UTC. */
  time(): Micros {
    if (!this.#running) return this.#anchorTime;
    const elapsed = (this.now() - this.#anchorNow) * 1000 * this.#rate;
    return Math.round(this.#anchorTime + elapsed);
  }

  play(): void {
    if (this.#running) return;
    this.#anchorNow = this.now();
    this.#running = true;
  }

  pause(): void {
    this.#anchor(this.time());
    this.#running = false;
  }

  seek(time: Micros): void {
    this.#anchor(Math.round(time));
  }

  setRate(rate: number): void {
    this.#anchor(this.time());
    this.#rate = rate;
  }

  #anchor(time: Micros): void {
    this.#anchorTime = time;
    this.#anchorNow = this.now();
  }
}
