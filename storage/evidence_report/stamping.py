"""A time stamp in a report's signature (PAdES B-T): that it was signed no later than then."""

from collections.abc import Sequence
from typing import Any

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import Unavailable
from bidwitness.storage.evidence.token import BadToken
from bidwitness.storage.ledger.authority import Authority
from bidwitness.storage.ledger.tokens import check_digest
from bidwitness.storage.ledger.trusted import read_trusted


class ReportStamp:
    """Asks one authority, ``name``, whose certificates are trusted."""

    def __init__(
        self, authority: Authority, name: str, url: str, certificates: Sequence[bytes]
    ) -> None:
        self.name = name
        self._authority = authority
        self._url = url
        self._certificates = certificates

    def timestamper(self) -> Any:
        """Give what the PDF library asks. It raises ``Unavailable`` without a good answer."""
        # Here: only who signs needs what it loads.
        from asn1crypto import tsp
        from pyhanko.sign.timestamps import TimeStamper

        outer = self

        class Asking(TimeStamper):
            """Asks over our own client, and believes only the authority's own signature."""

            async def async_request_tsa_response(self, req: Any) -> Any:
                digest = bytes(req["message_imprint"]["hashed_message"].native)
                answer = outer._authority.ask(outer._url, req.dump())
                try:
                    check_digest(answer, digest, outer._certificates)
                    return tsp.TimeStampResp.load(answer)
                except (BadToken, ValueError) as error:
                    raise Unavailable(f"answers what is no good: {error}") from None

        return Asking()  # type: ignore[no-untyped-call]  # untyped there


def stamps_of(
    settings: Settings, clock: Clock, authority: Authority | None = None
) -> list[ReportStamp]:
    """Give the authorities that the site asks, in the order of its file. Raises ``ConfigError``."""
    trusted = read_trusted(settings.witnesses)
    return [
        ReportStamp(authority or Authority(clock), name, trusted.urls[name], certificates)
        for name, certificates in trusted.timestamps.items()
        if name in trusted.urls
    ]
