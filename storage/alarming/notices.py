"""What is sent of alarms: a JSON body with its signature, and a mail. Pure."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.headerregistry import Address
from email.message import EmailMessage

from bidwitness.storage.alarming.wording import Said, name_of, sentence

SIGNATURE, DELIVERY = "BidWitness-Signature", "BidWitness-Delivery"
_CHINA = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class Notice:
    """One moment of an alarm: it was ``raised``, or ``cleared``. Times in µs UTC."""

    alarm_id: str
    moment: str
    kind: str
    subject: str
    cause: str | None
    facts: Mapping[str, object]
    room: str | None
    raised_us: int
    cleared_us: int | None

    @property
    def text(self) -> Said:
        """Say what is wrong, in both languages."""
        if self.facts:
            return sentence(self.kind, self.facts)
        name, where = name_of(self.kind), self.room or self.subject
        return Said(f"{where}：{name.zh}。", f"{where}: {name.en}. {self.cause or ''}".rstrip())


def webhook_body(site: str, notices: Sequence[Notice]) -> bytes:
    """Give the JSON that is posted: the same bytes for the same notices, so a repeat shows."""
    return json.dumps(
        {"site": site, "notices": [_item(notice) for notice in notices]},
        ensure_ascii=False,
        sort_keys=True,
    ).encode()


def _item(notice: Notice) -> dict[str, object]:
    name, text = name_of(notice.kind), notice.text
    return {
        "alarm_id": notice.alarm_id,
        "moment": notice.moment,
        "kind": notice.kind,
        "name": {"zh": name.zh, "en": name.en},
        "text": {"zh": text.zh, "en": text.en},
        "subject": notice.subject,
        "cause": notice.cause,
        "facts": notice.facts,
        "room": notice.room,
        "raised_at": notice.raised_us,
        "cleared_at": notice.cleared_us if notice.moment == "cleared" else None,
    }


def signature(secret: str, at_s: int, body: bytes) -> str:
    """Give the signature header: ``t=<unix seconds>,v1=<hex HMAC-SHA-256 of "t.body">``.

    The time is inside, so that a receiver can refuse what somebody kept and posts again.
    """
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256)
    return f"t={at_s},v1={digest.hexdigest()}"


def mail(
    site: str, name: str, sender: str, to: Sequence[str], job_id: str, notices: Sequence[Notice]
) -> EmailMessage:
    """Write one mail about notices; Chinese first, then English.

    ``job_id`` makes its Message-ID, so that a mail sent twice is shown once.
    """
    message = EmailMessage()
    first = notices[0]
    zh = "告警" if first.moment == "raised" else "告警解除"
    en = "alarm" if first.moment == "raised" else "alarm over"
    what = name_of(first.kind)
    more = f" (+{len(notices) - 1})" if len(notices) > 1 else ""
    # No line break can come in here: names are our own, the rest is one line each.
    message["Subject"] = f"[{' '.join(name.split())}] {zh}：{what.zh} / {en}: {what.en}{more}"
    message["From"] = sender
    message["To"] = [Address(addr_spec=address) for address in to]
    message["Message-ID"] = f"<{job_id}@{site}.bidwitness>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(line for notice in notices for line in _lines(notice)))
    return message


def _lines(notice: Notice) -> list[str]:
    over = notice.moment == "cleared"
    at_us = notice.cleared_us if over and notice.cleared_us is not None else notice.raised_us
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
    when = f"{at.astimezone(_CHINA):%Y-%m-%d %H:%M:%S} +08:00"
    return [
        when,
        f"{'已解除 · ' if over else ''}{notice.text.zh}",
        f"{'Over · ' if over else ''}{notice.text.en}",
        "",
    ]
