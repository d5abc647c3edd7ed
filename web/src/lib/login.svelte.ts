/** Who is signed in, and what the site says of itself. */

import { api, ApiError, whenUnauthorised } from '../api/client';
import type { Me, Role, System } from '../api/types';
import { suggest } from '../i18n/index.svelte';
import { setZone } from './time';

type Login = { kind: 'unknown' } | { kind: 'out' } | { kind: 'in'; me: Me } | { kind: 'down' };

let state = $state.raw<Login>({ kind: 'unknown' });
let about = $state.raw<System | null>(null);

export function login(): Login {
  return state;
}

export function me(): Me | null {
  return state.kind === 'in' ? state.me : null;
}

export function system(): System | null {
  return about;
}

export function has(...roles: Role[]): boolean {
  return me()?.roles.some((role) => roles.includes(role)) ?? false;
}

/** Whether there is anything to watch live: who configures the platform sees no footage. */
export function watches(): boolean {
  return has('supervisor') && !has('system_admin');
}

export function signedIn(who: Me): void {
  state = { kind: 'in', me: who };
  void loadSystem();
}

export async function signOut(): Promise<void> {
  await api.logout().catch(() => undefined);
  state = { kind: 'out' };
}

async function loadSystem(): Promise<void> {
  try {
    about = await api.system();
    suggest(about.language);
    setZone(about.time_zone);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

/** Asks once at the start; afterwards any 401 signs out. */
export async function startLogin(): Promise<void> {
  whenUnauthorised(() => (state = { kind: 'out' }));
  void loadSystem();
  try {
    signedIn(await api.me());
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    state = error.status === 401 ? { kind: 'out' } : { kind: 'down' };
  }
}
