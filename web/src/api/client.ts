/** The one client of the REST API: same origin, cookie login, problem+json errors. */

import type {
  Account,
  Alarm,
  ApiToken,
  Approval,
  AuditEntry,
  AuditReport,
  BreakGlass,
  BreakGlassPage,
  Camera,
  CameraChange,
  Copy,
  Disposal,
  DueDisposal,
  Display,
  DisplayState,
  DutyNetwork,
  Enrolment,
  EvidenceReport,
  FoundDevice,
  Grant,
  Hold,
  KeyList,
  LoginRow,
  Me,
  Micros,
  NewApiToken,
  NewCamera,
  NewClaim,
  NewCopy,
  NewDisplay,
  NewHandover,
  NewMarker,
  NewProject,
  NewProof,
  NewRoster,
  NewSession,
  NewSnapshot,
  Outcome,
  Page,
  PairingCode,
  Playback,
  PlaybackRequest,
  Policy,
  ProbeRequest,
  ProbeResult,
  Problem,
  Project,
  ProvedEntry,
  Reconciliation,
  RecoveryCodes,
  RegisterRow,
  RightsSettings,
  Role,
  RoleScope,
  Room,
  Roster,
  SecondStep,
  Session,
  SessionQuery,
  Snapshot,
  StoreState,
  Substitution,
  System,
  ThumbnailIndex,
  Ticket,
  Timeline,
  TrailQuery,
  User,
  VerifyReport,
  ViewingRecord,
  WholeRegisterRow,
} from './types';

const BASE = '/api/v1';
// Where a 401 says that something was wrong, not that a login has ended.
// A display that is refused says nothing of whoever is signed in on top of it.
const SIGNING_IN = /^\/(auth\/(login|second(\/|$))|display(\/|$))/;

/** What the API refused, with the words it gave; status 0 when it could not be reached. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail || problem.title || `HTTP ${problem.status}`);
    this.name = 'ApiError';
  }

  get status(): number {
    return this.problem.status;
  }

  /** The stable name of what went wrong, such as `conflict`. */
  get kind(): string {
    return this.problem.type?.replace('urn:bidwitness:', '') ?? '';
  }

  /** The message for one field of the form that was sent, if the API named it. */
  field(name: string): string | undefined {
    return this.problem.fields?.[name];
  }
}

let onUnauthorised: () => void = () => {};

/** Calls `listener` whenever the API answers 401: the login is gone, whatever the page. */
export function whenUnauthorised(listener: () => void): void {
  onUnauthorised = listener;
}

async function problemOf(response: Response): Promise<Problem> {
  const text = await response.text();
  try {
    return { ...(JSON.parse(text) as Problem), status: response.status };
  } catch {
    return { status: response.status, title: response.statusText };
  }
}

async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal) {
  const init: RequestInit = { method, credentials: 'same-origin', signal: signal ?? null };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { 'Content-Type': 'application/json' };
  }
  let response: Response;
  try {
    response = await fetch(BASE + path, init);
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError({ status: 0, title: 'unreachable' });
  }
  if (!response.ok) {
    const problem = await problemOf(response);
    if (response.status === 401 && !SIGNING_IN.test(path)) onUnauthorised();
    throw new ApiError(problem);
  }
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

function query(values: object): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined && value !== '') search.set(key, String(value));
  }
  const text = search.toString();
  return text ? `?${text}` : '';
}

const id = encodeURIComponent;

export const api = {
  login: (username: string, password: string) =>
    call<Me | SecondStep>('POST', '/auth/login', { username, password }),
  /** Gives the provider's page, for the browser to go to. */
  beginOidc: () => call<{ location: string }>('POST', '/auth/oidc/start', {}),
  linkOidc: (password: string) =>
    call<{ location: string }>('POST', '/account/oidc/link', { password }),
  unlinkOidc: (password: string) => call<void>('POST', '/account/oidc/unlink', { password }),
  unlinkUser: (userId: string) => call<void>('POST', `/users/${id(userId)}/unlink`, {}),
  wantedFactors: () =>
    call<SecondStep & { username: string }>('GET', '/auth/second', undefined, undefined),
  giveCode: (factor: 'totp' | 'recovery', code: string) =>
    call<Me>('POST', '/auth/second/code', { factor, code }),
  loginKeyOptions: () => call<object>('POST', '/auth/second/key-options', {}),
  giveKey: (credential: object) => call<Me>('POST', '/auth/second/key', { credential }),
  logout: () => call<void>('POST', '/auth/logout', {}),
  me: () => call<Me>('GET', '/auth/me'),
  changePassword: (old: string, fresh: string) =>
    call<void>('POST', '/auth/password', { old, new: fresh }),

  account: (signal?: AbortSignal) => call<Account>('GET', '/account', undefined, signal),
  beginTotp: (password: string) => call<Enrolment>('POST', '/account/totp', { password }),
  confirmTotp: (code: string) => call<RecoveryCodes>('POST', '/account/totp/confirm', { code }),
  removeTotp: (password: string) => call<void>('POST', '/account/totp/remove', { password }),
  keyOptions: (password: string) => call<object>('POST', '/account/keys/options', { password }),
  addKey: (name: string, credential: object) =>
    call<RecoveryCodes>('POST', '/account/keys', { name, credential }),
  removeKey: (keyId: string, password: string) =>
    call<void>('POST', `/account/keys/${id(keyId)}/remove`, { password }),
  newRecoveryCodes: (password: string) =>
    call<RecoveryCodes>('POST', '/account/recovery-codes', { password }),
  logins: (signal?: AbortSignal) =>
    call<{ items: LoginRow[] }>('GET', '/account/logins', undefined, signal),
  endLogin: (loginId: string) => call<void>('POST', `/account/logins/${id(loginId)}/end`, {}),
  endOtherLogins: () => call<{ ended: number }>('POST', '/account/logins/end-others', {}),
  tokens: (signal?: AbortSignal) =>
    call<{ items: ApiToken[]; areas: string[] }>('GET', '/account/tokens', undefined, signal),
  newToken: (wish: NewApiToken) =>
    call<ApiToken & { token: string }>('POST', '/account/tokens', wish),
  revokeToken: (tokenId: string) => call<void>('POST', `/account/tokens/${id(tokenId)}/revoke`, {}),

  approvals: (closed: boolean, signal?: AbortSignal) =>
    call<{ items: Approval[] }>('GET', `/approvals${query({ closed })}`, undefined, signal),
  ask: (kind: string, content: object, reason: string) =>
    call<Approval>('POST', '/approvals', { kind, content, reason }),
  judge: (approvalId: string, act: 'approve' | 'reject', digest: string, opinion?: string) =>
    call<Approval>('POST', `/approvals/${id(approvalId)}/${act}`, {
      content_sha256: digest,
      ...(opinion ? { opinion } : {}),
    }),
  withdraw: (approvalId: string) =>
    call<Approval>('POST', `/approvals/${id(approvalId)}/withdraw`, {}),
  execute: (approvalId: string, digest: string) =>
    call<Approval & { told: Record<string, string> }>(
      'POST',
      `/approvals/${id(approvalId)}/execute`,
      { content_sha256: digest },
    ),

  system: () => call<System>('GET', '/system'),
  store: (signal?: AbortSignal) => call<StoreState>('GET', '/system/store', undefined, signal),

  rooms: (signal?: AbortSignal) => call<Page<Room>>('GET', '/rooms', undefined, signal),
  newRoom: (name: string, kind: string) => call<Room>('POST', '/rooms', { name, kind }),
  projects: (q: string, signal?: AbortSignal) =>
    call<Page<Project>>('GET', `/projects${query({ q })}`, undefined, signal),

  newProject: (project: NewProject) => call<Project>('POST', '/projects', project),

  cameras: (signal?: AbortSignal) => call<Page<Camera>>('GET', '/cameras', undefined, signal),
  addCamera: (camera: NewCamera) => call<Camera>('POST', '/cameras', camera),
  changeCamera: (cameraId: string, change: CameraChange) =>
    call<Camera>('PATCH', `/cameras/${id(cameraId)}`, change),
  removeCamera: (cameraId: string) => call<void>('DELETE', `/cameras/${id(cameraId)}`),
  probe: (request: ProbeRequest, signal?: AbortSignal) =>
    call<ProbeResult>('POST', '/cameras/probe', request, signal),
  discover: () => call<Page<FoundDevice>>('POST', '/cameras/discover', {}),

  sessions: (filter: SessionQuery, signal?: AbortSignal) =>
    call<Page<Session>>('GET', `/sessions${query(filter)}`, undefined, signal),
  session: (sessionId: string, signal?: AbortSignal) =>
    call<Session>('GET', `/sessions/${id(sessionId)}`, undefined, signal),
  newSession: (session: NewSession) => call<Session>('POST', '/sessions', session),
  timeline: (sessionId: string, signal?: AbortSignal) =>
    call<Timeline>('GET', `/sessions/${id(sessionId)}/timeline`, undefined, signal),
  act: (sessionId: string, act: SessionAct, body: object = {}) =>
    call<unknown>('POST', `/sessions/${id(sessionId)}/${act}`, body),
  end: (sessionId: string, outcome: Outcome) =>
    call<unknown>('POST', `/sessions/${id(sessionId)}/end`, { outcome }),
  verify: (sessionId: string) =>
    call<VerifyReport>('POST', `/sessions/${id(sessionId)}/verify`, {}),
  evidenceReports: (sessionId: string, signal?: AbortSignal) =>
    call<{ items: EvidenceReport[] }>(
      'GET',
      `/sessions/${id(sessionId)}/evidence-reports`,
      undefined,
      signal,
    ),
  newEvidenceReport: (sessionId: string) =>
    call<{ job_id: string }>('POST', `/sessions/${id(sessionId)}/evidence-reports`, {}),
  copies: (sessionId: string, signal?: AbortSignal) =>
    call<{ items: Copy[] }>(
      'GET',
      `/exports${query({ session_id: sessionId })}`,
      undefined,
      signal,
    ),
  newCopy: (copy: NewCopy) => call<Copy>('POST', '/exports', copy),
  cancelJob: (jobId: string) => call<unknown>('POST', `/jobs/${id(jobId)}/cancel`, {}),
  retryJob: (jobId: string) => call<unknown>('POST', `/jobs/${id(jobId)}/retry`, {}),
  claim: (sessionId: string, claim: NewClaim) =>
    call<unknown>('POST', `/sessions/${id(sessionId)}/claims`, claim),

  alarms: (signal?: AbortSignal) =>
    call<Page<Alarm>>('GET', '/alarms?open=true', undefined, signal),
  acknowledge: (alarmId: string) => call<Alarm>('POST', `/alarms/${id(alarmId)}/acknowledge`, {}),

  displays: (signal?: AbortSignal) => call<Page<Display>>('GET', '/displays', undefined, signal),
  newDisplay: (display: NewDisplay) => call<PairingCode>('POST', '/displays', display),
  newDisplayCode: (displayId: string) =>
    call<PairingCode>('POST', `/displays/${id(displayId)}/code`, {}),
  renameDisplay: (displayId: string, name: string) =>
    call<Display>('PATCH', `/displays/${id(displayId)}`, { name }),
  revokeDisplay: (displayId: string, reason: string) =>
    call<Display>('POST', `/displays/${id(displayId)}/revoke`, { reason }),
  dutyNetworks: (signal?: AbortSignal) =>
    call<Page<DutyNetwork>>('GET', '/duty-networks', undefined, signal),
  newDutyNetwork: (name: string, network: string) =>
    call<DutyNetwork>('POST', '/duty-networks', { name, network }),
  endDutyNetwork: (networkId: string) =>
    call<void>('POST', `/duty-networks/${id(networkId)}/end`, {}),
  rightsSettings: (signal?: AbortSignal) =>
    call<RightsSettings>('GET', '/rights/settings', undefined, signal),
  setRights: (change: Partial<RightsSettings>) =>
    call<RightsSettings>('PATCH', '/rights/settings', change),
  pairDisplay: (code: string) => call<void>('POST', '/display/pair', { code }),
  renewDisplay: () => call<void>('POST', '/display/renew', {}),
  displayState: (signal?: AbortSignal) => call<DisplayState>('GET', '/display', undefined, signal),

  users: () => call<Page<User>>('GET', `/users${query({ limit: 500 })}`),
  newUser: (wish: { username: string; name?: string; roles: Role[] }) =>
    call<User & { password: string | null }>('POST', '/users', wish),
  changeUser: (userId: string, change: { name: string; roles: Role[]; disabled: boolean }) =>
    call<User>('PATCH', `/users/${id(userId)}`, change),
  newService: (wish: { username: string; name?: string; owner_id: string }) =>
    call<User>('POST', '/services', wish),
  changeService: (
    serviceId: string,
    change: { name: string; owner_id?: string; disabled: boolean },
  ) => call<User>('PATCH', `/services/${id(serviceId)}`, change),
  serviceTokens: (serviceId: string) =>
    call<{ items: ApiToken[]; areas: string[] }>('GET', `/services/${id(serviceId)}/tokens`),
  newServiceToken: (serviceId: string, wish: NewApiToken) =>
    call<ApiToken & { token: string }>('POST', `/services/${id(serviceId)}/tokens`, wish),
  revokeServiceToken: (serviceId: string, tokenId: string) =>
    call<void>('POST', `/services/${id(serviceId)}/tokens/${id(tokenId)}/revoke`, {}),
  grants: (sessionId: string, signal?: AbortSignal) =>
    call<Page<Grant>>('GET', `/grants${query({ session_id: sessionId })}`, undefined, signal),
  rosters: (signal?: AbortSignal) => call<Page<Roster>>('GET', '/rosters', undefined, signal),
  newRoster: (roster: NewRoster) => call<Roster>('POST', '/rosters', roster),
  approveRoster: (rosterId: string) => call<Roster>('POST', `/rosters/${id(rosterId)}/approve`, {}),
  endRoster: (rosterId: string, reason: string) =>
    call<Roster>('POST', `/rosters/${id(rosterId)}/end`, { reason }),
  agreeToGrant: (grantId: string) => call<Grant>('POST', `/grants/${id(grantId)}/department`, {}),

  breakGlasses: (wish: { due?: boolean; cursor?: string }, signal?: AbortSignal) =>
    call<BreakGlassPage>('GET', `/break-glass${query(wish)}`, undefined, signal),
  breakGlass: (sessionId: string, reason: string) =>
    call<BreakGlass>('POST', '/break-glass', { session_id: sessionId, reason }),
  reviewBreakGlass: (grantId: string, justified: boolean, opinion: string) =>
    call<BreakGlass>('POST', `/break-glass/${id(grantId)}/review`, { justified, opinion }),

  holds: (signal?: AbortSignal) =>
    call<Page<Hold>>('GET', `/holds${query({ open: true, limit: 500 })}`, undefined, signal),
  policies: (signal?: AbortSignal) => call<Page<Policy>>('GET', '/policies', undefined, signal),
  setPolicy: (policy: object) => call<Policy>('PUT', '/policies', policy),
  dueDisposals: (signal?: AbortSignal) =>
    call<{ items: DueDisposal[] }>('GET', '/disposals/due', undefined, signal),
  disposals: (signal?: AbortSignal) => call<Page<Disposal>>('GET', '/disposals', undefined, signal),

  scopes: (signal?: AbortSignal) =>
    call<Page<RoleScope>>('GET', `/scopes${query({ limit: 500 })}`, undefined, signal),
  newScope: (scope: object) => call<RoleScope>('POST', '/scopes', scope),
  substitutions: (signal?: AbortSignal) =>
    call<Page<Substitution>>('GET', `/substitutions${query({ limit: 500 })}`, undefined, signal),
  newSubstitution: (wish: object) => call<Substitution>('POST', '/substitutions', wish),
  endStanding: (what: 'scopes' | 'substitutions', rowId: string, reason: string) =>
    call<unknown>('POST', `/${what}/${id(rowId)}/end`, { reason }),

  register: (q: string, cursor?: string, signal?: AbortSignal) =>
    call<Page<RegisterRow>>('GET', `/register${query({ q, cursor })}`, undefined, signal),
  registerRow: (rowId: string) => call<WholeRegisterRow>('GET', `/register/${id(rowId)}`),
  handOver: (rowId: number, handover: NewHandover) =>
    call<WholeRegisterRow>('POST', `/register/${rowId}/handover`, handover),
  prove: (rowId: number, proof: NewProof) =>
    call<WholeRegisterRow>('POST', `/register/${rowId}/proof`, proof),
  audit: (wish: TrailQuery & { cursor?: string | undefined; limit: number }) =>
    call<Page<AuditEntry>>('GET', `/audit${query(wish)}`),
  auditEntry: (number: number) => call<ProvedEntry>('GET', `/audit/entries/${number}`),
  reconciliation: (signal?: AbortSignal) =>
    call<Reconciliation>('GET', '/audit/reconciliation', undefined, signal),
  walkTrail: () => call<Reconciliation>('POST', '/audit/reconciliation', {}),
  auditReports: (signal?: AbortSignal) =>
    call<Page<AuditReport>>('GET', '/audit/reports', undefined, signal),
  newAuditReport: (wish: TrailQuery & { reason: string }) =>
    call<{ job_id: string; entries: number }>('POST', '/audit/reports', wish),

  newPlayback: (request: PlaybackRequest) => call<Playback>('POST', '/playbacks', request),

  newTicket: (playbackId: string, minutes: number) =>
    call<Ticket>('POST', `/playbacks/${id(playbackId)}/ticket`, { minutes }),
  revokeTicket: (playbackId: string) =>
    call<void>('POST', `/playbacks/${id(playbackId)}/ticket/revoke`),

  newMarker: (marker: NewMarker) => call<unknown>('POST', '/markers', marker),
  removeMarker: (markerId: string, reason?: string) =>
    call<void>('POST', `/markers/${id(markerId)}/remove`, reason ? { reason } : {}),

  snapshot: (wish: NewSnapshot) => call<Snapshot>('POST', '/snapshots', wish),
  newViewingRecord: (playbackId: string) =>
    call<ViewingRecord>('POST', '/viewing-records', { playback_id: playbackId }),
  viewingRecord: (recordId: string) =>
    call<ViewingRecord>('GET', `/viewing-records/${id(recordId)}`),
};

async function fetched(address: string): Promise<Response> {
  const response = await fetch(address, { credentials: 'same-origin' });
  if (response.status === 401) onUnauthorised();
  if (!response.ok) throw new ApiError(await problemOf(response));
  return response;
}

/** The thumbnails of a stream of a playback: what there is, and each sheet as a picture. */
export function thumbnailsOf(playbackId: string, streamId: string) {
  const base = `/play/${id(playbackId)}/${id(streamId)}/thumbnails`;
  return {
    index: async () => (await (await fetched(base)).json()) as ThumbnailIndex,
    sheet: async (sheetId: string) => (await fetched(`${base}/${id(sheetId)}.jpg`)).blob(),
  };
}

/** The key frames of a stream of a playback: lists, pieces, and the init that a piece needs. */
export function keysOf(playbackId: string, streamId: string) {
  const base = `/play/${id(playbackId)}/${id(streamId)}`;
  return {
    list: async (from: Micros, to: Micros, step: Micros) =>
      (await (await fetched(`${base}/keys${query({ from, to, step })}`)).json()) as KeyList,
    piece: async (address: string) => (await fetched(`${base}/${address}`)).arrayBuffer(),
    init: async (init: string) =>
      (await fetched(`${base}/picture/init/${id(init)}.mp4`)).arrayBuffer(),
  };
}

export type SessionAct =
  'start' | 'suspend' | 'recess' | 'resume' | 'extend' | 'undo-end' | 'seal' | 'cancel';

/** Where the exact list of what would be destroyed of a session is given. */
export function disposalListUrl(sessionId: string): string {
  return `${BASE}/disposals/lists/${id(sessionId)}`;
}

/** Where the timeline of a session is given as a file. */
export function timelineFile(sessionId: string, form: 'csv' | 'json'): string {
  return `${BASE}/sessions/${id(sessionId)}/timeline/${form}`;
}

/** Where the register comes as a table. */
export function registerTableUrl(q: string): string {
  return `${BASE}/register/table${query({ q })}`;
}

/** Where all that a search of the audit trail finds is given as CSV. */
export function auditSheetUrl(wish: TrailQuery): string {
  return `${BASE}/audit/csv${query(wish)}`;
}

/** Where one track of a playback is served as a playlist. */
export function playlistUrl(playbackId: string, streamId: string, track: string): string {
  return `/play/${id(playbackId)}/${id(streamId)}/${id(track)}/index.m3u8`;
}

/** Where one track of a stream is sent live. */
export function liveUrl(streamId: string, track: string, origin: Location = location): string {
  const scheme = origin.protocol === 'https:' ? 'wss:' : 'ws:';
  return `${scheme}//${origin.host}${BASE}/live/${id(streamId)}?track=${id(track)}`;
}

/** Where a registered display is sent the picture of a stream. */
export function displayLiveUrl(streamId: string, origin: Location = location): string {
  const scheme = origin.protocol === 'https:' ? 'wss:' : 'ws:';
  return `${scheme}//${origin.host}${BASE}/display/live/${id(streamId)}`;
}
