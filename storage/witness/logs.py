"""The list of the logs that a witness cosigns: lines ``log KEY``, as in trust material."""

from collections.abc import Mapping

from bidwitness.errors import ConfigError
from bidwitness.storage.evidence.note import ED25519, BadNote, NoteKey, read_key

# Other lines of trust material, so that a site's may be put here as it is.
_OTHERS = frozenset(
    {"recorder", "witness", "group", "quorum", "timestamp", "report"}
    # The head of a published version.
    | {"bidwitness", "site", "version", "day", "previous", "centre", "history", "policy"}
)
# Comments, the lines of a published version's history, and signatures.
_SKIPPED = frozenset("#0123456789—")


def read_logs(text: str) -> Mapping[str, NoteKey]:
    """Give the key of each log, by its origin. Raises ``ConfigError`` naming the line."""
    logs: dict[str, NoteKey] = {}
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or words[0][0] in _SKIPPED or words[0] in _OTHERS:
            continue
        try:
            if words[0] != "log" or len(words) not in (2, 3):
                raise BadNote("write `log KEY`")
            key = read_key(words[1])
            if key.kind != ED25519:
                raise BadNote(f"the key of {key.name} is not a log's")
            if logs.setdefault(key.name, key) != key:
                raise BadNote(f"{key.name} has another key above: a log never changes its key")
        except BadNote as error:
            raise ConfigError(f"Line {number} of the list of logs: {error}.") from None
    return logs
