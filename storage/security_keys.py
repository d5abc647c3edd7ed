"""Security keys (WebAuthn): registered under a name, several a person.

A key signs a nonce of ours together with the origin of the page and a counter, after its owner has
proved to it that she is there (PIN, finger). It answers under the host that it was registered for.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Orm
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    base64url_to_bytes,
    options_to_json_dict,
    parse_attestation_object,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from bidwitness.errors import Conflict, InvalidInput, NotFound
from bidwitness.storage.factors import forget_codes_alone
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import SecurityKey, User

CHALLENGE_BYTES = 32
CHALLENGE_US = 5 * 60_000_000
MAX_KEYS = 10
# What the library raises for bytes that a browser would not have sent.
UNREADABLE = (WebAuthnException, ValueError, TypeError, KeyError)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key is used: the host alone, as keys know it, and the page's whole origin."""

    site: str
    origin: str


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a registration proved."""

    credential: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]


def new_challenge() -> bytes:
    """Give a nonce for one use of a key."""
    return secrets.token_bytes(CHALLENGE_BYTES)


def keys_of(orm: Orm, user_id: str, site: str | None = None) -> Sequence[SecurityKey]:
    """Give somebody's keys, the oldest first; with ``site`` those that answer there."""
    query = select(SecurityKey).where(SecurityKey.user_id == user_id)
    if site is not None:
        query = query.where(SecurityKey.site == site)
    return orm.scalars(query.order_by(SecurityKey.made_us, SecurityKey.id)).all()


def registration_options(
    place: Place, site_name: str, user: User, keys: Sequence[SecurityKey], challenge: bytes
) -> dict[str, Any]:
    """Give what the browser needs to register a key, as ``navigator.credentials`` takes it."""
    options = generate_registration_options(
        rp_id=place.site,
        rp_name=site_name,
        user_id=user.id.encode(),
        user_name=user.username,
        user_display_name=user.name,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.DISCOURAGED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[_descriptor(key) for key in keys],
    )
    return options_to_json_dict(options)


def verify_registration(place: Place, challenge: bytes, credential: Mapping[str, Any]) -> NewKey:
    """Give the key that a browser registered. Pure.

    Raises ``InvalidInput`` if it is not an answer to ``challenge``, from another page, or nobody
    proved to the key to be there.
    """
    try:
        parsed = parse_registration_credential_json(dict(credential))
        stated = parse_attestation_object(parsed.response.attestation_object)
        # No statement of the maker was asked for; reading one is much code for nothing.
        if stated.fmt not in (AttestationFormat.NONE, AttestationFormat.PACKED) or (
            stated.att_stmt.x5c
        ):
            raise _not_accepted()
        proved = verify_registration_response(
            credential=parsed,
            expected_challenge=challenge,
            expected_rp_id=place.site,
            expected_origin=place.origin,
            require_user_verification=True,
        )
    except UNREADABLE:
        raise _not_accepted() from None
    transports = tuple(kind.value for kind in parsed.response.transports or ())
    return NewKey(proved.credential_id, proved.credential_public_key, proved.sign_count, transports)


def add_key(
    orm: Orm, who: Who, user_id: str, place: Place, name: str, key: NewKey, at_us: int
) -> SecurityKey:
    """Keep a registered key. Raises ``Conflict`` if it is known, or there are too many."""
    count = select(func.count()).select_from(SecurityKey).where(SecurityKey.user_id == user_id)
    if (orm.scalar(count) or 0) >= MAX_KEYS:
        raise Conflict(f"At most {MAX_KEYS} keys: remove one first.")
    known = select(SecurityKey.id).where(SecurityKey.credential == key.credential)
    if orm.scalar(known) is not None:
        raise Conflict("This key is registered already.")
    row = SecurityKey(
        user_id=user_id,
        name=name,
        credential=key.credential,
        public_key=key.public_key,
        sign_count=key.sign_count,
        site=place.site,
        transports=list(key.transports),
        made_us=at_us,
    )
    orm.add(row)
    orm.flush()
    _note(orm, who, "factor.add", row, at_us)
    return row


def remove_key(orm: Orm, who: Who, user_id: str, key_id: str, at_us: int) -> None:
    """Remove one of somebody's keys. Raises ``NotFound``."""
    row = orm.get(SecurityKey, key_id)
    if row is None or row.user_id != user_id:
        raise NotFound("There is no such key.")
    _note(orm, who, "factor.remove", row, at_us)
    orm.delete(row)
    orm.flush()
    forget_codes_alone(orm, user_id)


def assertion_options(
    place: Place, keys: Sequence[SecurityKey], challenge: bytes
) -> dict[str, Any]:
    """Give what the browser needs to have a nonce signed by one of ``keys``."""
    options = generate_authentication_options(
        rp_id=place.site,
        challenge=challenge,
        allow_credentials=[_descriptor(key) for key in keys],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


def take_assertion(
    orm: Orm,
    user_id: str,
    place: Place,
    challenge: bytes,
    credential: Mapping[str, Any],
    at_us: int,
) -> SecurityKey | None:
    """Give the key of somebody that signed ``challenge``, noting its use; None if none did.

    A counter that did not grow means a copy of the key, or an answer that was used before.
    """
    try:
        row = orm.scalars(
            select(SecurityKey)
            .where(
                SecurityKey.user_id == user_id,
                SecurityKey.site == place.site,
                SecurityKey.credential == base64url_to_bytes(str(credential.get("id", ""))),
            )
            .with_for_update()
        ).first()
        if row is None:
            return None
        proved = verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=place.site,
            expected_origin=place.origin,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count,
            require_user_verification=True,
        )
    except UNREADABLE:
        return None
    row.sign_count, row.used_us = proved.new_sign_count, at_us
    return row


def _descriptor(key: SecurityKey) -> PublicKeyCredentialDescriptor:
    known = {kind.value for kind in AuthenticatorTransport}
    transports = [AuthenticatorTransport(one) for one in key.transports if one in known]
    return PublicKeyCredentialDescriptor(id=key.credential, transports=transports or None)


def _not_accepted() -> InvalidInput:
    return InvalidInput("The security key was not accepted. Try again.")


def _note(orm: Orm, who: Who, action: str, row: SecurityKey, at_us: int) -> None:
    facts = {"factor": "key", "key": row.id, "name": row.name}
    leave_audit_entry(orm, who, action, f"user:{row.user_id}", at_us, facts=facts)
