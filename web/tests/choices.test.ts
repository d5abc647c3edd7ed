import { describe, expect, test } from 'vitest';
import type { Medium, Playback, PlaybackStream, RoomCamera, Timeline } from '../src/api/types';
import {
  camerasOf,
  copyOf,
  joined,
  pictureGaps,
  pictureOf,
  soundAloneOf,
  soundOf,
} from '../src/player/cameras';
import { bestColumns } from '../src/player/grid';
import { commandOf } from '../src/player/keyboard';
import * as layout from '../src/wall/layout';

const stream = (id: string, role: 'main' | 'sub', codec = 'avc1.640028'): PlaybackStream => ({
  stream_id: id,
  camera: id.split('-')[0]!,
  room: 'R',
  role,
  tracks: role === 'main' ? ['picture', 'sound'] : ['picture'],
  codecs: { picture: codec },
});
const playback = (...streams: PlaybackStream[]): Playback => ({
  id: 'p',
  session_id: 's',
  from: 0,
  to: 1,
  live: false,
  streams,
});
const any = () => true;
const onlyH264 = (mime: string) => mime.includes('avc1');

describe('the stream of a tile', () => {
  const [camera] = camerasOf(playback(stream('a-main', 'main'), stream('a-sub', 'sub')), null);

  test('is the sub-stream among many and the main one alone', () => {
    expect(pictureOf(camera!, 'auto', false, any)?.role).toBe('sub');
    expect(pictureOf(camera!, 'auto', true, any)?.role).toBe('main');
    expect(pictureOf(camera!, 'main', false, any)?.role).toBe('main');
  });

  test('is one that the browser can play, whatever was asked', () => {
    const [h265] = camerasOf(
      playback(stream('a-main', 'main', 'hvc1.1.6.L93.B0'), stream('a-sub', 'sub')),
      null,
    );
    expect(pictureOf(h265!, 'main', true, onlyH264)?.role).toBe('sub');
  });

  test('has its sound from the stream that carries it', () => {
    expect(soundOf(camera!)?.stream_id).toBe('a-main');
  });

  test('is the sound where there is no picture, and only there', () => {
    expect(soundAloneOf(camera!)).toBeNull();
    const [phone] = camerasOf(playback({ ...stream('p-main', 'main'), tracks: ['sound'] }), null);
    expect(pictureOf(phone!, 'auto', true, any)).toBeNull();
    expect(soundAloneOf(phone!)?.stream_id).toBe('p-main');
  });
});

test('streams are grouped by camera, in the API’s order', () => {
  const cameras = camerasOf(
    playback(stream('b-main', 'main'), stream('a-main', 'main'), stream('b-sub', 'sub')),
    null,
  );
  expect(cameras.map((camera) => [camera.name, camera.streams.length])).toEqual([
    ['b', 2],
    ['a', 1],
  ]);
});

test('cameras of one name in one room stay apart when the timeline tells them apart', () => {
  const known = (id: string, camera: string) => ({
    stream_id: id,
    camera_id: camera,
    camera: 'a',
    room: 'R',
    role: 'main' as const,
    tracks: [],
    segments: [],
    gaps: [],
  });
  const timeline: Timeline = {
    due: null,
    coverage: null,
    streams: [known('a-1', 'x'), known('a-2', 'y')],
    events: [],
    markers: [],
    live_until: null,
  };
  const both = playback(stream('a-1', 'main'), stream('a-2', 'main'));
  expect(camerasOf(both, timeline)).toHaveLength(2);
  expect(camerasOf(both, null)).toHaveLength(1);
});

test('adjacent segments are drawn as one, and gaps of sound are not gaps of picture', () => {
  expect(
    joined(
      [
        { from: 10, to: 20 },
        { from: 0, to: 10 },
        { from: 40, to: 50 },
      ],
      2,
    ),
  ).toEqual([
    { from: 0, to: 20 },
    { from: 40, to: 50 },
  ]);
  const gaps = [
    { from: 0, to: 5, cause: 'no_audio' as const, medium: 'sound' as const },
    { from: 3, to: 9, cause: 'stall' as const, medium: null },
  ];
  const timeline = { streams: [{ stream_id: 'a', gaps }] } as unknown as Timeline;
  expect(pictureGaps(timeline, 'a', { from: 4, to: 6 })).toEqual([gaps[1]]);
});

describe('columns', () => {
  test('make the pictures as large as the place allows', () => {
    expect(bestColumns(4, 1280, 760)).toBe(2);
    expect(bestColumns(6, 1040, 820)).toBe(2);
    expect(bestColumns(6, 1700, 820)).toBe(3);
    expect(bestColumns(2, 1600, 500)).toBe(2);
    expect(bestColumns(2, 500, 900)).toBe(1);
    expect(bestColumns(1, 900, 900)).toBe(1);
    expect(bestColumns(16, 1280, 760)).toBe(4);
  });

  test('are at least one while nothing has been measured', () => {
    expect(bestColumns(9, 0, 0)).toBe(1);
  });
});

test('a snapshot is of the main stream, if that may be copied', () => {
  const copies: Medium[] = ['picture'];
  const main = stream('a-main', 'main');
  const sub = stream('a-sub', 'sub');
  const of = (...streams: PlaybackStream[]) => copyOf(camerasOf(playback(...streams), null)[0]!);
  expect(of(main, sub)).toBeNull();
  expect(of({ ...sub, copies }, { ...main, copies })?.stream_id).toBe('a-main');
  expect(of(main, { ...sub, copies })?.stream_id).toBe('a-sub');
  expect(of({ ...main, copies: ['sound'] })).toBeNull();
});

describe('keys', () => {
  const press = (key: string, extra = {}) =>
    commandOf({ key, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...extra });

  test('do what they say', () => {
    expect(press(' ')).toEqual({ do: 'toggle' });
    expect(press('ArrowLeft')).toEqual({ do: 'skip', seconds: -5 });
    expect(press('ArrowRight', { shiftKey: true })).toEqual({ do: 'skip', seconds: 1 });
    expect(press(',')).toEqual({ do: 'frame', by: -1 });
    expect(press('J')).toEqual({ do: 'backward' });
    expect(press('s')).toEqual({ do: 'snapshot' });
    expect(press('N')).toEqual({ do: 'marker' });
    expect(press('7')).toEqual({ do: 'focus', index: 6 });
  });

  test('leave the browser its own', () => {
    expect(press('l', { ctrlKey: true })).toBeNull();
    expect(press('s', { metaKey: true })).toBeNull();
    expect(press('x')).toBeNull();
    expect(press('0')).toBeNull();
  });
});

describe('the wall', () => {
  test('reads its address and writes it back', () => {
    const query = new URLSearchParams('n=4&cams=a,,c');
    const found = layout.parse(query);
    expect(found).toEqual({ size: 4, slots: ['a', null, 'c', null] });
    expect(layout.write(4, found!.slots)).toEqual({ n: '4', cams: 'a,,c' });
    expect(layout.parse(new URLSearchParams('n=5'))).toBeNull();
  });

  test('keeps cameras when its size changes, as far as there is room', () => {
    expect(layout.resize(['a', null, 'b', 'c'], 9).slice(0, 4)).toEqual(['a', null, 'b', 'c']);
    expect(layout.resize([null, 'a', null, 'b'], 1)).toEqual(['a']);
  });

  test('puts a camera on the first empty tile, or on the last', () => {
    expect(layout.place(['a', null, null], 'x')).toEqual(['a', 'x', null]);
    expect(layout.place(['a', 'b'], 'x')).toEqual(['a', 'x']);
    expect(layout.place(['a', 'b'], 'a')).toEqual(['a', 'b']);
  });

  test('has a size for every room', () => {
    expect([1, 2, 4, 5, 10, 40].map(layout.sizeFor)).toEqual([1, 2, 4, 6, 16, 16]);
  });

  test('pulls the sub-stream on a small tile and what the browser plays', () => {
    const camera = {
      id: 'c',
      name: 'c',
      streams: [
        { id: 'm', role: 'main', tracks: ['picture'], codecs: { picture: 'hvc1.1' } },
        { id: 's', role: 'sub', tracks: ['picture'], codecs: { picture: 'avc1.64' } },
      ],
    } as RoomCamera;
    expect(layout.streamFor(camera, false, any)?.id).toBe('s');
    expect(layout.streamFor(camera, true, any)?.id).toBe('m');
    expect(layout.streamFor(camera, true, onlyH264)?.id).toBe('s');
    expect(layout.soundStream(camera)).toBeNull();
  });

  test('is pulled before anybody knows what it holds, and not when it holds sound alone', () => {
    const streams = (tracks: string[]) =>
      ({
        id: 'c',
        name: 'c',
        streams: [{ id: 'm', role: 'main', tracks }],
      }) as unknown as RoomCamera;
    expect(layout.streamFor(streams([]), false, any)?.id).toBe('m');
    expect(layout.streamFor(streams(['sound']), false, any)).toBeNull();
  });
});
