"""Work on pictures in a process of its own: decoders of video crash on what nobody foresaw.

The parent gives one line of JSON, the child says how many pictures are done. It ends at its next
word once nobody hears it any more.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import Any

import av

from bidwitness.errors import DamageFound, StorageFull

FULL = frozenset((ENOSPC, EDQUOT, EFBIG))
SAID_EVERY = 50
_FAILED, _FULL = 3, 4


def work_apart(module: str, order: dict[str, Any], on_pictures: Callable[[int], None]) -> None:
    """Have a module's ``main`` do an order; tell now and then how many pictures are done.

    Raises ``DamageFound`` if the footage cannot be decoded, ``StorageFull``, and whatever
    ``on_pictures`` raises: the work ends with that.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdin is not None and child.stdout is not None
    why, said_all = "the decoder died of it", False
    with child:
        try:
            # A child that died at once says so by its end.
            with suppress(BrokenPipeError):
                child.stdin.write(json.dumps(order))
                child.stdin.close()
            for line in child.stdout:
                if line.strip().isdigit():
                    on_pictures(int(line))
                else:
                    why = line.strip()
            said_all = True
        finally:
            if not said_all:
                child.kill()
    if child.returncode == _FULL:
        raise StorageFull("The film cannot be written: the disk is full.")
    if child.returncode != 0:
        raise DamageFound(f"The footage cannot be decoded: {why}.")


def obey(do: Callable[[dict[str, Any], Callable[[int], None]], int]) -> None:
    """Do one order from standard input, in the child; its ``target`` is removed if that fails.

    Exits with 3 and a sentence if the footage is at fault, with 4 if the disk is.
    """
    av.logging.set_level(None)
    order = json.loads(sys.stdin.read())

    def say(done: int) -> None:
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()

    try:
        say(do(order, say))
    except (av.FFmpegError, IndexError, DamageFound, OSError) as error:
        Path(order["target"]).unlink(missing_ok=True)
        full = getattr(error, "errno", None) in FULL
        sys.stdout.write(f"{getattr(error, 'detail', error)}\n")
        raise SystemExit(_FULL if full else _FAILED) from None
