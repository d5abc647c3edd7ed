"""A process that ends when the one that started it is gone, however that one ended.

The parent holds the writing end of a pipe whose reading end is the child's standard input, and
says so in the environment. When the parent dies the system closes its end, and the child tells
itself to stop as if asked to.
"""

import os
import signal
import sys
import threading

VARIABLE = "BIDWITNESS_LIFELINE"
STDIN = "stdin"


def end_with_parent() -> None:
    """Watch standard input if the environment says that it is a lifeline."""
    # Not for processes that this one starts in turn.
    if os.environ.pop(VARIABLE, None) == STDIN:
        threading.Thread(target=_wait, name="lifeline", daemon=True).start()


def _wait() -> None:
    while os.read(sys.stdin.fileno(), 1):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
