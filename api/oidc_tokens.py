"""What an OpenID provider says, believed only after it has been checked: its description, its keys,
its id tokens. Pure."""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey, import_key

from bidwitness.oidc_settings import may_ask

# Signatures that only the provider can have made, with the kind of key that each takes. Neither
# `none` nor the HS family is here: whoever knows a public key could make those.
ALGORITHMS = {
    **{f"{family}{bits}": "RSA" for family in ("RS", "PS") for bits in (256, 384, 512)},
    **{f"ES{bits}": "EC" for bits in (256, 384, 512)},
}
MIN_RSA_BITS = 2048
MAX_TOKEN = 16_384
MAX_KEYS = 50
# Clocks may differ by so much, and a token made longer ago was not made for this sign-in.
LEEWAY_S = 60
MAX_AGE_S = 600
MAX_SUBJECT = 255

Key = RSAKey | ECKey


class Untrusted(Exception):
    """What the provider said does not hold. The text is for the log, and holds nothing secret."""


class UnknownKey(Untrusted):
    """The key is none of those that we know: the provider may have new ones."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the provider is asked for what."""

    authorization: str
    token: str
    keys: str
    # How we say who we are there.
    secret_in_body: bool


@dataclass(frozen=True, slots=True)
class Expected:
    """What an id token has to fit."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str | None


def read_endpoints(document: Mapping[str, Any], issuer: str) -> Endpoints:
    """Read a provider's description of itself. Raises ``Untrusted``."""
    if document.get("issuer") != issuer:
        raise Untrusted("the description names another issuer")
    try:
        metadata = OpenIDProviderMetadata(document)
        metadata.validate_response_types_supported()
        metadata.validate_id_token_signing_alg_values_supported()
    except (ValueError, TypeError) as error:
        raise Untrusted(f"the description is not one: {error}") from None
    found = []
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        address = document.get(name)
        if not isinstance(address, str) or not _may_ask(address, issuer):
            raise Untrusted(f"the description's {name} is not an https:// address")
        found.append(address)
    methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    in_body = "client_secret_basic" not in methods and "client_secret_post" in methods
    return Endpoints(found[0], found[1], found[2], in_body)


def _may_ask(address: str, issuer: str) -> bool:
    try:
        return may_ask(address, issuer)
    except ValueError:
        return False


def read_keys(document: Mapping[str, Any]) -> tuple[Key, ...]:
    """Read the keys that sign; those of another use or kind are passed over. Raises ``Untrusted``."""
    listed = document.get("keys")
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise Untrusted("there is no list of keys")
    found = [key for entry in listed if (key := _read_key(entry)) is not None]
    if not found:
        raise Untrusted("there is no key that signs")
    return tuple(found)


def _read_key(entry: object) -> Key | None:
    if not isinstance(entry, dict) or entry.get("kty") not in ALGORITHMS.values():
        return None
    if entry.get("use") not in (None, "sig"):
        return None
    try:
        key = import_key({name: value for name, value in entry.items() if name != "d"})
    except (JoseError, ValueError, TypeError):
        return None
    if isinstance(key, RSAKey):
        return key if key.public_key.key_size >= MIN_RSA_BITS else None
    return key if isinstance(key, ECKey) else None


def check_token(
    text: str, keys: Iterable[Key], expected: Expected, now_s: int
) -> Mapping[str, Any]:
    """Give the claims of an id token that is the provider's, for us, for this sign-in, and of now.

    Raises ``UnknownKey`` if none of the keys is the one that it names, ``Untrusted`` otherwise.
    """
    if len(text) > MAX_TOKEN:
        raise Untrusted("the token is too long")
    try:
        header = jws.extract_compact(text.encode()).headers()
        key, algorithm = _key_for(header, tuple(keys))
        read = jwt.decode(text, key, algorithms=[algorithm])
        claims = CodeIDToken(
            read.claims,
            read.header,
            {
                "iss": {"essential": True, "value": expected.issuer},
                "aud": {"essential": True, "value": expected.client_id},
            },
            {
                "nonce": expected.nonce,
                "client_id": expected.client_id,
                "access_token": expected.access_token,
            },
        )
        claims.validate(now_s, LEEWAY_S)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        # A token is the stranger's own making until its signature holds: it may be anything.
        raise Untrusted(f"the token does not hold: {error}") from None
    _check_more(claims, expected, now_s)
    return dict(claims)


def _key_for(header: Mapping[str, Any], keys: tuple[Key, ...]) -> tuple[Key, str]:
    algorithm = header.get("alg")
    kind = ALGORITHMS.get(algorithm) if isinstance(algorithm, str) else None
    if not isinstance(algorithm, str) or kind is None:
        raise Untrusted("the token is signed in no way that is taken")
    named = header.get("kid")
    fitting = [
        key
        for key in keys
        if key.key_type == kind
        and (named is None or key.kid == named)
        and key.get("alg") in (None, algorithm)
    ]
    if not fitting:
        raise UnknownKey("the token is signed with a key that is not known")
    if len(fitting) > 1:
        raise Untrusted("the token does not say which key it is signed with")
    return fitting[0], algorithm


def _check_more(claims: Mapping[str, Any], expected: Expected, now_s: int) -> None:
    subject, made, audience = claims.get("sub"), claims.get("iat"), claims.get("aud")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise Untrusted("the token's subject is none")
    if not isinstance(made, int | float) or made < now_s - MAX_AGE_S:
        raise Untrusted("the token was made long ago")
    if not isinstance(claims.get("exp"), int | float):
        raise Untrusted("the token never ends")
    if isinstance(audience, list) and len(audience) > 1 and "azp" not in claims:
        raise Untrusted("the token is for several and does not say who asked for it")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode(), expected.nonce.encode()
    ):
        raise Untrusted("the token is for another sign-in")


def tells_factor(claims: Mapping[str, Any], claim: str, values: frozenset[str]) -> bool:
    """Tell whether the provider says that it has asked for a second factor."""
    given = claims.get(claim) if claim else None
    listed = given if isinstance(given, list) else [given]
    return any(isinstance(one, str) and one in values for one in listed)
