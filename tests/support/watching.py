"""What a viewer gets over the wire: every entry of every playlist of a viewing, byte by byte."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpx

from bidwitness.simulator.stamps import STAMP_LENGTH, STAMP_UUID, FrameStamp, read_sei

MAP = re.compile(r'#EXT-X-MAP:URI="([^"]+)"')


@dataclass(frozen=True)
class Watched:
    """A viewing's picture of one stream."""

    camera: str
    role: str
    stamps: tuple[FrameStamp, ...]
    playlist: str

    @property
    def frames(self) -> list[int]:
        return [stamp.frame for stamp in self.stamps]


class Viewer:
    """Somebody signed in, with a browser's cookie."""

    def __init__(self, base: str, username: str, password: str) -> None:
        self.base = base
        self.http = httpx.Client(
            base_url=base, headers={"Origin": base}, timeout=60, trust_env=False
        )
        body = {"username": username, "password": password}
        self.http.post("/api/v1/auth/login", json=body).raise_for_status()

    def close(self) -> None:
        self.http.close()

    def open(self, session: str) -> dict[str, Any]:
        """Open a viewing of a whole session."""
        answer = self.http.post("/api/v1/playbacks", json={"session_id": session})
        answer.raise_for_status()
        playback: dict[str, Any] = answer.json()
        return playback

    def watch(self, session: str) -> list[Watched]:
        """Fetch all pictures that a session's viewer may have."""
        playback = self.open(session)
        return [self._stream(playback["id"], stream) for stream in playback["streams"]]

    def _stream(self, playback: str, stream: dict[str, Any]) -> Watched:
        address = f"/play/{playback}/{stream['stream_id']}/picture/index.m3u8"
        answer = self.http.get(address)
        answer.raise_for_status()
        stamps: list[FrameStamp] = []
        gap = False
        for line in answer.text.splitlines():
            if line.startswith("#EXT-X-GAP"):
                gap = True
            elif line and not line.startswith("#"):
                if not gap:
                    piece = self.http.get(urljoin(address, line))
                    piece.raise_for_status()
                    stamps += stamps_in(piece.content)
                gap = False
        return Watched(stream["camera"], stream["role"], tuple(stamps), answer.text)


def stamps_in(body: bytes) -> list[FrameStamp]:
    """Find every frame's stamp in bytes, wherever it stands."""
    found: list[FrameStamp] = []
    at = body.find(STAMP_UUID)
    while at >= 0:
        stamp = read_sei(body[at : at + len(STAMP_UUID) + STAMP_LENGTH])
        assert stamp is not None
        found.append(stamp)
        at = body.find(STAMP_UUID, at + 1)
    return found
