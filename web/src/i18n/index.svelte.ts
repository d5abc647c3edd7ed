/** Which language the pages speak. Chinese unless the user, or the site, chose otherwise. */

import { en } from './en';
import { zh } from './zh';

/** Every dictionary has exactly the keys of the Chinese one: a missing one fails the type check. */
export type Dictionary = typeof zh;
export type Language = 'zh' | 'en';

const KEY = 'bidwitness.language';
const dictionaries: Record<Language, Dictionary> = { zh, en };

function stored(): Language | null {
  const value = localStorage.getItem(KEY);
  return value === 'zh' || value === 'en' ? value : null;
}

let current = $state<Language>(stored() ?? 'zh');

export function t(): Dictionary {
  return dictionaries[current];
}

export function language(): Language {
  return current;
}

export function locale(): string {
  return current === 'zh' ? 'zh-CN' : 'en-GB';
}

export function speak(to: Language): void {
  current = to;
  localStorage.setItem(KEY, to);
  document.documentElement.lang = locale();
}

/** The site's own language, used until the user has chosen. */
export function suggest(to: string | undefined): void {
  if (stored() === null && to?.startsWith('en')) current = 'en';
  document.documentElement.lang = locale();
}
