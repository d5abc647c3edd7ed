"""Structured logging: one JSON object a line on stderr, credentials removed.

Every module logs with ``logging.getLogger(__name__)`` and passes facts as ``extra={"facts": {…}}``.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from urllib.parse import urlsplit

# Greedy up to the last @ before a space or quote: a password may itself hold @ : / #.
_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s\"'<>]*@(?=[^\s@])")
_SECRET_PARAM = re.compile(
    r"(?i)(?P<name>password|passwd|pwd|token|ticket|secret|authorization|cookie)"
    r"(?P<sep>\"?\s*[=:]\s*\"?)(?:(?:bearer|basic|digest)\s+)?[^\s&\"',;]+"
)
# The address of a playback for players outside the browser is as good as a password.
_TICKET_PATH = re.compile(r"(?P<path>/play/with/)[^/\s\"'?#]+")


def redact(text: str) -> str:
    """Take user names, passwords, tokens and tickets out of a text that may hold URLs."""
    text = _TICKET_PATH.sub(r"\g<path>***", _USERINFO.sub(r"\g<scheme>***@", text))
    return _SECRET_PARAM.sub(r"\g<name>\g<sep>***", text)


def host_of(url: str) -> str:
    """Name only the host of an address, for messages that people see."""
    try:
        return urlsplit(redact(url)).hostname or "?"
    except ValueError:
        return "?"


class JsonFormatter(logging.Formatter):
    """One line of JSON: time (UTC), level, logger, message, facts, trace."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "message": redact(record.getMessage()),
        }
        facts = getattr(record, "facts", None)
        if isinstance(facts, dict):
            line.update({str(k): _clean(v) for k, v in facts.items()})
        if record.exc_info:
            line["trace"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def _clean(value: object) -> object:
    if isinstance(value, bool | int | None):
        return value
    return redact(str(value))


def configure(level: str = "info") -> None:
    """Send every logger's lines to stderr as JSON. Call once, at the start of a process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Every request of ours in its log would bury what matters.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # It tells of every start what matters only when something goes wrong.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # It tells of each table of each font that is put into a document.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
