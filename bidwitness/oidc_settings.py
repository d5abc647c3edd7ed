"""The settings of signing in through an OpenID provider; a part of ``bidwitness.config.Settings``.

Without ``oidc_issuer`` there is none, and none of the others matters.
"""

import ipaddress
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings


class OidcSettings(BaseSettings):
    """Which provider there is, who we are to it, and how far its word goes."""

    # As the provider writes it in its tokens, to the letter.
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    # The first line of a file; without one we are a public client, and PKCE alone protects the code.
    oidc_client_secret_file: Path | None = None
    # What the button says: "Sign in with …".
    oidc_name: str = Field(default="OpenID Connect", min_length=1, max_length=60)
    oidc_scopes: str = "openid profile"
    # Which claim says what the person is called there. It is shown and noted; nothing hangs on it.
    oidc_name_claim: str = "preferred_username"
    # Which claim tells that a second factor was given there, and by which of its values (commas).
    oidc_factor_claim: Literal["", "amr", "acr"] = ""
    oidc_factor_values: str = ""
    # Whether linked people may sign in by password as well; administrators always may.
    oidc_passwords: bool = True
    # The certificates that the provider is known by, if they are not the system's (PEM).
    oidc_ca: Path | None = None
    # All that one sign-in asks of the provider has to be answered within so long.
    oidc_seconds: float = Field(default=5, ge=0.1, le=30)

    @model_validator(mode="after")
    def _provider(self) -> Self:
        if not self.oidc_issuer:
            return self
        parts = urlsplit(self.oidc_issuer)
        if parts.query or parts.fragment or not may_ask(self.oidc_issuer, self.oidc_issuer):
            raise ValueError(
                "BIDWITNESS_OIDC_ISSUER must be an https:// address without ? and #; http:// is "
                "for this machine alone"
            )
        if not self.oidc_client_id:
            raise ValueError("BIDWITNESS_OIDC_ISSUER wants BIDWITNESS_OIDC_CLIENT_ID")
        if "openid" not in self.oidc_scopes.split():
            raise ValueError("BIDWITNESS_OIDC_SCOPES must hold openid")
        if bool(self.oidc_factor_claim) != bool(self.oidc_factors):
            raise ValueError(
                "BIDWITNESS_OIDC_FACTOR_CLAIM and BIDWITNESS_OIDC_FACTOR_VALUES go together"
            )
        return self

    @property
    def oidc_factors(self) -> frozenset[str]:
        """The values that tell of a second factor."""
        return frozenset(part.strip() for part in self.oidc_factor_values.split(",")) - {""}


def may_ask(address: str, issuer: str) -> bool:
    """Tell whether an address of the provider's may be asked: by https, or on this machine. Pure.

    http is taken for loopback only if the issuer itself is there.
    """
    parts, own = urlsplit(address), urlsplit(issuer)
    if not parts.hostname or parts.username is not None:
        return False
    if parts.scheme == "https":
        return True
    return parts.scheme == "http" and _is_here(parts.hostname) and _is_here(own.hostname or "")


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
