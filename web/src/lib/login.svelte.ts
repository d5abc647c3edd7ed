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
  return has('supervisor', 'venue', 'attestor');
}

/** Whether there may be footage to rewind or to replay; each sight is decided by the server. */
export function sees(): boolean {
  return has('supervisor', 'attestor', 'auditor');
}

/** Whether she reads about sessions. */
export function reads(): boolean {
  return sees() || has('venue', 'archivist', 'director', 'security_admin');
}

/** Whether duty rosters concern her. */
export function rosters(): boolean {
  return has('supervisor', 'director', 'security_admin');
}

/** Whether she asks for, or is asked to agree to, what nobody does alone. */
export function agrees(): boolean {
  return has(
    ...(['system_admin', 'security_admin', 'audit_admin'] as const),
    ...(['director', 'archivist', 'auditor', 'supervisor', 'venue'] as const),
  );
}

/** Whether she reads the register of access and copies. */
export function registers(): boolean {
  return has('archivist', 'director', 'security_admin', 'audit_admin');
}

/** Whether she is told of break-glass, or may take it. */
export function urgent(): boolean {
  return has('supervisor', 'director', 'security_admin', 'audit_admin');
}

/** Whether it concerns her how long footage is kept. */
export function keeps(): boolean {
  return has('archivist', 'supervisor', 'director', 'security_admin');
}

/** Whether the people of the site concern her. */
export function people(): boolean {
  return has('security_admin', 'system_admin');
}

/** Whether she registers displays, and says where duty is done. */
export function placesDisplays(): boolean {
  return has('security_admin');
}

/** Whether she looks through the audit trail. */
export function audits(): boolean {
  return has('audit_admin');
}

/** Whether she looks after the cameras. */
export function tends(): boolean {
  return has('system_admin', 'operator');
}

export function signedIn(who: Me): void {
  state = { kind: 'in', me: who };
  void loadSystem();
}

export async function signOut(): Promise<void> {
  await api.logout().catch(() => undefined);
  state = { kind: 'out' };
}

/** The login has ended somewhere else: the site said so. */
export function signedOut(): void {
  if (state.kind === 'in') state = { kind: 'out' };
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
