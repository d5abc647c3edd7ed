"""Every table of the first version, as it was then; later versions change them in files of their own."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Part = sa.Column[Any] | sa.Constraint


def text(name: str, length: int, null: bool = False) -> Part:
    return sa.Column(name, sa.String(length), nullable=null)


def long(name: str, null: bool = False) -> Part:
    return sa.Column(name, sa.Text(), nullable=null)


def json(name: str, null: bool = False) -> Part:
    return sa.Column(name, sa.JSON(), nullable=null)


def blob(name: str, null: bool = False) -> Part:
    return sa.Column(name, sa.LargeBinary(), nullable=null)


def flag(name: str, null: bool = False) -> Part:
    return sa.Column(name, sa.Boolean(), nullable=null)


def small(name: str, null: bool = False) -> Part:
    return sa.Column(name, sa.Integer(), nullable=null)


def big(name: str, null: bool = False) -> Part:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def number(name: str) -> Part:
    return sa.Column(name, NUMBER, autoincrement=True, nullable=False)


def ref(name: str, other: str, null: bool = False, number: bool = False) -> Part:
    kind = NUMBER if number else sa.String(16)
    return sa.Column(name, kind, sa.ForeignKey(f"{other}.id"), nullable=null)


def key(*columns: str) -> Part:
    return sa.PrimaryKeyConstraint(*columns)


def unique(*columns: str) -> Part:
    return sa.UniqueConstraint(*columns)


def locked() -> list[Part]:
    names = ("until", "hold", "checked", "due", "failed")
    return [big(f"lock_{name}_us", null=True) for name in names]


def table(name: str, *parts: Part) -> None:
    op.create_table(name, *parts)


def index(name: str, on: str, *columns: str) -> None:
    op.create_index(name, on, list(columns))


def partial(name: str, on: str, *columns: str, where: str) -> None:
    when = sa.text(where)
    op.create_index(name, on, list(columns), sqlite_where=when, postgresql_where=when)


# One table a paragraph reads better than one column a line.
# fmt: off
def _places() -> None:
    table("sites", text("id", 16), text("code", 64), text("name", 500), key("id"),
        unique("code"))
    table("rooms", text("id", 16), ref("site_id", "sites"), text("name", 120),
        text("kind", 32), key("id"), unique("site_id", "name"))
    index("ix_rooms_site_id", "rooms", "site_id")
    table("cameras", text("id", 16), ref("room_id", "rooms"), text("name", 120),
        text("onvif_address", 500, null=True), text("username", 200, null=True),
        blob("secret", null=True), flag("basic_in_clear"), flag("unproven_certificate"),
        text("mode", 32), text("mode_reason", 500, null=True),
        flag("enabled"), big("created_us"),
        big("removed_us", null=True), key("id"), unique("room_id", "name"))
    index("ix_cameras_room_id", "cameras", "room_id")
    table("linked_places", ref("room_id", "rooms"), ref("place_id", "rooms"),
        key("room_id", "place_id"))
    index("ix_linked_places_place_id", "linked_places", "place_id")
    table("seats", text("id", 16), ref("room_id", "rooms"), text("name", 120), key("id"),
        unique("room_id", "name"))
    index("ix_seats_room_id", "seats", "room_id")
    table("profiles", text("id", 16), ref("camera_id", "cameras"), text("token", 200),
        text("name", 500), text("codec", 32, null=True), small("width", null=True),
        small("height", null=True), small("fps", null=True), key("id"),
        unique("camera_id", "token"))
    index("ix_profiles_camera_id", "profiles", "camera_id")
    table("streams", text("id", 16), ref("camera_id", "cameras"),
        ref("seat_id", "seats", null=True), ref("profile_id", "profiles", null=True),
        text("role", 32), text("address", 4000), flag("enabled"), key("id"),
        unique("camera_id", "role"))
    index("ix_streams_camera_id", "streams", "camera_id")
    index("ix_streams_seat_id", "streams", "seat_id")
    table("stream_status", ref("stream_id", "streams"), text("recorder", 64),
        text("state", 32), text("cause", 32, null=True), big("since_us"),
        big("last_us", null=True), small("centi_fps", null=True), small("kbps", null=True),
        small("gop_ms", null=True), small("centi_dbfs", null=True), big("clock_us", null=True),
        small("loss_ppm", null=True), small("jitter_us", null=True),
        json("verdicts", null=True), text("message", 500, null=True), big("at_us"),
        key("stream_id"))
    table("tracks", ref("stream_id", "streams"), text("medium", 32), text("codec", 64),
        text("source_codec", 32), small("width", null=True), small("height", null=True),
        key("stream_id", "medium"))


def _projects() -> None:
    table("projects", text("id", 16), text("code", 120), text("trade_code", 120, null=True),
        text("name", 500), text("category", 32), text("method", 120, null=True),
        text("initiator", 500, null=True), text("agency", 500, null=True),
        text("department", 500, null=True), text("owner", 500, null=True), big("created_us"),
        key("id"), unique("code"))
    table("lots", text("id", 16), ref("project_id", "projects"), text("code", 64),
        text("name", 500, null=True), text("phase", 32), big("retention_from_us", null=True),
        big("retention_until_us", null=True), key("id"), unique("project_id", "code"))
    table("phase_changes", number("id"), ref("lot_id", "lots"), text("phase", 32),
        big("at_us"), text("by", 120), text("document_no", 200, null=True), big("recorded_us"),
        key("id"))
    index("ix_phase_changes_lot_id", "phase_changes", "lot_id")


def _sessions() -> None:
    table("sessions", text("id", 16), text("kind", 32), text("state", 32),
        text("condition", 32), text("outcome", 32, null=True), big("planned_from_us"),
        big("planned_to_us"), big("started_us", null=True), big("ended_us", null=True),
        big("undo_until_us", null=True), big("sealed_us", null=True),
        big("log_position", null=True), json("report", null=True),
        json("preflight", null=True), big("created_us"),
        text("created_by", 120), small("version"), key("id"))
    index("ix_sessions_planned", "sessions", "planned_from_us")
    index("ix_sessions_state", "sessions", "state")
    table("condition_changes", number("id"), ref("session_id", "sessions"),
        text("condition", 32), big("at_us"), text("reason", 500, null=True),
        text("decided_by", 120, null=True), text("document_no", 200, null=True), key("id"))
    index("ix_condition_changes_session_id", "condition_changes", "session_id")
    table("session_records", number("id"), ref("session_id", "sessions"), small("seq"),
        text("kind", 16), blob("leaf"), long("body"), big("at_us"), key("id"),
        unique("session_id", "seq"))
    table("session_relations", ref("session_id", "sessions"), ref("other_id", "sessions"),
        text("kind", 32), key("session_id", "other_id", "kind"))
    index("ix_session_relations_other_id", "session_relations", "other_id")
    table("bookings", text("id", 16), ref("session_id", "sessions"), ref("room_id", "rooms"),
        json("seat_ids"), big("from_us"), big("to_us"), text("role", 32),
        big("left_us", null=True), key("id"))
    index("ix_bookings_room_from", "bookings", "room_id", "from_us")
    partial("ix_bookings_long", "bookings", "room_id", "from_us",
        where="to_us - from_us > 86400000000")
    index("ix_bookings_session_id", "bookings", "session_id")
    table("items", text("id", 16), ref("session_id", "sessions"), ref("lot_id", "lots"),
        big("from_us", null=True), big("to_us", null=True), key("id"))
    index("ix_items_lot_id", "items", "lot_id")
    index("ix_items_session_id", "items", "session_id")
    table("claims", text("id", 16), ref("session_id", "sessions"), ref("stream_id", "streams"),
        ref("booking_id", "bookings", null=True), big("from_us"), big("to_us", null=True),
        text("class", 32), text("reason", 500, null=True), big("made_us"),
        text("made_by", 120), big("withdrawn_us", null=True), key("id"))
    partial("ix_claims_long", "claims", "stream_id", "from_us",
        where="to_us IS NULL OR to_us - from_us > 86400000000")
    index("ix_claims_session_id", "claims", "session_id")
    index("ix_claims_stream_from", "claims", "stream_id", "from_us")
    table("classified_intervals", text("id", 16), ref("session_id", "sessions"),
        ref("room_id", "rooms"), big("from_us"), big("to_us"), text("register_no", 100),
        key("id"))
    index("ix_classified_intervals_room_to", "classified_intervals", "room_id", "to_us")
    index("ix_classified_intervals_session_id", "classified_intervals", "session_id")


def _footage() -> None:
    table("fragment_tables", big("segment_id"), blob("body"), key("segment_id"))
    table("garbage", number("id"), big("segment_id", null=True),
        text("recorder", 64, null=True), text("spool_path", 500, null=True),
        text("store_key", 500, null=True), text("store_version", 200, null=True),
        text("reason", 500), big("at_us"), big("started_us", null=True),
        big("wait_until_us", null=True), key("id"))
    table("inits", text("id", 64), blob("body"), json("tracks"), key("id"))
    table("records", number("id"), ref("stream_id", "streams"), small("day"), small("seq"),
        text("kind", 16), blob("leaf"), long("body", null=True), key("id"),
        unique("stream_id", "day", "seq"))
    table("record_objects", number("id"), ref("stream_id", "streams"), small("day"),
        small("first_seq"), small("last_seq"), big("bytes"), blob("sha256"),
        text("store_key", 500), text("store_version", 200), big("stored_us"),
        *locked(), key("id"),
        unique("stream_id", "day", "first_seq"))
    partial("ix_record_objects_lock_failed", "record_objects", "lock_failed_us",
        where="lock_failed_us IS NOT NULL")
    partial("ix_record_objects_lock_due", "record_objects", "lock_due_us",
        where="lock_due_us IS NOT NULL")
    table("runs", text("id", 16), ref("stream_id", "streams"), text("recorder", 64),
        big("started_us"), key("id"))
    index("ix_runs_stream_id", "runs", "stream_id")
    table("gaps", number("id"), ref("stream_id", "streams"),
        ref("record_id", "records", number=True, null=True),
        ref("session_id", "sessions", null=True), text("medium", 16, null=True),
        text("cause", 32), big("from_us"), big("to_us"), text("detail", 500, null=True),
        key("id"))
    partial("ix_gaps_long", "gaps", "stream_id", "from_us", where="to_us - from_us > 900000000")
    index("ix_gaps_session_id", "gaps", "session_id")
    index("ix_gaps_stream_from", "gaps", "stream_id", "from_us")
    table("segments", number("id"), ref("stream_id", "streams"),
        ref("record_id", "records", number=True), text("run_id", 16), small("run_seq"),
        text("init_id", 64), big("from_us"), big("to_us"), text("quality", 32), big("bytes"),
        small("pieces"), blob("sha256"), text("recorder", 64),
        text("spool_path", 500, null=True), text("store_key", 500, null=True),
        text("store_version", 200, null=True), big("stored_us", null=True),
        big("removed_us", null=True),
        *locked(), key("id"))
    partial("ix_segments_lock_failed", "segments", "lock_failed_us",
        where="lock_failed_us IS NOT NULL AND removed_us IS NULL")
    partial("ix_segments_lock_due", "segments", "lock_due_us",
        where="lock_due_us IS NOT NULL AND stored_us IS NOT NULL AND removed_us IS NULL")
    index("ix_segments_record_id", "segments", "record_id")
    partial("ix_segments_unstored", "segments", "from_us",
        where="stored_us IS NULL AND removed_us IS NULL")
    partial("ix_segments_spooled", "segments", "stored_us", where="spool_path IS NOT NULL")
    partial("ix_segments_stream_from", "segments", "stream_id", "from_us",
        where="removed_us IS NULL")


def _happenings() -> None:
    table("steps", text("id", 16), ref("session_id", "sessions"), small("position"),
        text("name", 500), big("planned_us", null=True), big("actual_us", null=True),
        flag("late", null=True), flag("regular", null=True), text("note", 4000, null=True),
        text("signer", 120, null=True), big("signed_us", null=True), key("id"))
    index("ix_steps_session_id", "steps", "session_id")
    table("alarms", text("id", 16), text("kind", 64), text("subject", 120),
        text("cause", 500, null=True), json("facts", null=True),
        ref("room_id", "rooms", null=True), big("raised_us"),
        big("cleared_us", null=True), big("acknowledged_us", null=True),
        text("acknowledged_by", 120, null=True), text("told", 16, null=True), key("id"))
    index("ix_alarms_open", "alarms", "kind", "subject", "cleared_us")
    op.create_index("uq_alarms_open", "alarms", ["kind", "subject"], unique=True,
        sqlite_where=sa.text("cleared_us IS NULL"),
        postgresql_where=sa.text("cleared_us IS NULL"))
    index("ix_alarms_told", "alarms", "told")
    index("ix_alarms_room_id", "alarms", "room_id")
    table("markers", text("id", 16), ref("session_id", "sessions", null=True),
        ref("room_id", "rooms", null=True), big("at_us"), text("text", 4000),
        text("reason", 500, null=True), text("author", 120), text("audience", 32),
        big("made_us"), big("removed_us", null=True), text("remove_reason", 500, null=True),
        key("id"))
    index("ix_markers_room_id", "markers", "room_id")
    index("ix_markers_session_at", "markers", "session_id", "at_us")
    table("events", number("id"), ref("session_id", "sessions", null=True),
        ref("room_id", "rooms", null=True), ref("stream_id", "streams", null=True),
        big("at_us"), text("kind", 64), text("text", 4000, null=True),
        json("facts", null=True), text("source", 120), key("id"))
    index("ix_events_room_id", "events", "room_id")
    index("ix_events_session_at", "events", "session_id", "at_us")
    index("ix_events_stream_id", "events", "stream_id")


def _displays() -> None:
    table("displays", text("id", 16), text("name", 120), ref("room_id", "rooms", null=True),
        text("place", 200, null=True), ref("site_id", "sites", null=True),
        text("room_kind", 32, null=True), text("category", 32, null=True),
        text("department", 500, null=True), json("room_ids"), text("network", 64, null=True),
        text("reason", 500), big("made_us"), text("made_by", 120),
        blob("code_sha256", null=True), big("code_until_us", null=True),
        big("paired_us", null=True), blob("token_sha256", null=True),
        blob("next_sha256", null=True), big("renewed_us", null=True), big("seen_us", null=True),
        text("seen_from", 64, null=True), big("revoked_us", null=True),
        text("revoked_by", 120, null=True), key("id"), unique("token_sha256"),
        unique("next_sha256"))
    table("duty_networks", text("id", 16), text("name", 120), text("network", 64),
        big("made_us"), text("made_by", 120), big("ended_us", null=True),
        text("ended_by", 120, null=True), key("id"))


def _users() -> None:
    table("users", text("id", 16), text("username", 120), text("name", 500),
        text("password_hash", 500), flag("must_change_password"), flag("disabled"),
        big("created_us"), big("password_set_us"), text("kind", 32),
        ref("owner_id", "users", null=True), key("id"), unique("username"))
    table("approvals", text("id", 16), text("kind", 64), text("subject", 200),
        text("content", 4000), blob("content_sha256"), text("reason", 500), text("state", 32),
        big("requested_us"), ref("requested_by", "users"), json("requester_roles"),
        big("expires_us"), big("ready_us", null=True), big("executed_us", null=True),
        ref("executed_by", "users", null=True), key("id"))
    index("ix_approvals_requested_by", "approvals", "requested_by")
    index("ix_approvals_subject", "approvals", "subject")
    table("approval_votes", ref("approval_id", "approvals"), ref("user_id", "users"),
        small("place"), flag("agreed"), json("roles"), text("opinion", 500, null=True),
        big("at_us"), blob("content_sha256"), key("approval_id", "user_id"))
    index("ix_approval_votes_user_id", "approval_votes", "user_id")


def _people() -> None:
    table("audit_entries", number("id"), big("at_us"), ref("user_id", "users", null=True),
        text("who", 120), text("action", 64), text("subject", 200), flag("allowed"),
        text("address", 64, null=True), text("reason", 500, null=True),
        json("facts", null=True), key("id"))
    index("ix_audit_entries_at", "audit_entries", "at_us")
    index("ix_audit_entries_subject", "audit_entries", "subject")
    index("ix_audit_entries_user_id", "audit_entries", "user_id")
    table("audit_rounds", number("id"), big("wanted_us", null=True),
        text("wanted_by", 120, null=True), big("begun_us", null=True), big("ended_us", null=True),
        big("looked_at"), small("faults"), json("findings"), key("id"))
    table("grants", text("id", 16), text("kind", 32), ref("user_id", "users"),
        ref("session_id", "sessions", null=True), big("from_us", null=True),
        big("to_us", null=True), json("media"), json("actions"), text("reason", 500),
        text("document_no", 200, null=True), big("made_us"), text("made_by", 120),
        big("expires_us", null=True), big("revoked_us", null=True),
        big("department_us", null=True), text("department_by", 120, null=True),
        json("stream_ids", null=True), small("views", null=True),
        ref("approval_id", "approvals", null=True), flag("confidential"), json("officers"),
        key("id"))
    index("ix_grants_approval_id", "grants", "approval_id")
    index("ix_grants_session_id", "grants", "session_id")
    index("ix_grants_user_id", "grants", "user_id")
    table("layouts", text("id", 16), ref("user_id", "users", null=True),
        text("role", 32, null=True), text("name", 500), json("body"), big("changed_us"),
        key("id"))
    index("ix_layouts_user_id", "layouts", "user_id")
    table("logins", text("id", 16), ref("user_id", "users"), blob("token_sha256"),
        big("created_us"), big("seen_us"), big("expires_us"), text("address", 64, null=True),
        text("agent", 500, null=True), big("ended_us", null=True),
        text("factor", 32, null=True), text("way", 32), blob("challenge", null=True),
        big("challenge_us", null=True), ref("display_id", "displays", null=True), key("id"),
        unique("token_sha256"))
    index("ix_logins_user_id", "logins", "user_id")
    index("ix_logins_display_id", "logins", "display_id")
    table("user_roles", ref("user_id", "users"), text("role", 32), key("user_id", "role"))
    table("playbacks", text("id", 16), ref("user_id", "users"),
        ref("session_id", "sessions", null=True), ref("grant_id", "grants", null=True),
        big("from_us"), big("to_us", null=True), big("opened_us"), big("closed_us", null=True),
        key("id"))
    index("ix_playbacks_session_id", "playbacks", "session_id")
    index("ix_playbacks_user_id", "playbacks", "user_id")
    table("grant_uses", ref("grant_id", "grants"), ref("playback_id", "playbacks"),
        big("at_us"), key("grant_id", "playback_id"))
    index("ix_grant_uses_playback_id", "grant_uses", "playback_id")
    table("register_entries", number("id"), text("kind", 32), text("number", 16, null=True),
        ref("about_id", "register_entries", number=True, null=True),
        ref("grant_id", "grants", null=True), ref("session_id", "sessions", null=True),
        big("at_us"), text("by", 120), text("person", 500), text("unit", 500, null=True),
        text("case_no", 200, null=True), text("document_no", 200, null=True),
        text("content", 4000), text("reason", 500), flag("confidential"), json("officers"),
        json("facts", null=True), key("id"), unique("number"))
    index("ix_register_entries_about_id", "register_entries", "about_id")
    index("ix_register_entries_at", "register_entries", "at_us")
    index("ix_register_entries_grant_id", "register_entries", "grant_id")
    index("ix_register_entries_session_id", "register_entries", "session_id")
    table("playback_streams", ref("playback_id", "playbacks"), ref("stream_id", "streams"),
        text("medium", 32), key("playback_id", "stream_id", "medium"))
    index("ix_playback_streams_stream_id", "playback_streams", "stream_id")
    table("playback_tickets", text("id", 16), ref("playback_id", "playbacks"),
        ref("login_id", "logins"), blob("token_sha256"), text("address", 64), big("made_us"),
        big("expires_us"), big("used_us", null=True), big("revoked_us", null=True), key("id"),
        unique("token_sha256"))
    index("ix_playback_tickets_playback_id", "playback_tickets", "playback_id")


def _accounts() -> None:
    table("old_passwords", number("id"), ref("user_id", "users"), text("password_hash", 500),
        big("ended_us"), key("id"))
    index("ix_old_passwords_user_id", "old_passwords", "user_id")
    table("known_devices", text("id", 16), ref("user_id", "users"), blob("token_sha256"),
        big("seen_us"), key("id"), unique("user_id", "token_sha256"))
    table("half_logins", text("id", 16), ref("user_id", "users"), blob("token_sha256"),
        big("made_us"), small("failures"), blob("challenge", null=True),
        big("ended_us", null=True), text("way", 32), key("id"), unique("token_sha256"))
    index("ix_half_logins_user_id", "half_logins", "user_id")
    table("oidc_links", ref("user_id", "users"), text("issuer", 500), text("subject", 255),
        text("label", 120), big("linked_us"), big("used_us", null=True), key("user_id"),
        unique("issuer", "subject"))
    table("authenticators", ref("user_id", "users"), blob("secret"), big("made_us"),
        big("confirmed_us", null=True), big("last_step"), key("user_id"))
    table("security_keys", text("id", 16), ref("user_id", "users"), text("name", 120),
        blob("credential"), blob("public_key"), big("sign_count"), text("site", 255),
        json("transports"), big("made_us"), big("used_us", null=True), key("id"),
        unique("credential"))
    index("ix_security_keys_user_id", "security_keys", "user_id")
    table("recovery_codes", number("id"), ref("user_id", "users"), blob("code_sha256"),
        big("used_us", null=True), key("id"))
    index("ix_recovery_codes_user_id", "recovery_codes", "user_id")
    table("api_tokens", text("id", 16), ref("user_id", "users"), text("name", 40),
        blob("token_sha256"), json("areas"), flag("read_only"), big("made_us"),
        big("expires_us"), big("used_us", null=True), text("used_from", 64, null=True),
        big("revoked_us", null=True), json("networks"), big("refused_us", null=True), key("id"),
        unique("token_sha256"))
    index("ix_api_tokens_user_id", "api_tokens", "user_id")


def _rights() -> None:
    table("role_scopes", text("id", 16), ref("user_id", "users"), text("role", 32),
        ref("site_id", "sites", null=True), text("room_kind", 32, null=True),
        text("category", 32, null=True), text("department", 500, null=True),
        ref("session_id", "sessions", null=True), text("reason", 500), big("made_us"),
        text("made_by", 120), big("ended_us", null=True), text("ended_by", 120, null=True),
        key("id"))
    index("ix_role_scopes_user_id", "role_scopes", "user_id")
    index("ix_role_scopes_session_id", "role_scopes", "session_id")
    table("substitutions", text("id", 16), ref("user_id", "users"), ref("absent_id", "users"),
        text("role", 32), big("from_us"), big("until_us"), text("reason", 500),
        big("made_us"), text("made_by", 120), big("ended_us", null=True),
        text("ended_by", 120, null=True), key("id"))
    index("ix_substitutions_user_id", "substitutions", "user_id")
    table("rosters", text("id", 16), text("department", 500), json("categories"),
        json("projects"), text("reason", 500), text("document_no", 200, null=True),
        big("made_us"), text("made_by", 120), big("approved_us", null=True),
        text("approved_by", 120, null=True), big("ended_us", null=True),
        text("ended_by", 120, null=True), key("id"))
    table("shifts", number("id"), ref("roster_id", "rosters"), ref("user_id", "users"),
        big("from_us"), big("until_us"), key("id"))
    index("ix_shifts_roster_id", "shifts", "roster_id")
    index("ix_shifts_user_until", "shifts", "user_id", "until_us")
    table("break_glasses", ref("grant_id", "grants"), ref("user_id", "users"), big("due_us"),
        big("reviewed_us", null=True), text("reviewed_by", 120, null=True),
        flag("justified", null=True), text("opinion", 500, null=True), key("grant_id"))
    index("ix_break_glasses_user_id", "break_glasses", "user_id")
    table("rights_settings", text("name", 64), flag("chosen"), big("changed_us"),
        text("changed_by", 120), key("name"))


def _keeping() -> None:
    table("jobs", text("id", 16), text("kind", 64), json("payload"), text("state", 16),
        text("key", 200, null=True), small("attempt"), big("run_after_us"),
        big("lease_until_us", null=True), text("lease_by", 120, null=True), small("done"),
        small("total"), json("result", null=True), text("error", 4000, null=True),
        big("created_us"), text("created_by", 120), big("finished_us", null=True), key("id"),
        unique("key"))
    index("ix_jobs_state", "jobs", "state")
    table("outbox", number("id"), text("kind", 32), text("key", 200), json("body"),
        big("at_us"), text("shard", 32, null=True), big("position", null=True),
        big("logged_us", null=True), key("id"), unique("key"))
    index("ix_outbox_place", "outbox", "shard", "position")
    partial("ix_outbox_waiting", "outbox", "id", where="shard IS NULL")
    partial("ix_outbox_epochs", "outbox", "at_us", where="kind = 'epoch'")
    table("log_shards", text("shard", 32), big("opened_us"), big("size"), blob("root"),
        big("checkpoint_us"), text("key", 500), text("given_up", 500, null=True),
        big("restored_us", null=True), key("shard"))
    table("retention_policies", text("id", 16), text("room_kind", 32, null=True),
        text("session_kind", 32, null=True), text("category", 32, null=True),
        small("loop_days", null=True), small("keep_years", null=True),
        text("basis", 500, null=True), big("changed_us"), text("changed_by", 120), key("id"),
        unique("room_kind", "session_kind", "category"))
    table("disposals", text("id", 16), ref("session_id", "sessions"), text("state", 32),
        json("listed"), big("requested_us"), text("requested_by", 120),
        big("executed_us", null=True), key("id"))
    index("ix_disposals_session_id", "disposals", "session_id")
    table("derivatives", text("id", 16), text("kind", 32),
        ref("session_id", "sessions", null=True), ref("stream_id", "streams", null=True),
        big("from_us", null=True), big("to_us", null=True), json("recipe"),
        text("path", 500, null=True), big("bytes", null=True), text("sha256", 64, null=True),
        big("made_us"), text("made_by", 120), big("expires_us", null=True),
        ref("job_id", "jobs", null=True), ref("grant_id", "grants", null=True), key("id"))
    partial("ix_derivatives_reports", "derivatives", "made_us",
        where="kind = 'evidence_report'")
    table("session_objects", number("id"), ref("session_id", "sessions"),
        ref("derivative_id", "derivatives"), text("suffix", 8), blob("sha256"), big("bytes"),
        text("store_key", 500), text("store_version", 200), big("stored_us"),
        *locked(), key("id"),
        unique("derivative_id", "suffix"), unique("store_key"))
    partial("ix_session_objects_lock_failed", "session_objects", "lock_failed_us",
        where="lock_failed_us IS NOT NULL")
    partial("ix_session_objects_lock_due", "session_objects", "lock_due_us",
        where="lock_due_us IS NOT NULL")
    index("ix_session_objects_session_id", "session_objects", "session_id")
    index("ix_derivatives_grant_id", "derivatives", "grant_id")
    index("ix_derivatives_job_id", "derivatives", "job_id")
    index("ix_derivatives_session_id", "derivatives", "session_id")
    index("ix_derivatives_stream_id", "derivatives", "stream_id")
    table("holds", text("id", 16), ref("session_id", "sessions", null=True),
        ref("stream_id", "streams", null=True), big("from_us", null=True),
        big("to_us", null=True), text("case_no", 200), text("reason", 4000), big("placed_us"),
        text("placed_by", 120), big("released_us", null=True),
        text("released_by", 120, null=True), text("release_reason", 500, null=True),
        flag("confidential"), json("officers"), key("id"))
    index("ix_holds_session_id", "holds", "session_id")
    index("ix_holds_stream_id", "holds", "stream_id")
# fmt: on


def _one_owner() -> None:
    """At most one ``own`` claim holds a stream at any instant.

    SQLite has no exclusion constraint: there `storage.index.claims` checks inside the write
    transaction, which has no neighbour.
    """
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    op.execute(
        """
        ALTER TABLE claims ADD CONSTRAINT ex_claims_one_owner EXCLUDE USING gist (
            stream_id WITH =, int8range(from_us, to_us) WITH &&
        ) WHERE (class = 'own' AND withdrawn_us IS NULL)
        """
    )


_ADDED_ONLY = (("audit_entries", "audit entries"), ("register_entries", "rows of the register"))


def _append_only(dialect: str) -> None:
    """Refuse every change and removal of an audit entry or of a row of the register, whoever asks
    through SQL."""
    if dialect == "sqlite":
        for name, said in _ADDED_ONLY:
            for what in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {name}_no_{what.lower()} BEFORE {what} ON {name} "
                    f"BEGIN SELECT RAISE(ABORT, '{said} are only ever added'); END"
                )
        return
    for name, said in _ADDED_ONLY:
        op.execute(
            f"""
            CREATE FUNCTION {name}_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION '{said} are only ever added'; END $$
            """
        )
        op.execute(
            f"CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
            f"ON {name} FOR EACH STATEMENT EXECUTE FUNCTION {name}_append_only()"
        )


def _store() -> None:
    table(
        "lock_tests",
        number("id"),
        big("at_us"),
        text("level", 32),
        flag("passed"),
        json("findings"),
        key("id"),
    )
    table(
        "surplus_versions",
        number("id"),
        text("store_key", 500),
        text("store_version", 200),
        text("kind", 32),
        big("bytes"),
        big("changed_us", null=True),
        flag("hides"),
        flag("same", null=True),
        flag("readable", null=True),
        big("found_us"),
        big("seen_us"),
        big("gone_us", null=True),
        big("accepted_us", null=True),
        text("accepted_by", 120, null=True),
        text("accepted_reason", 500, null=True),
        key("id"),
        unique("store_key", "store_version"),
    )
    partial("ix_surplus_versions_there", "surplus_versions", "id", where="gone_us IS NULL")
    table(
        "store_walks",
        number("id"),
        big("begun_us"),
        big("ended_us", null=True),
        small("prefix"),
        text("key", 500),
        text("version", 200),
        big("looked_at"),
        key("id"),
    )
    table(
        "scrub_rounds",
        number("id"),
        text("kind", 32),
        big("begun_us"),
        big("ended_us", null=True),
        small("place_table"),
        big("place_id"),
        big("objects"),
        big("bytes"),
        small("faults"),
        key("id"),
    )
    table(
        "store_faults",
        number("id"),
        text("store_key", 500),
        text("store_version", 200),
        text("kind", 32),
        big("found_us"),
        big("seen_us"),
        big("mended_us", null=True),
        text("mended_from", 16, null=True),
        key("id"),
        unique("store_key", "store_version"),
    )
    partial("ix_store_faults_open", "store_faults", "id", where="mended_us IS NULL")


def upgrade() -> None:
    _places()
    _projects()
    _sessions()
    _footage()
    _happenings()
    _displays()
    _users()
    _people()
    _accounts()
    _rights()
    _keeping()
    _store()
    dialect = op.get_context().dialect.name
    if dialect == "postgresql":
        _one_owner()
    _append_only(dialect)
