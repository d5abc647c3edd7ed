"""Tickets: what the API gives a live viewing's own relay, so that `live` need ask nobody.

A ticket names one track of one stream, lasts seconds, and is good once. It is sealed with a key
file that both processes read.
"""

import base64
import binascii
import json
import secrets
from dataclasses import dataclass

from bidwitness.clock import Clock
from bidwitness.errors import ConfigError, DamageFound, Unauthenticated
from bidwitness.secrets import SecretBox
from bidwitness.words import Medium

LASTS_US = 30_000_000
# How a ticket is sent: ``Authorization: Ticket …``.
SCHEME = "Ticket"
_ABOUT = "live ticket"


@dataclass(frozen=True, slots=True)
class LiveTicket:
    """One track of one stream."""

    stream_id: str
    medium: Medium


class LiveTickets:
    """Issues and takes tickets. ``box`` holds the key that both sides share."""

    def __init__(self, box: SecretBox, clock: Clock) -> None:
        self._box = box
        self._clock = clock
        # What was taken, until it could not be taken any more anyway.
        self._taken: dict[str, int] = {}

    def issue(self, ticket: LiveTicket) -> str:
        """Give the text of a new ticket. Raises ``ConfigError`` if the key cannot be made."""
        body = {
            "stream": ticket.stream_id,
            "medium": ticket.medium,
            "until": self._clock.utc_us() + LASTS_US,
            "nonce": secrets.token_hex(8),
        }
        return base64.urlsafe_b64encode(self._box.seal(json.dumps(body), _ABOUT)).decode()

    def take(self, text: str) -> LiveTicket:
        """Give what a ticket is for; it is used up by that.

        Raises ``Unauthenticated`` if it is not ours, too old or was taken before.
        """
        now = self._clock.utc_us()
        try:
            sealed = base64.urlsafe_b64decode(text)
            body = json.loads(self._box.open(sealed, _ABOUT))
            until, nonce = int(body["until"]), str(body["nonce"])
            ticket = LiveTicket(str(body["stream"]), Medium(body["medium"]))
        except (binascii.Error, ValueError, KeyError, DamageFound, ConfigError):
            raise Unauthenticated("This is not a live ticket of ours.") from None
        self._taken = {known: end for known, end in self._taken.items() if end > now}
        if not now <= until <= now + LASTS_US or nonce in self._taken:
            raise Unauthenticated("This live ticket cannot be used any more.")
        self._taken[nonce] = until
        return ticket
