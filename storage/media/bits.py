"""Reading bits of a NAL unit's payload: fixed fields and Exp-Golomb codes. Pure."""

from bidwitness.errors import DamageFound


class BitReader:
    """Reads from the first bit on. Raises ``DamageFound`` at the end of the bytes."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, bits: int) -> int:
        """Give the next ``bits`` bits as a number."""
        if bits > self._left:
            raise DamageFound("A parameter set ends too early.")
        self._left -= bits
        return (self._value >> self._left) & ((1 << bits) - 1)

    def ue(self) -> int:
        """Give the next unsigned Exp-Golomb code (H.264 9.1, H.265 9.2)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 31:
                raise DamageFound("A parameter set holds a number that is too large.")
        return (1 << zeros) - 1 + self.take(zeros)

    def se(self) -> int:
        """Give the next signed Exp-Golomb code."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def without_emulation(nal: bytes) -> bytes:
    """Take out the emulation prevention bytes: ``00 00 03`` stands for ``00 00``."""
    return nal.replace(b"\0\0\x03", b"\0\0")
