/**
 * Draws the timeline: one lane per camera over one axis. Everything it shows also exists as text
 * beside it (a slider and tables); the canvas itself is for eyes and pointers only.
 */

import type { Interval, Micros } from '../api/types';
import { clamp, keepInSight, pan, ticks, timeOf, xOf, zoom } from './timeline-view';

export interface Lane {
  id: string;
  covered: Interval[];
  gaps: Interval[];
}

export interface TimelineModel {
  all: Interval;
  due: Interval | null;
  lanes: Lane[];
  focus: string | null;
  events: Micros[];
  markers: Micros[];
  selection: Interval | null;
}

export interface TimelineHooks {
  onSeek(time: Micros): void;
  onFocus(laneId: string): void;
  /** `laneId` is empty where the pointer is on no camera's lane. */
  onHover(time: Micros | null, x: number, laneId: string | null): void;
  onView(view: Interval): void;
  label(time: Micros): string;
  /** Microseconds local time is ahead of UTC, for round labels. */
  offset(time: Micros): Micros;
}

export const AXIS = 26;
export const LANE = 22;
const BAR = 12;

export class TimelineCanvas {
  view: Interval;
  #model: TimelineModel;
  #time: Micros;
  #dragging = false;
  #hover: number | null = null;
  #frame = 0;
  #observer: ResizeObserver;
  #abort = new AbortController();

  constructor(
    private readonly canvas: HTMLCanvasElement,
    model: TimelineModel,
    private readonly hooks: TimelineHooks,
  ) {
    this.#model = model;
    this.#time = model.all.from;
    this.view = clamp(model.all, model.all);
    this.#observer = new ResizeObserver(() => this.invalidate());
    this.#observer.observe(canvas);
    this.#listen();
  }

  destroy(): void {
    this.#observer.disconnect();
    this.#abort.abort();
    cancelAnimationFrame(this.#frame);
  }

  set model(model: TimelineModel) {
    const wasAll = this.#model.all;
    const whole = this.view.to - this.view.from >= wasAll.to - wasAll.from;
    this.#model = model;
    this.#setView(clamp(whole ? model.all : this.view, model.all));
  }

  /** Moves the playhead; while it runs the view follows it. */
  setTime(time: Micros, follow: boolean): void {
    this.#time = time;
    if (follow && !this.#dragging) this.#setView(keepInSight(this.view, this.#model.all, time));
    this.invalidate();
  }

  zoomBy(factor: number): void {
    this.#setView(zoom(this.view, this.#model.all, this.#time, factor));
  }

  fit(): void {
    this.#setView(clamp(this.#model.all, this.#model.all));
  }

  invalidate(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #setView(view: Interval): void {
    if (view.from !== this.view.from || view.to !== this.view.to) {
      this.view = view;
      this.hooks.onView(view);
    }
    this.invalidate();
  }

  #listen(): void {
    const { canvas } = this;
    const signal = this.#abort.signal;
    const at = (event: MouseEvent) => timeOf(this.view, canvas.clientWidth, event.offsetX);
    canvas.addEventListener(
      'pointerdown',
      (event) => {
        if (event.button !== 0) return;
        canvas.setPointerCapture(event.pointerId);
        this.#dragging = true;
        const lane = this.#laneAt(event.offsetY);
        if (lane !== null) this.hooks.onFocus(lane);
        this.hooks.onSeek(at(event));
      },
      { signal },
    );
    canvas.addEventListener(
      'pointermove',
      (event) => {
        this.#hover = event.offsetX;
        this.hooks.onHover(at(event), event.offsetX, this.#laneAt(event.offsetY));
        if (this.#dragging) this.#scrub(event);
        this.invalidate();
      },
      { signal },
    );
    const release = () => {
      this.#dragging = false;
    };
    canvas.addEventListener('pointerup', release, { signal });
    canvas.addEventListener('pointercancel', release, { signal });
    canvas.addEventListener(
      'pointerleave',
      () => {
        this.#hover = null;
        this.hooks.onHover(null, 0, null);
        this.invalidate();
      },
      { signal },
    );
    canvas.addEventListener('wheel', (event) => this.#wheel(event, at(event)), {
      signal,
      passive: false,
    });
  }

  #laneAt(y: number): string | null {
    return y > AXIS ? (this.#model.lanes[Math.floor((y - AXIS) / LANE)]?.id ?? null) : null;
  }

  /** Dragging past an edge pulls the view along. */
  #scrub(event: PointerEvent): void {
    const width = this.canvas.clientWidth;
    const past = event.offsetX < 0 ? event.offsetX : Math.max(0, event.offsetX - width);
    if (past !== 0) {
      const by = (past / width) * (this.view.to - this.view.from) * 0.25;
      this.#setView(pan(this.view, this.#model.all, by));
    }
    const inside = Math.min(width, Math.max(0, event.offsetX));
    this.hooks.onSeek(timeOf(this.view, width, inside));
  }

  #wheel(event: WheelEvent, anchor: Micros): void {
    event.preventDefault();
    const { all } = this.#model;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const pixels = event.deltaX || event.deltaY;
      const by = (pixels / this.canvas.clientWidth) * (this.view.to - this.view.from);
      this.#setView(pan(this.view, all, by));
    } else this.#setView(zoom(this.view, all, anchor, Math.exp(event.deltaY * 0.0015)));
  }

  #draw(): void {
    const { canvas } = this;
    const ratio = devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (width === 0 || height === 0) return;
    if (
      canvas.width !== Math.round(width * ratio) ||
      canvas.height !== Math.round(height * ratio)
    ) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const pen = canvas.getContext('2d');
    if (!pen) return;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const style = getComputedStyle(canvas);
    const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
    this.#drawAxis(pen, width, height, colour);
    this.#model.lanes.forEach((lane, index) => this.#drawLane(pen, width, lane, index, colour));
    this.#drawMarks(pen, width, colour);
    this.#drawPlayhead(pen, width, height, colour);
  }

  #drawAxis(
    pen: CanvasRenderingContext2D,
    width: number,
    height: number,
    colour: (name: string) => string,
  ): void {
    const { due, selection } = this.#model;
    if (selection) {
      pen.fillStyle = colour('accent-soft');
      const left = xOf(this.view, width, selection.from);
      pen.fillRect(left, 0, xOf(this.view, width, selection.to) - left, height);
    }
    pen.font = `11px ${getComputedStyle(this.canvas).fontFamily}`;
    pen.textBaseline = 'top';
    for (const at of ticks(this.view, width, 96, this.hooks.offset(this.view.from))) {
      const x = Math.round(xOf(this.view, width, at)) + 0.5;
      pen.strokeStyle = colour('line');
      pen.beginPath();
      pen.moveTo(x, 2);
      pen.lineTo(x, height);
      pen.stroke();
      pen.fillStyle = colour('ink-2');
      pen.fillText(this.hooks.label(at), x + 4, 3);
    }
    if (due) {
      const left = xOf(this.view, width, due.from);
      const right = xOf(this.view, width, due.to);
      pen.strokeStyle = colour('ink-3');
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.moveTo(left, AXIS - 1);
      pen.lineTo(left, AXIS - 5);
      pen.lineTo(right, AXIS - 5);
      pen.lineTo(right, AXIS - 1);
      pen.stroke();
      pen.lineWidth = 1;
    }
  }

  #drawLane(
    pen: CanvasRenderingContext2D,
    width: number,
    lane: Lane,
    index: number,
    colour: (name: string) => string,
  ): void {
    const top = AXIS + index * LANE + (LANE - BAR) / 2;
    const focused = lane.id === this.#model.focus;
    const box = (part: Interval, least: number): [number, number] | null => {
      const left = Math.max(-4, xOf(this.view, width, part.from));
      const right = Math.min(width + 4, xOf(this.view, width, part.to));
      return right < -2 || left > width + 2 ? null : [left, Math.max(least, right - left)];
    };
    pen.fillStyle = colour(focused ? 'accent' : 'lane');
    for (const part of lane.covered) {
      const at = box(part, 0.5);
      if (at) pen.fillRect(at[0], top, at[1], BAR);
    }
    for (const gap of lane.gaps) {
      const at = box(gap, 2);
      if (at) this.#hatch(pen, at[0], top, at[1], colour);
    }
  }

  /** A gap is told by its pattern and its frame, not by its colour alone. */
  #hatch(
    pen: CanvasRenderingContext2D,
    left: number,
    top: number,
    length: number,
    colour: (name: string) => string,
  ): void {
    pen.save();
    pen.beginPath();
    pen.rect(left, top, length, BAR);
    pen.fillStyle = colour('surface');
    pen.fill();
    pen.clip();
    pen.strokeStyle = colour('bad');
    pen.lineWidth = 1.25;
    pen.beginPath();
    const end = Math.min(left + length, this.canvas.clientWidth + BAR);
    for (let x = Math.floor((left - BAR) / 6) * 6; x < end; x += 6) {
      pen.moveTo(x, top + BAR);
      pen.lineTo(x + BAR, top);
    }
    pen.stroke();
    pen.restore();
    pen.strokeStyle = colour('bad');
    pen.strokeRect(left + 0.5, top + 0.5, Math.max(1, length - 1), BAR - 1);
  }

  #drawMarks(pen: CanvasRenderingContext2D, width: number, colour: (name: string) => string): void {
    const y = AXIS - 5;
    pen.fillStyle = colour('ink-2');
    for (const at of this.#model.events) {
      const x = xOf(this.view, width, at);
      pen.beginPath();
      pen.arc(x, y, 3, 0, Math.PI * 2);
      pen.fill();
    }
    pen.fillStyle = colour('warn');
    for (const at of this.#model.markers) {
      const x = xOf(this.view, width, at);
      pen.beginPath();
      pen.moveTo(x, y - 5);
      pen.lineTo(x + 4.5, y);
      pen.lineTo(x, y + 5);
      pen.lineTo(x - 4.5, y);
      pen.fill();
    }
  }

  #drawPlayhead(
    pen: CanvasRenderingContext2D,
    width: number,
    height: number,
    colour: (name: string) => string,
  ): void {
    if (this.#hover !== null && !this.#dragging) {
      pen.fillStyle = colour('ink-3');
      pen.fillRect(Math.round(this.#hover), AXIS, 1, height - AXIS);
    }
    const x = xOf(this.view, width, this.#time);
    if (x < -6 || x > width + 6) return;
    pen.fillStyle = colour('seal');
    pen.fillRect(Math.round(x) - 1, AXIS - 6, 2, height - AXIS + 6);
    pen.beginPath();
    pen.moveTo(x - 6, AXIS - 14);
    pen.lineTo(x + 6, AXIS - 14);
    pen.lineTo(x + 6, AXIS - 9);
    pen.lineTo(x, AXIS - 2);
    pen.lineTo(x - 6, AXIS - 9);
    pen.fill();
  }
}
