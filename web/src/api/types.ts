/**
 * The shapes the API speaks, word for word as in its REST contract.
 * Every instant is integer microseconds UTC; a JavaScript number holds them exactly until 2255.
 */

export type Micros = number;

export type Role =
  | 'supervisor'
  | 'venue'
  | 'attestor'
  | 'archivist'
  | 'auditor'
  | 'operator'
  | 'director'
  | 'system_admin'
  | 'security_admin'
  | 'audit_admin'
  | 'service';
export type Medium = 'picture' | 'sound' | 'screen';
export type StreamRole = 'main' | 'sub';
export type HealthState = 'ok' | 'degraded' | 'stalled' | 'offline';

export type RoomKind =
  | 'opening'
  | 'reception'
  | 'bidding'
  | 'auction'
  | 'evaluation'
  | 'negotiation'
  | 'clarification'
  | 'expert_draw'
  | 'sample'
  | 'supervision'
  | 'archive'
  | 'public'
  | 'corridor'
  | 'duty'
  | 'rest';

export type SessionKind =
  | 'opening'
  | 'bidding'
  | 'auction'
  | 'evaluation'
  | 'negotiation'
  | 'clarification'
  | 'expert_draw'
  | 'sample';

export type SessionState =
  | 'scheduled'
  | 'recording'
  | 'ended'
  | 'sealed'
  | 'archived'
  | 'transferred'
  | 'disposed'
  | 'cancelled';

export type Condition = 'running' | 'recess' | 'suspended';
export type Outcome = 'completed' | 'terminated' | 'failed' | 'postponed' | 'mistaken';
export type BookingRole = 'main' | 'sub' | 'clarification' | 'supervision';

export type GapCause =
  | 'offline'
  | 'stall'
  | 'network'
  | 'source_changed'
  | 'writer'
  | 'disk'
  | 'recorder_down'
  | 'clock'
  | 'late_start'
  | 'early_end'
  | 'no_audio'
  | 'maintenance'
  | 'classified'
  | 'unknown';

export interface Problem {
  type?: string;
  title?: string;
  status: number;
  detail?: string;
  fields?: Record<string, string>;
}

export interface Me {
  username: string;
  /** The person's own name, for the eye. */
  name?: string;
  roles: Role[];
  must_change_password: boolean;
  /** A second factor has to be set up before anything else. */
  must_enrol: boolean;
  /** The supervising departments she is there for, and where she sits: for the watermark. */
  department?: string;
  address?: string;
}

export type Factor = 'totp' | 'key' | 'recovery' | 'provider';
export type LoginWay = 'password' | 'oidc';

/** The password was right; one of these is wanted besides. */
export interface SecondStep {
  second_factor: Factor[];
}

export interface Account {
  username: string;
  name: string;
  password_set_at: Micros;
  password_until: Micros | null;
  password_min_length: number;
  second_factor: 'off' | 'optional' | 'required';
  totp: boolean;
  keys: SecurityKey[];
  recovery_left: number;
  /** Who else may say who one is, and one's link with it. */
  oidc: {
    name: string;
    link: { label: string; since: Micros; used_at: Micros | null } | null;
  } | null;
}

export interface SecurityKey {
  id: string;
  name: string;
  site: string;
  made_at: Micros;
  used_at: Micros | null;
}

/** What an authenticator needs, told once; `qr` is a data: address of a picture. */
export interface Enrolment {
  secret: string;
  uri: string;
  qr: string;
}

export interface RecoveryCodes {
  recovery_codes: string[];
}

export interface LoginRow {
  id: string;
  this: boolean;
  agent: string | null;
  address: string | null;
  way: LoginWay;
  factor: Factor | null;
  since: Micros;
  seen_at: Micros;
  until: Micros;
}

export interface ApiToken {
  id: string;
  name: string;
  areas: string[];
  read_only: boolean;
  made_at: Micros;
  expires_at: Micros;
  used_at: Micros | null;
  used_from: string | null;
  /** From where it may be used (CIDR); empty: from anywhere. */
  networks: string[];
  /** When it was last used from elsewhere, and refused. */
  refused_at: Micros | null;
}

export interface NewApiToken {
  name: string;
  areas: string[];
  read_only: boolean;
  days: number;
  networks: string[];
  password: string;
}

export type ApprovalState =
  'pending' | 'approved' | 'rejected' | 'withdrawn' | 'executed' | 'expired';

/** An act that several people have to agree to, as exactly this content. */
export interface Approval {
  id: string;
  kind: string;
  subject: string;
  subject_name: string | null;
  /** What ids in the content are called. */
  names: Record<string, string>;
  content: Record<string, unknown>;
  content_sha256: string;
  reason: string;
  state: ApprovalState;
  requested_at: Micros;
  requester: string;
  expires_at: Micros;
  needed: number;
  votes: { user_id: string; name: string; agreed: boolean; opinion: string | null; at: Micros }[];
  ready_at: Micros | null;
  executed_at: Micros | null;
  may_vote: boolean;
  may_execute: boolean;
  may_withdraw: boolean;
}

export interface System {
  name: string;
  version: string;
  undo_seconds: number;
  language?: string;
  time_zone?: string;
  demo?: boolean;
  /** What the OpenID provider is called that one may sign in with. */
  oidc: string | null;
}

export interface StreamHealth {
  state: HealthState;
  cause: string | null;
  since_us: Micros | null;
  last_fragment_us: Micros | null;
  fps: number | null;
  kbps: number | null;
  /** All that is wrong while it is recorded: silent, packet_loss, long_gop, … */
  faults?: string[];
  gop_seconds?: number | null;
  level_dbfs?: number | null;
  clock_offset_us?: Micros | null;
  loss_percent?: number | null;
  jitter_ms?: number | null;
  message?: string | null;
}

export interface Stream {
  id: string;
  role: StreamRole;
  tracks: Medium[];
  codecs?: Partial<Record<Medium, string | null>>;
  width?: number | null;
  height?: number | null;
  health?: StreamHealth | null;
}

export interface RoomCamera {
  id: string;
  name: string;
  enabled?: boolean;
  streams: Stream[];
}

export interface Room {
  id: string;
  name: string;
  kind: RoomKind;
  site_id: string;
  cameras: RoomCamera[];
}

export interface Camera {
  id: string;
  name: string;
  room_id: string;
  room_name: string;
  address: string;
  mode: RecordMode;
  /** Why it records sessions only. */
  mode_reason?: string | null;
  enabled: boolean;
  streams: Stream[];
}

/** All the time, or only what a session claims (and then for a reason). */
export type RecordMode = 'continuous' | 'session';

export interface CameraChange {
  name?: string;
  enabled?: boolean;
  mode?: RecordMode;
  mode_reason?: string;
}

interface Credentials {
  username?: string;
  password?: string;
}

/** What is refused unless somebody takes the risk for this camera. */
export interface Allowances {
  basic_in_clear?: boolean;
  unproven_certificate?: boolean;
}

/** By its stream addresses, or by the address of an ONVIF device. */
export type NewCamera = { name: string; room_id: string } & Allowances &
  (
    | ({ source_url: string; sub_url?: string } & Credentials)
    | { onvif: { address: string } & Credentials }
  );

export interface ProbeRequest extends Credentials, Allowances {
  address: string;
}

export interface FoundDevice {
  address: string;
  name: string;
  hardware: string;
}

export interface ProbedStream {
  url: string;
  role: StreamRole;
  /** Null: the source has sound alone. */
  codec: string | null;
  width: number;
  height: number;
  fps: number | null;
  gop_seconds: number | null;
  sound: string | boolean | null;
}

export interface ProbeResult {
  streams: ProbedStream[];
  clock_offset_us?: number | null;
  browser_playable: boolean;
  messages: string[];
  device?: { manufacturer: string; model: string; firmware: string; serial: string } | null;
}

export interface SessionItem {
  project_code: string;
  project_name: string;
  lot_code: string;
  lot_name: string;
}

export interface Booking {
  room_id: string;
  room_name: string;
  from: Micros;
  to: Micros;
  role: BookingRole;
}

export interface Interval {
  from: Micros;
  to: Micros;
}

export interface Session {
  id: string;
  state: SessionState;
  condition: Condition | null;
  kind: SessionKind;
  outcome: Outcome | null;
  items: SessionItem[];
  bookings: Booking[];
  planned_from: Micros | null;
  planned_to: Micros | null;
  started_at: Micros | null;
  ended_at: Micros | null;
  undo_until: Micros | null;
  coverage: number | null;
  gaps: number;
  due: Interval | null;
  /** The rest is in the answer for one session, not in lists. */
  alarms?: { id: string; kind: string; cause: string | null; raised_at: Micros }[];
  log?: LogPosition | null;
  /** The commands that its state knows; a role may still not give them. */
  possible?: string[];
}

/** Where a sealed session's close record stands; `key` is the SHA-256 of the log's public key. */
export interface LogPosition {
  shard: string;
  position: number;
  checkpoint_at: Micros;
  key: string;
  covered: boolean;
}

export interface NewSession {
  items: { project_code: string; lot_code?: string }[];
  kind: SessionKind;
  bookings: { room_id: string; from: Micros; to: Micros; role: BookingRole }[];
  classified: false;
}

export interface SessionQuery {
  state?: SessionState;
  room_id?: string;
  q?: string;
  cursor?: string;
  limit?: number;
}

/** What a verification found; `problems` is empty when `ok`. */
export interface VerifyReport {
  ok: boolean;
  problems: string[];
}

/** A signed report of a sealed session; `root` is the digest of the session's record `record`. */
export type JobState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
export type CopyForm = 'package' | 'watermarked' | 'films' | 'mosaic';

export interface NewCopy {
  session_id: string;
  form: CopyForm;
  reason: string;
}

/** A copy that somebody asked for: a job, and what it has made. */
export interface Copy {
  id: string;
  state: JobState;
  session_id: string;
  form: CopyForm;
  done: number;
  total: number;
  error: string | null;
  bytes: number | null;
  sha256: string | null;
  expires_at: Micros | null;
  package: string | null;
}

/** Of how many files reading their bytes again has shown what. */
export interface FilesReread {
  ok: number;
  altered: number;
  missing: number;
  unread: number;
  open: number;
}

/** The record of a viewing: a job, and the signed document it has made. */
export interface ViewingRecord {
  id: string;
  state: JobState;
  playback_id: string;
  done: number;
  total: number;
  error: string | null;
  number: string | null;
  files: FilesReread | null;
  expires_at: Micros | null;
  document: string | null;
  facts: string | null;
}

export interface EvidenceReport {
  id: string;
  number: string;
  made_at: Micros;
  made_by: string;
  record: number;
  root: string;
  digest: string;
  bytes: number | null;
  sha256: string | null;
  document: string;
}

export interface StoreState {
  level: 'store' | 'program' | 'none' | null;
  passed: boolean | null;
  tested_at: Micros | null;
  findings: { step: string; ok: boolean; said: string }[];
  accepted: boolean;
  late: number;
  locks_failed_at: Micros | null;
  surplus: Record<string, number>;
  walked_at: Micros | null;
  /** Objects that are gone or changed and could not be put right. */
  faults: number;
  present_at: Micros | null;
  read_at: Micros | null;
}

export interface NewClaim extends Interval {
  stream_ids: string[];
  reason: string;
}

export interface TimelineSegment extends Interval {
  run: string | number;
}

export interface TimelineGap extends Interval {
  cause: GapCause;
  medium: Medium | null;
}

export interface TimelineStream {
  stream_id: string;
  camera_id: string;
  camera: string;
  room: string;
  role: StreamRole;
  tracks: Medium[];
  /** Held of what was due, by medium; never rounded up to 1. */
  coverage?: Partial<Record<Medium, number>>;
  segments: TimelineSegment[];
  gaps: TimelineGap[];
}

export interface TimelineEvent {
  at: Micros;
  kind: string;
  text: string;
}

export type MarkerAudience = 'own' | 'supervision' | 'all';

export interface TimelineMarker {
  id: string;
  at: Micros;
  text: string;
  author: string;
  audience: MarkerAudience;
  reason: string | null;
}

export interface NewMarker {
  session_id: string;
  at: Micros;
  text: string;
  audience: MarkerAudience;
  reason?: string;
}

/** One sheet of thumbnails: which instants it shows, at which places, row by row. */
export interface ThumbnailSheet extends Interval {
  id: string;
  tiles: { at: Micros; place: number }[];
}

export interface ThumbnailIndex {
  state: 'none' | 'making' | 'ready' | 'failed';
  width: number;
  height: number;
  columns: number;
  step: Micros;
  sheets: ThumbnailSheet[];
}

/** Key frames: each is the picture of [at, to). */
export interface KeyList {
  from: Micros;
  to: Micros;
  step: Micros;
  /** Nothing more will come in this time. */
  settled: boolean;
  pieces: { address: string; init: string; keys: { at: Micros; to: Micros }[] }[];
}

export interface Snapshot {
  id: string;
  from: Micros;
  to: Micros;
  picture: string;
  sha256: string;
  provenance: object;
}

/** `path` stands before `{stream_id}/master.m3u8`. */
export interface Ticket {
  id: string;
  path: string;
  expires_us: Micros;
}

export interface NewSnapshot {
  playback_id: string;
  stream_id: string;
  at: Micros;
  reason: string;
}

export interface Timeline {
  due: Interval | null;
  coverage: number | null;
  streams: TimelineStream[];
  events: TimelineEvent[];
  markers: TimelineMarker[];
  live_until: Micros | null;
}

export interface PlaybackRequest {
  session_id?: string;
  stream_ids?: string[];
  from?: Micros;
  to?: Micros;
}

export interface PlaybackStream {
  stream_id: string;
  camera_id?: string;
  camera: string;
  room: string;
  role: StreamRole;
  tracks: Medium[];
  /** Of which media a copy might be had when the playback was opened. */
  copies?: Medium[];
  codecs?: Partial<Record<Medium, string | null>>;
}

export interface Playback {
  id: string;
  session_id: string | null;
  from: Micros;
  to: Micros | null;
  live: boolean;
  streams: PlaybackStream[];
}

/** What an alarm about a stream is worded from. */
export interface AlarmFacts {
  camera?: string;
  role?: StreamRole;
  cause?: string;
  centi_fps?: number | null;
  gop_ms?: number | null;
  clock_us?: number | null;
  loss_ppm?: number | null;
}

export interface Alarm {
  id: string;
  kind: string;
  /** What it is about: `stream:…`, `session:…`, `store`, … */
  subject: string;
  cause: string | null;
  facts?: AlarmFacts | null;
  room_id: string | null;
  raised_at: Micros;
  cleared_at: Micros | null;
  acknowledged_at: Micros | null;
  acknowledged_by: string | null;
}

export type Action = 'live' | 'rewind' | 'replay' | 'snapshot' | 'copy';

/** One of those who come for an authority. */
export interface Handler {
  name: string;
  card_no: string;
  contact: string;
}

/** What somebody asks to see or copy; with handlers, what an authority demands. */
export interface FootageWish {
  username: string;
  unit: string;
  session_ids: string[];
  stream_ids?: string[];
  from?: Micros;
  to?: Micros;
  media: Medium[];
  actions: Action[];
  purpose: string;
  document_no: string;
  basis?: string;
  case_no?: string;
  papers_sha256?: string;
  days: number;
  views?: number;
  handlers?: Handler[];
  due_days?: number;
  confidential?: boolean;
  officers?: string[];
}

export interface Grant {
  id: string;
  kind: 'duty' | 'request' | 'demand' | 'break_glass';
  username: string;
  session_id: string | null;
  media: Medium[];
  actions: Action[];
  reason: string;
  document_no: string | null;
  made_at: number;
  made_by: string;
  expires: number | null;
  revoked_at: number | null;
  department_at: number | null;
  department_by: string | null;
  department_asked: boolean;
  views: number | null;
  viewed: number;
}

export type Proof = 'signed' | 'return' | 'destruction';
export type RegisterKind =
  'grant' | 'refusal' | 'revocation' | 'copy' | 'handover' | 'break_glass' | 'review' | Proof;

/** What a supervisor took upon herself to see, and what was said of it later. */
export interface BreakGlass {
  id: string;
  username: string;
  name: string;
  session_id: string;
  session: string;
  media: Medium[];
  reason: string;
  taken_at: Micros;
  until: Micros;
  revoked_at: Micros | null;
  register_id: number | null;
  register_no: string | null;
  due_at: Micros;
  overdue: boolean;
  reviewed_at: Micros | null;
  reviewed_by: string | null;
  justified: boolean | null;
  opinion: string | null;
}

export interface BreakGlassPage extends Page<BreakGlass> {
  allowed: boolean;
  minutes: number;
  review_days: number;
}

export interface Hold {
  id: string;
  case_no: string;
  reason: string;
  session_id: string | null;
  placed_at: Micros;
  placed_by: string;
  confidential: boolean;
  officers: string[];
}

export interface Policy {
  id: string;
  room_kind: RoomKind | null;
  session_kind: SessionKind | null;
  category: ProjectCategory | null;
  loop_days: number | null;
  keep_years: number | null;
  basis: string | null;
  changed_at: Micros;
  changed_by: string;
}

/** A session whose footage may be destroyed, and the digest of the exact list. */
export interface DueDisposal {
  session_id: string;
  name: string;
  kept_until: Micros;
  segments: number;
  bytes: number;
  list_sha256: string;
}

export interface Disposal {
  id: string;
  session_id: string;
  name: string;
  segments: number;
  bytes: number;
  list_sha256: string;
  agreed_at: Micros;
  agreed_by: string;
  done_at: Micros | null;
}

/** Where a role of somebody holds. */
export interface RoleScope {
  id: string;
  user_id: string;
  role: Role;
  site_id: string | null;
  room_kind: RoomKind | null;
  category: ProjectCategory | null;
  department: string | null;
  session_id: string | null;
  reason: string;
  made_at: Micros;
  made_by: string;
  ended_at: Micros | null;
}

export interface Substitution {
  id: string;
  user_id: string;
  absent_id: string;
  role: Role;
  from: Micros;
  until: Micros;
  reason: string;
  ended_at: Micros | null;
}

/** What was written later about a numbered row. */
export interface RegisterLater {
  id: number;
  kind: RegisterKind;
  at: Micros;
  by: string;
  content: string;
  reason: string;
  facts: Record<string, unknown> | null;
}

export interface RegisterRow {
  id: number;
  number: string | null;
  kind: RegisterKind;
  at: Micros;
  by: string;
  person: string;
  unit: string | null;
  case_no: string | null;
  document_no: string | null;
  content: string;
  reason: string;
  confidential: boolean;
  due_at: Micros | null;
  proved_at: Micros | null;
  facts: {
    basis?: string;
    said?: { name: string; agreed: boolean; opinion: string | null; at: Micros }[];
  } | null;
  later: RegisterLater[];
}

export interface WholeRegisterRow extends RegisterRow {
  watched: { stream_id: string; camera: string; medium: Medium; spans: [Micros, Micros][] }[];
}

export interface NewHandover {
  copies: string[];
  medium_serial: string;
  verification: string;
  verified: boolean;
  receivers: string[];
}

export interface NewProof {
  kind: Proof;
  document_sha256: string;
  note: string;
}

export interface Shift {
  username: string;
  from: Micros;
  until: Micros;
}

export interface NewRoster {
  department: string;
  categories: ProjectCategory[];
  shifts: Shift[];
  reason: string;
}

export interface Roster {
  id: string;
  department: string;
  categories: ProjectCategory[];
  project_ids: string[];
  shifts: Shift[];
  reason: string;
  document_no: string | null;
  made_at: Micros;
  made_by: string;
  approved_at: Micros | null;
  approved_by: string | null;
  ended_at: Micros | null;
  ended_by: string | null;
}

export interface TrailQuery {
  who?: string;
  action?: string;
  subject?: string;
  address?: string;
  allowed?: boolean;
  from?: Micros;
  to?: Micros;
}

export interface AuditEntry {
  id: number;
  at: Micros;
  who: string;
  user_id: string | null;
  action: string;
  subject: string;
  allowed: boolean;
  address: string | null;
  reason: string | null;
  facts: Record<string, unknown> | null;
}

/** `unchanged` is null while the log does not commit to it yet, or is not at hand. */
export interface ProvedEntry extends AuditEntry {
  kept_until: Micros | null;
  shard: string | null;
  place: number | null;
  logged_at: Micros | null;
  unchanged: boolean | null;
}

export type TrailFault =
  'edited' | 'removed' | 'inserted' | 'reordered' | 'set_back' | 'stated' | 'log' | 'waiting';

export interface TrailFinding {
  fault: TrailFault;
  table: string;
  first: number | null;
  last: number | null;
  shard: string | null;
  first_place: number | null;
  last_place: number | null;
  rows: number;
  other: number | null;
  after_us: Micros | null;
  before_us: Micros | null;
  why: string;
}

export interface Reconciliation {
  last: {
    begun_at: Micros;
    ended_at: Micros;
    looked_at: number;
    faults: number;
    findings: TrailFinding[];
  } | null;
  running: boolean;
  wanted_at: Micros | null;
  waiting: number;
}

export interface AuditReport {
  id: string;
  number: string;
  made_at: Micros;
  made_by: string;
  reason: string;
  entries: number;
  digest: string;
  document: string;
}

export interface User {
  id: string;
  username: string;
  name: string;
  roles: Role[];
  disabled: boolean;
  /** Whether she may sign in through the OpenID provider. */
  linked: boolean;
  kind: 'person' | 'service';
  /** The user name of the person who is answerable for a service account. */
  owner: string | null;
}

export interface Lot {
  code: string;
  name: string;
}

export type ProjectCategory = 'construction' | 'procurement' | 'land' | 'property' | 'other';

export interface NewProject {
  code: string;
  name: string;
  category: ProjectCategory;
  lots: { code: string; name?: string }[];
}

export interface Project {
  code: string;
  name: string;
  lots: Lot[];
}

export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

export interface DisplayScope {
  site_id: string | null;
  room_kind: RoomKind | null;
  category: ProjectCategory | null;
  department: string | null;
  room_ids: string[];
}

/** A registered display (显示终端), as who registers it sees it. */
export interface Display {
  id: string;
  name: string;
  room_id: string | null;
  room: string | null;
  place: string | null;
  /** Only there does it show closed sittings. */
  in_supervision: boolean;
  scope: DisplayScope;
  network: string | null;
  reason: string;
  made_at: Micros;
  made_by: string;
  code_until: Micros | null;
  paired_at: Micros | null;
  seen_at: Micros | null;
  seen_from: string | null;
  revoked_at: Micros | null;
  revoked_by: string | null;
}

export interface NewDisplay {
  name: string;
  room_id?: string;
  place?: string;
  scope: Partial<DisplayScope>;
  network?: string;
  reason: string;
}

/** What a display is paired by, told once. */
export interface PairingCode {
  display: Display;
  code: string;
  expires_at: Micros;
  path: string;
}

export interface DutyNetwork {
  id: string;
  name: string;
  network: string;
  made_at: Micros;
  made_by: string;
}

export interface RightsSettings {
  supervisors_need_duty: boolean;
  duty_at_posts: boolean;
}

export interface DisplayPerson {
  username: string;
  name: string;
}

export interface DisplayCamera {
  id: string;
  name: string;
  shown: boolean;
  why: 'nobody_on_duty' | 'not_on_display' | null;
  streams: Stream[];
}

export interface DisplayRoom {
  id: string;
  name: string;
  kind: RoomKind;
  session: SessionKind | null;
  cameras: DisplayCamera[];
}

/** What a display shows now, as it is told itself. */
export interface DisplayState {
  id: string;
  name: string;
  place: string;
  now: Micros;
  on_duty: DisplayPerson[];
  signed_in: DisplayPerson | null;
  rooms: DisplayRoom[];
}
