"""Decode a sample of a session's files: that they are there is known, that they play is tried."""

import io
import logging
from collections.abc import Sequence
from itertools import islice

import av

from bidwitness.errors import BidWitnessError, StoreError
from bidwitness.storage.evidence_report.facts import ProbeFacts
from bidwitness.storage.footage import Footage
from bidwitness.storage.index.models import Segment

# So many files of a stream are tried, the first and the last among them, and of each so many
# pictures and so many blocks of sound: enough to meet another codec or a broken init.
FILES = 5
PICTURES = 50
BLOCKS = 200
log = logging.getLogger(__name__)


def sampled(count: int, wanted: int = FILES) -> list[int]:
    """Give which of ``count`` files are tried, evenly, with the first and the last. Pure."""
    if count <= wanted:
        return list(range(count))
    return sorted({round(i * (count - 1) / (wanted - 1)) for i in range(wanted)})


def probe_stream(footage: Footage, segments: Sequence[Segment]) -> ProbeFacts:
    """Decode the beginnings of some of a stream's files.

    A file that cannot be read or decoded is named, never raised, except when the store does not
    answer: ``StoreError``, because that says nothing of the file.
    """
    tried = [segments[i] for i in sampled(len(segments))]
    frames, failed = 0, []
    for segment in tried:
        try:
            frames += _decoded(b"".join(footage.open_stream(segment)))
        except StoreError:
            raise
        except (BidWitnessError, av.FFmpegError, ValueError) as error:
            said = {"segment": segment.id, "why": str(error)}
            log.warning("a file does not decode", extra={"facts": said})
            failed.append(segment.sha256.hex())
    return ProbeFacts(len(segments), len(tried), frames, tuple(failed))


def _decoded(data: bytes) -> int:
    """Count what was decoded of a file. Raises ``ValueError`` if nothing was."""
    count = 0
    with av.open(io.BytesIO(data), mode="r", format="mp4") as container:
        kinds = [stream.type for stream in container.streams]
    for index, kind in enumerate(kinds):
        # Opened anew for each: a track is read from its beginning.
        with av.open(io.BytesIO(data), mode="r", format="mp4") as container:
            wanted = PICTURES if kind == "video" else BLOCKS
            frames = container.decode(container.streams[index])
            count += sum(1 for _ in islice(frames, wanted))
    if count == 0:
        raise ValueError("nothing came of it")
    return count
