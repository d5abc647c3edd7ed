/** Short notices at the edge of the page, read aloud by screen readers. */

import { ApiError } from '../api/client';
import { t } from '../i18n/index.svelte';

export interface Notice {
  id: number;
  kind: 'done' | 'failed';
  text: string;
}

let all = $state<Notice[]>([]);
let next = 1;

export function notices(): Notice[] {
  return all;
}

export function dismiss(id: number): void {
  all = all.filter((notice) => notice.id !== id);
}

export function tell(text: string, kind: Notice['kind'] = 'done'): void {
  const id = next++;
  all = [...all.slice(-2), { id, kind, text }];
  setTimeout(() => dismiss(id), kind === 'done' ? 5000 : 12_000);
}

/** The API's own words where it gave some, else what its status means. */
export function explain(error: unknown): string {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 0) return t().errors.unreachable;
  if (error.status === 403) return error.problem.detail ?? t().errors.forbidden;
  if (error.status === 404) return error.problem.detail ?? t().errors.gone;
  return error.message;
}

export function tellError(error: unknown): void {
  tell(explain(error), 'failed');
}
