/** How sessions and streams are named in lists: 项目编号 · 标段 · 环节 · 场地. */

import type { Alarm, Session, Stream, StreamHealth } from '../api/types';
import { t } from '../i18n/index.svelte';

export interface Lead {
  code: string;
  lot: string;
  kind: string;
  rooms: string;
}

function lotName(code: string, name: string): string {
  if (!code || code === '-') return t().sessions.wholeProject;
  return name && name !== code ? `${code} ${name}` : code;
}

export function lead(session: Session): Lead {
  const codes = [...new Set(session.items.map((item) => item.project_code))];
  const lots = session.items.map((item) => lotName(item.lot_code, item.lot_name));
  const rooms = [...new Set(session.bookings.map((booking) => booking.room_name))];
  return {
    code: t().listed(codes),
    lot: lots.length > 1 ? t().sessions.lots(lots[0]!, lots.length) : (lots[0] ?? ''),
    kind: t().sessionKind[session.kind],
    rooms: t().listed(rooms),
  };
}

export function leadText(session: Session): string {
  const { code, lot, kind, rooms } = lead(session);
  return [code, lot, kind, rooms].filter(Boolean).join(' · ');
}

const ORDER = ['offline', 'stalled', 'degraded', 'ok'] as const;

/** The worst health among a camera's streams; null while nothing is known. */
export function worst(streams: readonly Stream[]): StreamHealth | null {
  const known = streams.map((stream) => stream.health).filter((health) => !!health);
  for (const state of ORDER) {
    const found = known.find((health) => health.state === state);
    if (found) return found;
  }
  return null;
}

/** What an alarm is called; one the pages do not know is shown as the API sent it. */
export function alarmName(kind: string): string {
  const names: Record<string, string> = t().alarms.kinds;
  return names[kind] ?? kind;
}

/** Which camera an alarm is about, and which of its streams; empty if it is about none. */
export function alarmCamera(alarm: Alarm): string {
  const { camera, role } = alarm.facts ?? {};
  if (!camera) return '';
  return role === 'sub' ? `${camera} (${t().streamRole.sub})` : camera;
}

/** Why, and what helps, for an alarm about a stream; empty for the others: their name says it. */
export function alarmWhy(alarm: Alarm): string {
  const { cause, centi_fps, gop_ms, clock_us, loss_ppm } = alarm.facts ?? {};
  const why = t().alarms.why;
  switch (alarm.kind) {
    case 'not_recording':
      return why.not_recording(causeName(cause ?? 'unknown'));
    case 'no_sound':
      return why.no_sound(causeName(cause ?? 'no_audio'));
    case 'low_frame_rate':
      return why.low_frame_rate(((centi_fps ?? 0) / 100).toFixed(0));
    case 'long_gop':
      return why.long_gop(((gop_ms ?? 0) / 1000).toFixed(0));
    case 'clock_offset':
      return why.clock_offset(offset(clock_us ?? 0));
    case 'packet_loss':
      return why.packet_loss(((loss_ppm ?? 0) / 1e4).toFixed(2));
    default:
      return '';
  }
}

/** A difference of clocks in seconds, with its sign. */
export function offset(us: number): string {
  return `${us < 0 ? '−' : '+'}${(Math.abs(us) / 1e6).toFixed(1)}`;
}

/** The fixed name of a gap's cause or a stream's fault; an unknown one as the API sent it. */
export function causeName(cause: string | null | undefined): string {
  if (!cause) return '';
  const names: Record<string, string> = { ...t().fault, ...t().cause };
  return names[cause] ?? cause;
}
