"""A conversation with a camera until its media flow: DESCRIBE, SETUP, PLAY (RFC 2326).

The first DESCRIBE goes without a login, so that what stands there is known before it hears one.
Nothing is ever dialled but the one address that was checked: a redirect is refused, and the URLs
that a camera names are only said to it.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from bidwitness.addresses import CameraAddress
from bidwitness.errors import CameraError
from bidwitness.rtsp.door import check_answer, choose_login, not_accepted, not_rtsp
from bidwitness.rtsp.login import Login, read_challenge
from bidwitness.rtsp.messages import (
    MAX_MESSAGE,
    Message,
    NotRtsp,
    read_message,
    write_answer,
    write_request,
)
from bidwitness.rtsp.sdp import Description, read_description
from bidwitness.rtsp.wire import Wire

# RFC 2326, 12.37: a session without a sign of life ends after this, if nothing else is said.
SESSION_S = 60
_TIMEOUT = re.compile(r";\s*timeout\s*=\s*(\d{1,6})", re.IGNORECASE)
_CHUNK = 16 * 1024
# Before an answer comes, so much of media may come: more is not waited for.
_MOST_EARLY = 4 << 20


class Client:
    """One camera's conversation over one wire. Each request raises as ``connect`` does."""

    def __init__(self, wire: Wire, address: CameraAddress) -> None:
        self.wire = wire
        self.address = address
        self.session = ""
        self.session_s = SESSION_S
        # Media that came before the answer to PLAY, and what is read but not understood yet.
        self.early = bytearray()
        self._url = replace(address, username="", password="").dial(address.host)
        self._login: Login | None = None
        self._number = 0
        self._buffer = bytearray()
        self._keep_alive = "OPTIONS"
        self._control = self._url

    def describe(self) -> Description:
        """Ask what there is."""
        answer = self._ask("DESCRIBE", self._url, {"Accept": "application/sdp"})
        base = answer.header("content-base") or answer.header("content-location") or self._url
        if not base.lower().startswith(("rtsp://", "rtsps://")):
            base = self._url
        described = read_description(answer.body, base)
        self._control = described.control
        if "GET_PARAMETER" in answer.header("public").upper():
            self._keep_alive = "GET_PARAMETER"
        return described

    def set_up(self, control: str, transport: str) -> Mapping[str, str]:
        """Set up one track; give the transport that the camera chose, by its parameters' names."""
        answer = self._ask("SETUP", control, {"Transport": transport})
        session = answer.header("session")
        self.session = session.partition(";")[0].strip() or self.session
        if found := _TIMEOUT.search(session):
            self.session_s = max(10, min(int(found[1]), 3600))
        parts = answer.header("transport").split(",")[0].split(";")
        pairs = (part.strip().partition("=") for part in parts)
        return {name.lower(): value.strip() for name, _, value in pairs}

    def play(self) -> str:
        """Let the media flow; give what ``RTP-Info`` says of where they begin."""
        answer = self._ask("PLAY", self._control, {"Range": "npt=0.000-"})
        return answer.header("rtp-info")

    def rest(self) -> bytes:
        """Give what has been received behind the last answer, and forget it."""
        rest = bytes(self.early) + bytes(self._buffer)
        self.early.clear()
        self._buffer.clear()
        return rest

    def keep_alive(self) -> None:
        """Send a sign of life; its answer comes among the media."""
        self._send(self._keep_alive, self._control, {})

    def hear(self, message: Message) -> bool:
        """Take a message that came among the media; say whether the camera goes on."""
        if message.method in ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER"):
            self.wire.send(write_answer(message, "200 OK"))
        elif message.method:
            self.wire.send(write_answer(message, "501 Not Implemented"))
            return message.method not in ("TEARDOWN", "REDIRECT")
        elif message.status == 401:
            # What was to be answered once has grown old.
            self._answer_challenges(message)
        elif message.status == 454:
            return False
        elif message.status >= 400:
            # It does not know this request; one of the two every camera knows.
            self._keep_alive = "OPTIONS" if self._keep_alive != "OPTIONS" else "GET_PARAMETER"
        return True

    def hang_up(self) -> None:
        """Say goodbye without waiting for an answer, and close the wire."""
        try:
            if self.session:
                self._send("TEARDOWN", self._control, {})
        except OSError:
            self.session = ""  # it is gone already
        finally:
            self.wire.close()

    def _ask(self, method: str, url: str, headers: Mapping[str, str]) -> Message:
        try:
            self._send(method, url, headers)
            answer = self._answer()
            check_answer(answer, self.address)
            if answer.status == 401:
                tried = self._login is not None and not self._is_stale(answer)
                if tried:
                    raise not_accepted(self.address)
                self._answer_challenges(answer)
                self._send(method, url, headers)
                answer = self._answer()
                if answer.status == 401:
                    raise not_accepted(self.address)
                check_answer(answer, self.address)
        except TimeoutError:
            raise CameraError(
                f"The camera at {self.address.host} does not answer in time."
            ) from None
        except OSError:
            raise CameraError(
                f"The camera at {self.address.host} broke off the connection."
            ) from None
        return answer

    def _send(self, method: str, url: str, headers: Mapping[str, str]) -> None:
        self._number += 1
        own = {"Session": self.session}
        if self._login is not None:
            own["Authorization"] = self._login.header(method, url)
        self.wire.send(write_request(method, url, self._number, {**headers, **own}))

    @staticmethod
    def _is_stale(answer: Message) -> bool:
        return any("stale=true" in value.lower() for value in answer.all("www-authenticate"))

    def _answer_challenges(self, answer: Message) -> None:
        challenges = [read_challenge(value) for value in answer.all("www-authenticate")]
        chosen = choose_login(challenges, self.address)
        self._login = Login(chosen, self.address.username, self.address.password)

    def _answer(self) -> Message:
        """Wait for the answer to the last request; media that come first are put aside."""
        while True:
            message = self._next_message()
            if message is None:
                if len(self.early) > _MOST_EARLY or len(self._buffer) > MAX_MESSAGE + _CHUNK:
                    raise not_rtsp()
                room = bytearray(_CHUNK)
                count = self.wire.receive_into(memoryview(room))
                if not count:
                    raise CameraError("The camera hung up without an answer.")
                self._buffer += room[:count]
            elif message.method:
                self.hear(message)
            elif message.header("cseq") in ("", str(self._number)):
                return message

    def _next_message(self) -> Message | None:
        buffer = self._buffer
        while len(buffer) >= 4 and buffer[0] == 0x24:
            length = 4 + (buffer[2] << 8 | buffer[3])
            if len(buffer) < length:
                return None
            self.early += buffer[:length]
            del buffer[:length]
        if not buffer or buffer[0] == 0x24:
            return None
        try:
            found = read_message(bytes(buffer))
        except NotRtsp:
            raise not_rtsp() from None
        if found is None:
            return None
        del buffer[: found[1]]
        return found[0]
