/** How a camera is recorded: all the time, or for sessions only. */

import type { Camera, CameraChange, RecordMode } from '../api/types';

/** What a camera's mode becomes by its menu: the other of the two. */
export function otherMode(camera: Pick<Camera, 'mode'>): RecordMode {
  return camera.mode === 'session' ? 'continuous' : 'session';
}

/** The change to send for a mode; null while the exception has no reason. */
export function modeChange(mode: RecordMode, reason: string): CameraChange | null {
  if (mode === 'continuous') return { mode };
  const said = reason.trim();
  return said ? { mode, mode_reason: said } : null;
}
