"""Several disks under one spool.

The spool holds every stream's journal and lock; its segments lie there too, unless volumes are
named for them. A volume that was ever named is linked in ``volumes`` beside the spool and carries a
mark, so that whoever reads finds what lies there without being told, and a disk that is not mounted is
not taken for an empty one.
"""

from collections.abc import Sequence
from pathlib import Path

from bidwitness.errors import ConfigError

MARK = ".bidwitness_volume"


def volume_name(volume: Path) -> str:
    """Give what a volume is called in alarms and links."""
    return str(volume).strip("/").replace("/", "_")


def is_present(volume: Path) -> bool:
    """Say whether a volume is there, and not only the folder it is mounted on."""
    return (volume / MARK).is_file()


def add_volumes(spool: Path, volumes: Sequence[Path]) -> None:
    """Link and mark volumes that are named for the first time. Raises ``ConfigError``."""
    links = spool.parent / "volumes"
    for volume in volumes:
        link = links / volume_name(volume)
        if link.is_symlink():
            continue
        if not volume.is_dir():
            raise ConfigError(f"BIDWITNESS_VOLUMES names {volume}, which is no folder.")
        try:
            links.mkdir(parents=True, exist_ok=True)
            (volume / MARK).touch()
            link.symlink_to(volume, target_is_directory=True)
        except FileExistsError:
            continue  # another process was a moment earlier
        except OSError as error:
            raise ConfigError(f"The volume {volume} cannot be used: {error.strerror}.") from None


def volumes_of(spool: Path) -> tuple[Path, ...]:
    """Give the folders that hold segments: the spool, and every volume that is there."""
    return (spool, *(volume for volume in _linked(spool) if is_present(volume)))


def any_absent(spool: Path) -> bool:
    """Say whether a volume is not there, so that what is found nowhere may yet be on it.

    Whoever takes a disk away for good removes its link.
    """
    return not all(is_present(volume) for volume in _linked(spool))


def _linked(spool: Path) -> list[Path]:
    links = spool.parent / "volumes"
    try:
        return [link.readlink() for link in sorted(links.iterdir())]
    except (FileNotFoundError, NotADirectoryError):
        return []


def locate(spool: Path, path: str) -> Path:
    """Give where a file of a segment lies; where it would lie in the spool, if it is nowhere."""
    usual = spool / path
    if usual.exists():
        return usual
    return next((v / path for v in volumes_of(spool)[1:] if (v / path).exists()), usual)
