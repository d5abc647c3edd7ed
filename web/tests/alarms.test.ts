import { describe, expect, it, vi } from 'vitest';
import type { Alarm, AlarmFacts } from '../src/api/types';

// The pages' language is read from the browser when the words are loaded.
vi.stubGlobal('localStorage', { getItem: () => 'zh', setItem: () => undefined });
vi.stubGlobal('document', { documentElement: {} });
const { en } = await import('../src/i18n/en');
const { zh } = await import('../src/i18n/zh');
const { alarmCamera, alarmName, alarmWhy, causeName, offset } = await import('../src/lib/names');

const STREAM_KINDS = [
  'not_recording',
  'no_sound',
  'low_frame_rate',
  'long_gop',
  'clock_offset',
  'packet_loss',
];
const CODE = /[a-z]_[a-z]/;

function alarm(kind: string, facts: AlarmFacts | null): Alarm {
  return {
    id: 'a',
    kind,
    subject: 'stream:s',
    cause: 'English for the log',
    facts,
    room_id: 'r',
    raised_at: 0,
    cleared_at: null,
    acknowledged_at: null,
    acknowledged_by: null,
  };
}

describe('alarms about streams', () => {
  it.each(STREAM_KINDS)('%s is worded, without a code, whatever is known', (kind) => {
    const facts = { camera: '门口', role: 'main' as const, cause: 'recorder_down' };
    for (const given of [facts, {}, null]) {
      const shown = alarm(kind, given);
      expect(alarmName(kind)).not.toMatch(CODE);
      expect(alarmWhy(shown)).not.toBe('');
      expect(alarmWhy(shown)).not.toMatch(CODE);
    }
  });

  it('names every kind in both languages', () => {
    for (const words of [zh, en]) {
      expect(Object.keys(words.alarms.kinds)).toEqual(expect.arrayContaining(STREAM_KINDS));
      expect(Object.keys(words.alarms.why).sort()).toEqual([...STREAM_KINDS].sort());
    }
  });

  it('says the fix for key frames that are too far apart', () => {
    const why = alarmWhy(alarm('long_gop', { gop_ms: 10_240 }));
    expect(why).toContain('10');
    expect(why).toMatch(/1–2/);
  });

  it('says how far a clock is off, and to which side', () => {
    expect(offset(90_000_000)).toBe('+90.0');
    expect(offset(-2_340_000)).toBe('−2.3');
  });

  it('names the camera, and the sub-stream', () => {
    expect(alarmCamera(alarm('no_sound', { camera: '门口', role: 'main' }))).toBe('门口');
    expect(alarmCamera(alarm('no_sound', { camera: '门口', role: 'sub' }))).toMatch(
      /^门口 \(.+\)$/,
    );
    expect(alarmCamera(alarm('store_down', null))).toBe('');
    expect(alarmWhy(alarm('store_down', null))).toBe('');
  });

  it('names what makes a recorded stream poorer', () => {
    for (const cause of ['silent', 'low_frame_rate']) expect(causeName(cause)).not.toMatch(CODE);
  });
});
