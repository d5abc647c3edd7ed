/** What the way back from the OpenID provider says: one word in the address, taken from it once. */

import type zh from '../i18n/words.zh.json';
import { t } from '../i18n/index.svelte';
import { setQuery } from './router.svelte';

export type Fault = keyof (typeof zh)['signInFault'];

export function cameBack(): string | null {
  const word = new URLSearchParams(location.search).get('oidc');
  if (word !== null) setQuery({ oidc: null });
  return word;
}

/** Anybody can write an address: what is none of our words says nothing. */
export function faultOf(word: string | null): Fault | null {
  return word !== null && Object.hasOwn(t().signInFault, word) ? (word as Fault) : null;
}
