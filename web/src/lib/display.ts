/** Whether this browser is a registered display, as far as it can know: its cookie is not readable. */

const KEY = 'bidwitness.is-display';

export function isDisplay(): boolean {
  return localStorage.getItem(KEY) === 'yes';
}

export function rememberDisplay(yes: boolean): void {
  if (yes) localStorage.setItem(KEY, 'yes');
  else localStorage.removeItem(KEY);
}

/** Which tiles are on the wall now: so many at once, the rest by turns. */
export function groupOf<T>(
  all: readonly T[],
  size: number,
  turn: number,
): { tiles: T[]; count: number; at: number } {
  const count = Math.max(1, Math.ceil(all.length / size));
  const at = ((turn % count) + count) % count;
  return { tiles: all.slice(at * size, (at + 1) * size), count, at };
}
