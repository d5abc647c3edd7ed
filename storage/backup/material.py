"""The published versions of the trust material in a backup: without them the next one would be
another version 1 under the same key."""

from pathlib import Path

from bidwitness.config import Settings
from bidwitness.storage.backup.durable import write_file
from bidwitness.storage.spool.files import Files, replace_file

_VERSIONS = "[0-9]*.txt"


def copy_material(settings: Settings, to: Path) -> int:
    """Copy what was published; give how many versions. Raises ``OSError``."""
    versions = sorted(settings.trust.glob(_VERSIONS))
    for path in versions:
        write_file(to / path.name, path.read_bytes())
    return len(versions)


def put_back_material(settings: Settings, files: Files, kept: Path) -> int:
    """Write the versions that are not there; give how many. Raises ``OSError``.

    What is there stays: it may bear more countersignatures.
    """
    absent = [p for p in sorted(kept.glob(_VERSIONS)) if not (settings.trust / p.name).exists()]
    if absent:
        files.make_dirs(settings.trust)
    for path in absent:
        replace_file(files, settings.trust / path.name, path.read_bytes())
    return len(absent)
