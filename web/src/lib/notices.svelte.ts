/** Short notices at the edge of the page, read aloud by screen readers. */

import { ApiError } from '../api/client';
import { language, t } from '../i18n/index.svelte';

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

/** What went wrong in the reader's language, then the API's own sentence, which has the details. */
export function explain(error: unknown): string {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 0) return t().errors.unreachable;
  const kinds: Record<string, string> = t().errors.kinds;
  const general = kinds[error.kind];
  const detail = error.problem.detail;
  if (!detail) return general ?? `HTTP ${error.status}`;
  // The API speaks English: to an English reader the details say it all.
  return general && language() !== 'en' ? `${general}（${detail}）` : detail;
}

export function tellError(error: unknown): void {
  tell(explain(error), 'failed');
}
