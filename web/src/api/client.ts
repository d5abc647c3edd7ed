/** The one client of the REST API: same origin, cookie login, problem+json errors. */

import type {
  Alarm,
  Camera,
  CameraChange,
  EvidenceReport,
  FoundDevice,
  Me,
  NewCamera,
  NewClaim,
  NewGrant,
  NewMarker,
  NewProject,
  NewSession,
  NewSnapshot,
  Outcome,
  Page,
  Playback,
  PlaybackRequest,
  ProbeRequest,
  ProbeResult,
  Problem,
  Project,
  Room,
  Session,
  SessionQuery,
  Snapshot,
  System,
  ThumbnailIndex,
  Timeline,
  User,
  VerifyReport,
} from './types';

const BASE = '/api/v1';

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
    if (response.status === 401 && path !== '/auth/login') onUnauthorised();
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
    call<Me>('POST', '/auth/login', { username, password }),
  logout: () => call<void>('POST', '/auth/logout', {}),
  me: () => call<Me>('GET', '/auth/me'),
  changePassword: (old: string, fresh: string) =>
    call<void>('POST', '/auth/password', { old, new: fresh }),
  system: () => call<System>('GET', '/system'),

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
  claim: (sessionId: string, claim: NewClaim) =>
    call<unknown>('POST', `/sessions/${id(sessionId)}/claims`, claim),

  alarms: (signal?: AbortSignal) =>
    call<Page<Alarm>>('GET', '/alarms?open=true', undefined, signal),
  acknowledge: (alarmId: string) => call<Alarm>('POST', `/alarms/${id(alarmId)}/acknowledge`, {}),

  users: () => call<Page<User>>('GET', `/users${query({ limit: 500 })}`),
  grant: (grant: NewGrant) => call<unknown>('POST', '/grants', grant),

  newPlayback: (request: PlaybackRequest) => call<Playback>('POST', '/playbacks', request),

  newMarker: (marker: NewMarker) => call<unknown>('POST', '/markers', marker),
  removeMarker: (markerId: string, reason?: string) =>
    call<void>('POST', `/markers/${id(markerId)}/remove`, reason ? { reason } : {}),

  snapshot: (wish: NewSnapshot) => call<Snapshot>('POST', '/snapshots', wish),
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

export type SessionAct =
  'start' | 'suspend' | 'recess' | 'resume' | 'extend' | 'undo-end' | 'seal' | 'cancel';

/** Where one track of a playback is served as a playlist. */
export function playlistUrl(playbackId: string, streamId: string, track: string): string {
  return `/play/${id(playbackId)}/${id(streamId)}/${id(track)}/index.m3u8`;
}

/** Where one track of a stream is sent live. */
export function liveUrl(streamId: string, track: string, origin: Location = location): string {
  const scheme = origin.protocol === 'https:' ? 'wss:' : 'ws:';
  return `${scheme}//${origin.host}${BASE}/live/${id(streamId)}?track=${id(track)}`;
}
