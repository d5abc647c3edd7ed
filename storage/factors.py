"""The second factor: one-time codes (RFC 6238), codes on paper, and what somebody has of both.

Security keys have a module of their own.
"""

import base64
import hmac
import secrets
from dataclasses import dataclass

import pyotp
from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, NotFound
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Authenticator, RecoveryCode, SecurityKey
from bidwitness.storage.logins import MINUTE_US, digest
from bidwitness.words import Factor

STEP_US = 30_000_000
# Clocks of telephones are off by some seconds, and people type slowly: one step either way.
STEPS_OFF = 1
# An enrolment that is not confirmed by then begins anew.
ENROLMENT_US = 15 * MINUTE_US
RECOVERY_CODES = 10
RECOVERY_BYTES = 10


@dataclass(frozen=True, slots=True)
class Held:
    """What somebody can prove herself with besides the password."""

    totp: bool
    keys: int
    recovery_left: int

    @property
    def any(self) -> bool:
        """Codes on paper only stand in for what else there is."""
        return self.totp or self.keys > 0

    @property
    def factors(self) -> tuple[Factor, ...]:
        """Give what may be asked for, the strongest first."""
        held = {
            Factor.KEY: self.keys > 0,
            Factor.TOTP: self.totp,
            Factor.RECOVERY: self.any and self.recovery_left > 0,
        }
        return tuple(factor for factor, there in held.items() if there)


def held_by(orm: Orm, user_id: str) -> Held:
    """Give what somebody has set up."""
    confirmed = exists().where(
        Authenticator.user_id == user_id, Authenticator.confirmed_us.is_not(None)
    )
    keys = select(func.count()).select_from(SecurityKey).where(SecurityKey.user_id == user_id)
    left = (
        select(func.count())
        .select_from(RecoveryCode)
        .where(RecoveryCode.user_id == user_id, RecoveryCode.used_us.is_(None))
    )
    return Held(
        totp=bool(orm.scalar(select(confirmed))),
        keys=orm.scalar(keys) or 0,
        recovery_left=orm.scalar(left) or 0,
    )


def new_secret() -> str:
    """Give the shared secret of a new authenticator: 160 bits in base32."""
    return base64.b32encode(secrets.token_bytes(20)).decode("ascii")


def secret_about(user_id: str) -> str:
    """Give what an authenticator's secret is sealed to."""
    return f"totp:{user_id}"


def enrolment_uri(secret: str, username: str, site: str) -> str:
    """Give the address that a telephone reads as a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=site)


def matching_step(secret: str, code: str, at_us: int) -> int | None:
    """Give the step whose code was given, if it is near enough. Pure; each is compared in full."""
    totp = pyotp.TOTP(secret)
    now = at_us // STEP_US
    given = code.encode("utf-8", "replace")
    found: int | None = None
    for step in range(max(0, now - STEPS_OFF), now + STEPS_OFF + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), given):
            found = step
    return found


def begin_authenticator(orm: Orm, user_id: str, sealed: bytes, at_us: int) -> None:
    """Keep the secret of an authenticator that is not confirmed yet, in place of another such.

    Raises ``Conflict`` if a confirmed one is there.
    """
    row = orm.get(Authenticator, user_id, with_for_update=True)
    if row is not None and row.confirmed_us is not None:
        raise Conflict("There is an authenticator already: remove it first.")
    if row is None:
        row = Authenticator(user_id=user_id)
        orm.add(row)
    row.secret, row.made_us, row.confirmed_us, row.last_step = sealed, at_us, None, -1


def sealed_secret(orm: Orm, user_id: str, *, confirmed: bool) -> bytes | None:
    """Give the sealed secret of somebody's authenticator that is, or is not yet, confirmed."""
    row = orm.get(Authenticator, user_id)
    if row is None or (row.confirmed_us is not None) != confirmed:
        return None
    return row.secret


def confirm_authenticator(
    orm: Orm, who: Who, user_id: str, secret: str, code: str, at_us: int
) -> bool:
    """Let an authenticator count from now on, if a code of it was given; tell whether it was.

    Raises ``Conflict`` if none waits for its confirmation.
    """
    row = orm.get(Authenticator, user_id, with_for_update=True)
    if row is None or row.confirmed_us is not None or at_us > row.made_us + ENROLMENT_US:
        raise Conflict("No authenticator waits to be confirmed: begin again.")
    step = matching_step(secret, code, at_us)
    _note(orm, who, "factor.add", user_id, at_us, Factor.TOTP, allowed=step is not None)
    if step is None:
        return False
    row.confirmed_us, row.last_step = at_us, step
    return True


def take_code(orm: Orm, user_id: str, secret: str, code: str, at_us: int) -> bool:
    """Tell whether a code is good, and spend it: no code is good twice, nor one before it."""
    row = orm.get(Authenticator, user_id, with_for_update=True)
    step = matching_step(secret, code, at_us)
    if row is None or row.confirmed_us is None or step is None or step <= row.last_step:
        return False
    row.last_step = step
    return True


def remove_authenticator(orm: Orm, who: Who, user_id: str, at_us: int) -> None:
    """Remove somebody's authenticator. Raises ``NotFound`` if there is none."""
    row = orm.get(Authenticator, user_id)
    if row is None:
        raise NotFound("There is no authenticator.")
    orm.delete(row)
    orm.flush()
    _note(orm, who, "factor.remove", user_id, at_us, Factor.TOTP)
    forget_codes_alone(orm, user_id)


def new_recovery_codes(orm: Orm, who: Who, user_id: str, at_us: int) -> list[str]:
    """Replace somebody's recovery codes by new ones, and give them: they are told once."""
    codes = [_new_code() for _ in range(RECOVERY_CODES)]
    orm.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    orm.add_all(RecoveryCode(user_id=user_id, code_sha256=_code_digest(code)) for code in codes)
    _note(orm, who, "factor.recovery_codes", user_id, at_us, Factor.RECOVERY)
    return codes


def take_recovery_code(orm: Orm, user_id: str, code: str, at_us: int) -> bool:
    """Tell whether a recovery code is good, and spend it."""
    taken = orm.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.code_sha256 == _code_digest(code),
            RecoveryCode.used_us.is_(None),
        )
        .values(used_us=at_us)
        .returning(RecoveryCode.id)
    )
    return taken.first() is not None


def forget_codes_alone(orm: Orm, user_id: str) -> None:
    """Remove the recovery codes of somebody who has nothing left that they stand in for."""
    if not held_by(orm, user_id).any:
        orm.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))


def remove_all_factors(orm: Orm, user_id: str) -> Held:
    """Remove all that somebody has set up, and give what it was. The caller leaves the entry."""
    held = held_by(orm, user_id)
    for table in (Authenticator, SecurityKey, RecoveryCode):
        orm.execute(delete(table).where(table.user_id == user_id))
    return held


def _new_code() -> str:
    text = base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode("ascii").lower()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _code_digest(code: str) -> bytes:
    return digest("".join(c for c in code.lower() if c.isalnum()))


def _note(
    orm: Orm, who: Who, action: str, user_id: str, at_us: int, factor: Factor, allowed: bool = True
) -> None:
    facts = {"factor": factor.value}
    leave_audit_entry(orm, who, action, f"user:{user_id}", at_us, allowed=allowed, facts=facts)
