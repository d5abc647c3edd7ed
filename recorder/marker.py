"""A file that says of a stream: it was stopped because nobody wanted it."""

import logging
from pathlib import Path

from bidwitness.storage.spool.layout import NOT_WANTED, stream_dir

log = logging.getLogger(__name__)


class NotWanted:
    """The marker of one stream.

    A disk that takes nothing now must not end the process: at worst the time until the next start
    is stated as a gap, or not as one.
    """

    def __init__(self, volume: Path, stream: str) -> None:
        self._stream = stream
        self._path = stream_dir(volume, stream) / NOT_WANTED

    @property
    def is_set(self) -> bool:
        return self._path.is_file()

    def set(self) -> None:
        """From now on, what is missing is nobody's gap."""
        try:
            self._path.touch()
        except OSError as error:
            self._say(error)

    def take_away(self) -> None:
        """The stream is recorded again."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            self._say(error)

    def _say(self, error: OSError) -> None:
        facts = {"stream": self._stream, "error": str(error)}
        log.error("the volume takes no marker", extra={"facts": facts})
