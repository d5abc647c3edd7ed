"""Asking a time-stamping authority over HTTP (RFC 3161)."""

from collections.abc import Sequence

import httpx
from rfc3161_client import TimestampRequestBuilder

from bidwitness.clock import Clock
from bidwitness.errors import Unavailable
from bidwitness.storage.evidence.token import MAX_TOKEN, BadToken, Token, read_token
from bidwitness.storage.ledger.tokens import check_token

QUERY = "application/timestamp-query"
TIMEOUT_S = 10.0
_SECOND = 1_000_000


class Authority:
    """Asks time-stamping authorities over HTTP. ``transport`` stands in for it in tests."""

    def __init__(self, clock: Clock, transport: httpx.BaseTransport | None = None) -> None:
        self._clock = clock
        self._transport = transport

    def stamp(self, url: str, message: bytes, certificates: Sequence[bytes]) -> tuple[bytes, Token]:
        """Have a message stamped; give the answer as it came, and what it states.

        Raises ``Unavailable`` if there is no good answer.
        """
        request = (
            TimestampRequestBuilder()
            .data(message)
            .nonce(nonce=True)
            .cert_request(cert_request=True)
            .build()
        )
        try:
            answer = self._post(url, request.as_bytes())
            check_token(answer, message, certificates, request.nonce)
            return answer, read_token(answer)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"does not answer ({type(error).__name__})") from None
        except BadToken as error:
            raise Unavailable(f"answers what is no good: {error}") from None

    def ask(self, url: str, query: bytes) -> bytes:
        """Give the answer to a request (DER) as it came, unread. Raises ``Unavailable``."""
        try:
            return self._post(url, query)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"does not answer ({type(error).__name__})") from None

    def _post(self, url: str, body: bytes) -> bytes:
        began = self._clock.monotonic_us()
        answer = bytearray()
        with (
            httpx.Client(
                timeout=TIMEOUT_S,
                follow_redirects=False,
                trust_env=False,
                transport=self._transport,
            ) as client,
            client.stream("POST", url, content=body, headers={"Content-Type": QUERY}) as response,
        ):
            if response.status_code != 200:
                raise Unavailable(f"answers {response.status_code}")
            for part in response.iter_raw():
                answer += part
                if len(answer) > MAX_TOKEN:
                    raise httpx.RemoteProtocolError("the answer is too long")
                if self._clock.monotonic_us() - began > TIMEOUT_S * _SECOND:
                    raise httpx.ReadTimeout("the answer comes too slowly")
        return bytes(answer)
