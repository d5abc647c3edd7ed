/** Recorder time (µs UTC) as people read it, in the site's time zone. */

import type { Interval, Micros } from '../api/types';
import { language, locale, t } from '../i18n/index.svelte';

let zone = 'Asia/Shanghai';
const formats = new Map<string, Intl.DateTimeFormat>();

/** All times on all pages are in this zone, wherever the reader sits. */
export function setZone(name: string | undefined): void {
  if (!name) return;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    zone = name;
    formats.clear();
  } catch {
    console.warn(`unknown time zone ${name}; keeping ${zone}`);
  }
}

function format(tag: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = tag + JSON.stringify(options);
  let found = formats.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat(tag, { timeZone: zone, ...options });
    formats.set(key, found);
  }
  return found;
}

const CLOCK: Intl.DateTimeFormatOptions = {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
};
const HOUR: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };

/** 10:32:15 */
export function clock(time: Micros): string {
  return format('en-GB', CLOCK).format(time / 1000);
}

/** 10:32:15.040 */
export function clockExact(time: Micros): string {
  const ms = Math.floor((((time % 1_000_000) + 1_000_000) % 1_000_000) / 1000);
  return `${clock(time)}.${String(ms).padStart(3, '0')}`;
}

/** 10:32 */
export function hour(time: Micros): string {
  return format('en-GB', HOUR).format(time / 1000);
}

/** 2026-11-22, the key of a local day. */
export function dayKey(time: Micros): string {
  return format('sv-SE', { year: 'numeric', month: '2-digit', day: '2-digit' }).format(time / 1000);
}

/** 今天 / Today, or the date with its weekday. */
export function day(time: Micros, now: Micros = Date.now() * 1000): string {
  const key = dayKey(time);
  const dayLength = 86_400_000_000;
  if (key === dayKey(now)) return t().time.today;
  if (key === dayKey(now - dayLength)) return t().time.yesterday;
  if (key === dayKey(now + dayLength)) return t().time.tomorrow;
  return format(locale(), {
    year: 'numeric',
    month: 'long',
    day: 'numeric',
    weekday: 'short',
  }).format(time / 1000);
}

/** Date and time, short. */
export function moment(time: Micros): string {
  return `${dayKey(time)} ${clock(time)}`;
}

/** 10:00:04–10:00:12 */
export function span(interval: Interval): string {
  return `${clock(interval.from)}–${clock(interval.to)}`;
}

/** 1 小时 02 分 / 1 h 02 min; below a minute in seconds. */
export function duration(micros: Micros): string {
  const seconds = Math.max(0, micros / 1e6);
  if (seconds < 60) {
    return t().time.seconds(seconds < 10 ? seconds.toFixed(1) : String(Math.round(seconds)));
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return t().time.minutes(minutes, Math.floor(seconds % 60));
  return t().time.hours(Math.floor(minutes / 60), minutes % 60);
}

/** Microseconds the site's time is ahead of UTC at `time`. */
export function zoneOffset(time: Micros): Micros {
  const parts = format('en-US', {
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
    hourCycle: 'h23',
  }).formatToParts(time / 1000);
  const of = (type: string) => Number(parts.find((part) => part.type === type)?.value ?? 0);
  const local = Date.UTC(
    of('year'),
    of('month') - 1,
    of('day'),
    of('hour'),
    of('minute'),
    of('second'),
  );
  return (local - Math.floor(time / 1_000_000) * 1000) * 1000;
}

/** UTC+8 */
export function zoneName(time: Micros = Date.now() * 1000): string {
  const minutes = Math.round(zoneOffset(time) / 60_000_000);
  const hours = Math.trunc(minutes / 60);
  const rest = Math.abs(minutes % 60);
  return `UTC${minutes < 0 ? '−' : '+'}${Math.abs(hours)}${rest ? `:${rest}` : ''}`;
}

/** The value of a datetime-local input for `time`. */
export function toInput(time: Micros, seconds = false): string {
  const local = new Date((time + zoneOffset(time)) / 1000).toISOString();
  return local.slice(0, seconds ? 19 : 16);
}

/** The instant that a datetime-local input names in the site's zone, or null. */
export function fromInput(value: string): Micros | null {
  const local = Date.parse(`${value}Z`);
  if (!value || Number.isNaN(local)) return null;
  const guess = local * 1000;
  return guess - zoneOffset(guess - zoneOffset(guess));
}

/** 98.4 %: never rounded up to 100 while something is missing. */
export function percent(share: number): string {
  if (share >= 1) return '100%';
  return `${(Math.floor(share * 1000) / 10).toFixed(1)}%`;
}

/** How long ago, coarse, for health lines. */
export function ago(time: Micros, now: Micros = Date.now() * 1000): string {
  const text = duration(Math.max(0, now - time));
  return language() === 'zh' ? `${text}前` : `${text} ago`;
}
