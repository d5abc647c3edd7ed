"""The jobs that tell alarms: a signed POST, and a mail.

A receiver that does not answer is tried again by the job, later and later; nothing waits for it. A
job may be run twice: its id is in what it sends.
"""

import smtplib
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import httpx
from sqlalchemy import select

from bidwitness.config import Settings
from bidwitness.errors import ConfigError, InvalidInput, Unavailable
from bidwitness.storage.alarming.notices import (
    DELIVERY,
    SIGNATURE,
    Notice,
    mail,
    signature,
    webhook_body,
)
from bidwitness.storage.alarming.notify import MAIL, WEBHOOK
from bidwitness.storage.index.models import Alarm, Room
from bidwitness.storage.jobs import JobRun, job_kind

TIMEOUT_S = 10.0
SECOND = 1_000_000
# The receiver may be well again later; every other refusal would be the same next time.
_LATER = frozenset({408, 425, 429})
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PORTS = {"smtp": 25, "smtps": 465}


@job_kind(WEBHOOK)
def post_alarms(run: JobRun) -> Mapping[str, object]:
    """POST notices to ``alarm_webhook``.

    Raises ``Unavailable`` for what is tried again, ``InvalidInput`` for a receiver that refuses.
    """
    settings, secret = run.settings, run.settings.alarm_webhook_secret
    if not settings.alarm_webhook or secret is None:
        raise ConfigError("BIDWITNESS_ALARM_WEBHOOK is not set any more.")
    body = webhook_body(settings.site, _notices(run))
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        DELIVERY: run.id,
        SIGNATURE: signature(secret.get_secret_value(), run.clock.utc_us() // SECOND, body),
    }
    run.check()
    try:
        with httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client:
            answer = client.post(settings.alarm_webhook, content=body, headers=headers)
    except httpx.HTTPError as error:
        raise Unavailable(f"The webhook does not answer: {type(error).__name__}.") from None
    status = answer.status_code
    if status >= 500 or status in _LATER:
        raise Unavailable(f"The webhook answered {status}.")
    if not answer.is_success:
        raise InvalidInput(f"The webhook refused the notice with {status}.")
    return {"status": status}


@job_kind(MAIL)
def mail_alarms(run: JobRun) -> Mapping[str, object]:
    """Mail notices to ``alarm_mail_to``. Raises as ``post_alarms`` does."""
    settings = run.settings
    to = settings.alarm_recipients
    if not to or not settings.alarm_smtp:
        raise ConfigError("BIDWITNESS_ALARM_MAIL_TO is not set any more.")
    notices = _notices(run)
    message = mail(settings.site, settings.name, settings.alarm_mail_from, to, run.id, notices)
    run.check()
    _send(settings, message)
    return {"recipients": len(to)}


def _notices(run: JobRun) -> list[Notice]:
    """Read the alarms that the job names. Raises ``InvalidInput`` if none is there any more."""
    listed = run.payload.get("notices")
    wanted = listed if isinstance(listed, list) else []
    ids = [item["alarm_id"] for item in wanted]
    with run.database.read() as orm:
        rows = orm.execute(
            select(Alarm, Room.name)
            .outerjoin(Room, Room.id == Alarm.room_id)
            .where(Alarm.id.in_(ids))
        ).all()
        found = {
            alarm.id: (alarm, room)  # read once, used for both of its moments
            for alarm, room in rows
        }
        notices = [
            Notice(
                *(alarm.id, item["moment"], alarm.kind, alarm.subject, alarm.cause),
                *(alarm.facts or {}, room, alarm.raised_us, alarm.cleared_us),
            )
            for item in wanted
            if item["alarm_id"] in found
            for alarm, room in (found[item["alarm_id"]],)
        ]
    if not notices:
        raise InvalidInput("The alarms of this notice are gone.")
    return notices


def _send(settings: Settings, message: EmailMessage) -> None:
    try:
        with _server(settings) as server:
            refused = server.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        raise _refused({code for code, _ in error.recipients.values()}) from None
    except smtplib.SMTPAuthenticationError as error:
        raise ConfigError(f"The mail server refuses the login ({error.smtp_code}).") from None
    except smtplib.SMTPResponseException as error:
        raise _refused({error.smtp_code}) from None
    except (smtplib.SMTPException, OSError) as error:
        raise Unavailable(f"The mail server does not answer: {type(error).__name__}.") from None
    if refused:
        # Some got it; sending again would reach them twice.
        raise InvalidInput(f"The mail server refused {len(refused)} of the recipients.")


def _refused(codes: set[int]) -> Unavailable | InvalidInput:
    """4xx of SMTP is for now (greylisting), 5xx for good."""
    said = f"The mail server refused the mail ({', '.join(map(str, sorted(codes)))})."
    return Unavailable(said) if any(code < 500 for code in codes) else InvalidInput(said)


@contextmanager
def _server(settings: Settings) -> Iterator[smtplib.SMTP]:
    url = urlsplit(settings.alarm_smtp)
    host, port = url.hostname or "", url.port or _PORTS[url.scheme]
    context = ssl.create_default_context()
    encrypted = url.scheme == "smtps"
    server = (
        smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=context)
        if encrypted
        else smtplib.SMTP(host, port, timeout=TIMEOUT_S)
    )
    with server:
        server.ehlo_or_helo_if_needed()
        if not encrypted and server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
            encrypted = True
        password = settings.alarm_smtp_password
        if url.username and password is not None:
            if not encrypted and host not in _LOOPBACK:
                raise ConfigError(
                    "BIDWITNESS_ALARM_SMTP: the server offers no TLS, and the password is not sent "
                    "in clear. Use smtps:// or a server with STARTTLS."
                )
            server.login(unquote(url.username), password.get_secret_value())
        yield server
