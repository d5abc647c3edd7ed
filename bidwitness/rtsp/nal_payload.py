"""H.264 (RFC 6184) and H.265 (RFC 7798) out of RTP packets. Pure.

A picture ends with the packet that is marked, which gives it a frame earlier than waiting for the
next one. Some cameras mark every slice, or nothing; so a camera's marks are trusted only after
some pictures that were marked as they should be, and never again after one that was not.
"""

from bidwitness.rtsp.units import MAX_UNIT, Raw

_TRUSTED_AFTER = 3
_AVC_STAP_A, _AVC_FU_A = 24, 28
_HEVC_AP, _HEVC_FU = 48, 49
_RECOVERY_POINT = 6
# No packet begins so.
_NONE = b"none"


def avc_role(kind: int, nal: bytes) -> tuple[bool, bool]:
    """Say of an H.264 NAL unit whether it is a picture's, and whether one can begin with it."""
    if kind == 6:
        return False, has_recovery_point(nal)
    return 1 <= kind <= 5, kind == 5


def hevc_role(kind: int, _nal: bytes) -> tuple[bool, bool]:
    """Say of an H.265 NAL unit whether it is a picture's, and whether one can begin with it."""
    return kind < 32, 16 <= kind <= 23


def has_recovery_point(sei: bytes) -> bool:
    """Say whether an H.264 SEI NAL unit tells that decoding can begin here (D.1.8)."""
    at, end = 1, len(sei)
    while at + 2 <= end and sei[at] != 0x80:
        kind = size = 0
        while at < end and sei[at] == 0xFF:
            kind += 255
            at += 1
        kind += sei[at] if at < end else 0
        at += 1
        while at < end and sei[at] == 0xFF:
            size += 255
            at += 1
        size += sei[at] if at < end else 0
        at += 1 + size
        if kind == _RECOVERY_POINT:
            return True
    return False


class NalPayload:
    """Puts access units together. Of a NAL unit that lost a part, what came before is kept."""

    gathers = False

    def __init__(self, *, hevc: bool, with_order: bool = False) -> None:
        self._hevc = hevc
        # Two bytes of decoding order before each NAL unit, if the description announces them.
        self._order = 2 if with_order else 0
        self._role = hevc_role if hevc else avc_role
        self._head = 2 if hevc else 1
        self._parts: list[bytes] = []
        self._size = 0
        self._picture = self._key = False
        # How a packet begins that carries the middle of the NAL unit that is open.
        self._middle = _NONE
        self._middle_size = self._head + 1
        # The place of a fragmented NAL unit's length among the parts, and the size before it.
        self._open = -1
        self._open_from = 0
        self._stamp = -1
        self._marks = 0
        self._marked_last = False
        self._good = 0
        self._lies = False
        self._harmed = False

    def take(
        self, data: bytes, at: int, end: int, stamp: int, marked: bool, lost: bool
    ) -> list[Raw] | None:
        """Take the payload ``data[at:end]``; give the pictures that are whole by it.

        ``lost``: packets are missing before it.
        """
        body = at + self._middle_size
        if (
            data[at:body] == self._middle
            and stamp == self._stamp
            and not (lost or marked)
            and self._size <= MAX_UNIT
        ):
            # Most packets are one more piece of a slice.
            self._parts.append(data[body:end])
            self._size += end - body
            self._marked_last = False
            return None
        return self._take(data, at, end, stamp, marked, lost)

    def _take(
        self, data: bytes, at: int, end: int, stamp: int, marked: bool, lost: bool
    ) -> list[Raw] | None:
        done: list[Raw] | None = None
        if stamp != self._stamp:
            self._judge()
            if self._picture:
                done = [self._finish()]
            self._stamp = stamp
            self._marks = 0
            self._marked_last = self._harmed = False
        if lost:
            self._harmed = True
            self._close_fragmented()
        if end - at > self._head:
            self._split(data, at, end)
        self._marked_last = marked
        if marked and self._picture:
            done = [*(done or ()), *(self._ended() or ())] or None
        return done

    def _ended(self) -> list[Raw] | None:
        """Take the mark of a picture's end; give the picture, if marks can be trusted."""
        self._marks += 1
        if self._good < _TRUSTED_AFTER or self._lies:
            return None
        return [self._finish()]

    def rest(self) -> list[Raw] | None:
        """Give the last picture of a connection, if it was marked as whole."""
        return [self._finish()] if self._picture and self._marked_last else None

    def _judge(self) -> None:
        """See whether the picture before was marked once, at its end."""
        if self._harmed or not self._marks:
            return
        if self._marks == 1 and self._marked_last:
            self._good += 1
        else:
            # Some of it came after it was said to be whole.
            self._lies = True

    def _split(self, data: bytes, at: int, end: int) -> None:
        head = data[at]
        kind = head >> 1 & 0x3F if self._hevc else head & 0x1F
        if kind == (_HEVC_FU if self._hevc else _AVC_FU_A):
            self._fragment(data, at, end)
        elif kind == (_HEVC_AP if self._hevc else _AVC_STAP_A):
            at += self._head + self._order
            while at + 2 < end:
                size = data[at] << 8 | data[at + 1]
                stop = min(at + 2 + size, end)
                self._whole(data[at + 2 : stop])
                # From the second NAL unit on one byte tells the distance in order.
                at = stop + (1 if self._order else 0)
        elif kind < (_HEVC_AP if self._hevc else _AVC_STAP_A):
            if self._order:
                self._whole(data[at : at + 2] + data[at + 2 + self._order : end])
            else:
                self._whole(data[at:end])

    def _whole(self, nal: bytes) -> None:
        if len(nal) <= self._head - 1:
            return
        self._close_fragmented()
        kind = nal[0] >> 1 & 0x3F if self._hevc else nal[0] & 0x1F
        self._note(kind, nal)
        self._add(len(nal).to_bytes(4), nal)

    def _fragment(self, data: bytes, at: int, end: int) -> None:
        head = at + self._head
        if head >= end:
            return
        fragment = data[head]
        if fragment & 0x80:
            self._close_fragmented()
            if self._hevc:
                kind = fragment & 0x3F
                first = bytes((data[at] & 0x81 | kind << 1, data[at + 1]))
            else:
                kind = fragment & 0x1F
                first = bytes((data[at] & 0xE0 | kind,))
            self._note(kind, first)
            self._open = len(self._parts)
            if not self._order:
                self._middle = data[at:head] + bytes((fragment & 0x3F,))
            self._open_from = self._size + 4
            self._add(b"\0\0\0\0", first)
        elif self._open < 0:
            return  # its beginning is lost, and with it what it is
        piece = data[head + 1 + self._order : end]
        self._size += len(piece)
        self._parts.append(piece)
        if self._size > MAX_UNIT:
            self._drop()

    def _close_fragmented(self) -> None:
        """Put its length before a NAL unit that came in fragments."""
        if self._open >= 0:
            self._parts[self._open] = (self._size - self._open_from).to_bytes(4)
            self._open = -1
            self._middle = _NONE

    def _note(self, kind: int, nal: bytes) -> None:
        picture, key = self._role(kind, nal)
        self._picture = self._picture or picture
        self._key = self._key or key

    def _add(self, length: bytes, nal: bytes) -> None:
        self._parts.append(length)
        self._parts.append(nal)
        self._size += 4 + len(nal)
        if self._size > MAX_UNIT:
            self._drop()

    def _finish(self) -> Raw:
        self._close_fragmented()
        made = Raw(b"".join(self._parts), self._stamp, self._key)
        self._drop()
        return made

    def _drop(self) -> None:
        self._parts.clear()
        self._size = 0
        self._open = -1
        self._middle = _NONE
        self._picture = self._key = False
