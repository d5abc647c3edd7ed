"""Messages as files in one folder, each there whole or not at all.

Kombu's own transport writes a message under its final name while others may already take it, and
a worker that reads half a message ends. Here a message gets its name when it is complete.
"""

import json
import logging
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem

from bidwitness.clock import SystemClock

log = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    """Kombu's channel with writing and taking that cannot see each other's halves."""

    def _put(self, *arguments: Any, **_: Any) -> None:
        queue, message = arguments  # its own base classes disagree on the second one's name
        # Kombu's names, so that its counting and purging still work; in the order of writing.
        name = f"{SystemClock().utc_us():018d}_{uuid.uuid4()}.{queue}.msg"
        folder = Path(self.data_folder_out)
        unfinished = folder / f".{name}"
        unfinished.write_text(json.dumps(message))
        unfinished.rename(folder / name)

    def _get(self, queue: Any, timeout: Any = None) -> Any:
        folder = Path(self.data_folder_in)
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or path.name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = folder / f".taken-{uuid.uuid4()}"
            try:
                path.rename(taken)
            except FileNotFoundError:
                continue  # another worker was quicker
            text = taken.read_text()
            taken.unlink()
            try:
                return json.loads(text)
            except ValueError:
                # A power cut may leave an empty file under a good name; beat hints again.
                log.warning("a message was not readable", extra={"facts": {"name": path.name}})
        raise Empty


class Transport(filesystem.Transport):
    """What ``filesystem://`` means here."""

    Channel = Channel
