/** What can be said of a new password before the API is asked, which decides. */

import { t } from '../i18n/index.svelte';

export const LEAST = 12;
export const PHRASE = 20;

export interface PasswordErrors {
  old?: string | undefined;
  fresh?: string | undefined;
  again?: string | undefined;
  all?: string | undefined;
}

export function passwordErrors(
  old: string,
  fresh: string,
  again: string,
  least = LEAST,
): PasswordErrors {
  if ([...fresh].length < least) return { fresh: t().password.short(least) };
  if (fresh === old) return { fresh: t().password.same };
  if (fresh !== again) return { again: t().password.differ };
  return {};
}
