"""Settings: one frozen object, built once at the start of a process and handed down.

Read from ``BIDWITNESS_*`` and, beneath them, from the TOML file that ``BIDWITNESS_CONFIG`` names.
"""

import os
import re
import tomllib
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from bidwitness.errors import ConfigError
from bidwitness.oidc_settings import OidcSettings
from bidwitness.words import SecondFactor

DATABASE_SCHEMES = ("sqlite", "postgresql+psycopg")
STORE_SCHEMES = ("file", "s3")
BROKER_SCHEMES = ("filesystem", "redis")
WEBHOOK_SCHEMES = ("http", "https")
SMTP_SCHEMES = ("smtp", "smtps")
_MAIL = re.compile(r"[^@\s<>,;:]+@[A-Za-z0-9.-]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Settings(OidcSettings):
    """All that an installation may set. Unset URLs point into ``data``."""

    model_config = SettingsConfigDict(env_prefix="BIDWITNESS_", frozen=True, extra="forbid")

    data: Path = Path("data")
    database: str = ""
    store: str = ""
    broker: str = ""
    host: str = "127.0.0.1"
    port: int = Field(default=8470, ge=0, le=65535)
    live_port: int = Field(default=8471, ge=0, le=65535)
    # Where `live` listens, and where the API finds it: only the API may reach it.
    live_bind: str = "127.0.0.1"
    live_host: str = "127.0.0.1"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False
    log_level: str = "info"
    # What the pages are headed with.
    name: str = "BidWitness"
    # Tells the pages that this is a demonstration; it loosens nothing.
    demo: bool = False
    # A login ends after so long without a request, and after so long in any case.
    idle_minutes: int = Field(default=30, ge=1)
    login_hours: int = Field(default=12, ge=1)
    # Whether a login wants a code or a security key besides the password.
    second_factor: SecondFactor = SecondFactor.OPTIONAL
    # A password has so many characters at least, and serves so many days at most (0: for ever).
    password_min_length: int = Field(default=12, ge=12, le=64)
    password_max_days: int = Field(default=0, ge=0, le=3650)
    max_body_kib: int = Field(default=1024, ge=16)
    # /metrics answers loopback, and from elsewhere who sends this as a Bearer token.
    metrics_token: SecretStr | None = None
    # Where virtual cameras keep their encoded pictures; unset: in ``data``.
    loops: Path | None = None
    site: str = "site-1"
    recorder: str = "recorder-1"
    undo_seconds: int = Field(default=900, ge=0)
    lead_in_seconds: int = Field(default=0, ge=0)
    # Shown with a session beyond what was due, as far as no other session's footage begins.
    pre_roll_seconds: int = Field(default=0, ge=0, le=3600)
    post_roll_seconds: int = Field(default=0, ge=0, le=3600)
    # A recorder signs the heads of its chains so often.
    epoch_seconds: int = Field(default=60, ge=1, le=60)
    # A file in the form of trust material: the witnesses that are asked to cosign the log, how many
    # of them are enough, and who stamps its time. Alarms are raised when it has gone on so long
    # without.
    witnesses: Path | None = None
    witness_alarm_minutes: int = Field(default=15, ge=1)
    timestamp_alarm_minutes: int = Field(default=180, ge=1)
    # What the keys in a backup are sealed with: the first line of a file, or itself.
    backup_passphrase_file: Path | None = None
    backup_passphrase: SecretStr | None = None
    # Where segments are written, with commas; unset: into the spool itself.
    volumes: str = ""
    segment_seconds: int = Field(default=60, ge=2, le=600)
    loop_days: int = Field(default=30, ge=1)
    evaluation_loop_days: int = Field(default=90, ge=1)
    # The keys of an s3:// store.
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    # Use an s3:// store whose locks do not hold; each time it is found so is audited.
    accept_unlocked_store: bool = False
    # A stored segment stays in the spool so long, for rewinding, unless the disk needs its room.
    spool_keep_hours: int = Field(default=24, ge=0)
    # So many of the store's versions a second are listed, once a day, to find what nobody named.
    store_walk_rate: int = Field(default=500, ge=1, le=1000)
    # Every byte in the store is read again within thirty days, at this pace at most.
    scrub_mb_per_second: int = Field(default=20, ge=1, le=10_000)
    upload_threads: int = Field(default=2, ge=1, le=16)
    # No more than so much is sent to the store, on average; 0 is no bound.
    upload_mb_per_second: int = Field(default=0, ge=0, le=10_000)
    sweep_seconds: int = Field(default=600, ge=1)
    # A job whose worker has not been heard of for so long is run again by another.
    job_lease_seconds: int = Field(default=60, ge=1)
    work_threads: int = Field(default=2, ge=1, le=64)
    # Alarms are told to others: posted as signed JSON, and mailed (addresses with commas).
    alarm_webhook: str = ""
    alarm_webhook_secret: SecretStr | None = None
    alarm_mail_to: str = ""
    alarm_mail_from: str = ""
    alarm_smtp: str = ""
    alarm_smtp_password: SecretStr | None = None
    # What somebody takes upon herself lasts so long; it is to be reviewed within so many working
    # days, counted from the day after.
    break_glass_minutes: int = Field(default=60, ge=5, le=240)
    break_glass_review_days: int = Field(default=3, ge=1, le=30)
    # Cameras on loopback exist in the demo and in tests only (design.md §5.11).
    allow_loopback_cameras: bool = False

    @field_validator("data", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        if value not in ("debug", "info", "warning", "error"):
            raise ValueError("use debug, info, warning or error")
        return value

    @field_validator("site", "recorder")
    @classmethod
    def _name(cls, value: str) -> str:
        # It stands in every record for ever, and in paths.
        if not _NAME.fullmatch(value):
            raise ValueError("use 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit")
        return value

    @field_validator("database")
    @classmethod
    def _database(cls, value: str) -> str:
        return _scheme(value, DATABASE_SCHEMES)

    @field_validator("store")
    @classmethod
    def _store(cls, value: str) -> str:
        return _scheme(value, STORE_SCHEMES)

    @field_validator("broker")
    @classmethod
    def _broker(cls, value: str) -> str:
        return _scheme(value, BROKER_SCHEMES)

    @field_validator("volumes")
    @classmethod
    def _volumes(cls, value: str) -> str:
        if any(part.strip() and not Path(part.strip()).is_absolute() for part in value.split(",")):
            raise ValueError("name whole paths, several with commas")
        return value

    @field_validator("alarm_webhook")
    @classmethod
    def _webhook(cls, value: str) -> str:
        return _scheme(value, WEBHOOK_SCHEMES)

    @field_validator("alarm_smtp")
    @classmethod
    def _smtp(cls, value: str) -> str:
        return _scheme(value, SMTP_SCHEMES)

    @field_validator("alarm_mail_to", "alarm_mail_from")
    @classmethod
    def _addresses(cls, value: str) -> str:
        if any(not _MAIL.fullmatch(part.strip()) for part in value.split(",") if value):
            raise ValueError("write name@example.org, several with commas")
        return value

    @model_validator(mode="after")
    def _told(self) -> Self:
        secret = self.alarm_webhook_secret
        if self.alarm_webhook and (secret is None or len(secret.get_secret_value()) < 16):
            raise ValueError(
                "BIDWITNESS_ALARM_WEBHOOK wants BIDWITNESS_ALARM_WEBHOOK_SECRET, 16 characters "
                "or more, to sign with"
            )
        if self.alarm_mail_to and not (self.alarm_mail_from and self.alarm_smtp):
            raise ValueError(
                "BIDWITNESS_ALARM_MAIL_TO wants BIDWITNESS_ALARM_MAIL_FROM and "
                "BIDWITNESS_ALARM_SMTP (smtp://user@host:587)"
            )
        return self

    @property
    def alarm_recipients(self) -> tuple[str, ...]:
        """Who is mailed of alarms."""
        return tuple(part.strip() for part in self.alarm_mail_to.split(",") if part.strip())

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.data}/index.db"

    @property
    def store_url(self) -> str:
        return self.store or f"file://{self.data}/store"

    @property
    def broker_url(self) -> str:
        return self.broker or f"filesystem://{self.data}/broker"

    @property
    def spool(self) -> Path:
        """The folder of the recorder's volumes' segments that are not yet evicted."""
        return self.data / "spool"

    @property
    def volume_folders(self) -> tuple[Path, ...]:
        """The folders that new segments are written to; empty: the spool."""
        named = (part.strip() for part in self.volumes.split(","))
        return tuple(Path(part) for part in named if part)

    @property
    def exports(self) -> Path:
        """The folder of packages that wait to be fetched; each is removed when it expires."""
        return self.data / "exports"

    @property
    def reports(self) -> Path:
        """The folder of evidence reports; none is ever removed or written over."""
        return self.data / "reports"

    @property
    def thumbnails(self) -> Path:
        """The folder of sheets of small pictures; each goes when it expires or its footage does."""
        return self.data / "thumbnails"

    @property
    def loops_folder(self) -> Path:
        """The folder of virtual cameras' encoded pictures; installations may share one."""
        return self.loops or self.data / "cache" / "simulator"

    @property
    def run_dir(self) -> Path:
        """Sockets and process state; nothing in it outlives a restart."""
        return self.data / "run"

    @property
    def log(self) -> Path:
        """The folder of the site's log, one folder a shard within it."""
        return self.data / "log"

    @property
    def trust(self) -> Path:
        """The folder of the published versions of the trust material."""
        return self.data / "trust"

    @property
    def trust_key_file(self) -> Path:
        """The key that publishes the site's trust material."""
        return self.keys / "trust.key"

    @property
    def keys(self) -> Path:
        """The folder of every key file (mode 0700)."""
        return self.data / "keys"

    @property
    def recorder_key_file(self) -> Path:
        """The key that the recorder signs its epochs with (mode 0600)."""
        return self.keys / "recorder.key"

    @property
    def report_key_file(self) -> Path:
        """The key and certificate that evidence reports are signed with (mode 0600)."""
        return self.keys / "report.pem"

    @property
    def secret_key_file(self) -> Path:
        """The key that camera passwords and secrets of authenticators are encrypted with (mode 0600)."""
        return self.keys / "secrets.key"

    @property
    def signet_key_file(self) -> Path:
        """The key by which entries of the audit trail are known to be this site's (mode 0600)."""
        return self.keys / "audit.key"

    @property
    def live_key_file(self) -> Path:
        """The key that the API's tickets for `live` are sealed with (mode 0600)."""
        return self.keys / "live.key"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = os.environ.get("BIDWITNESS_CONFIG")
        layers = (init_settings, env_settings)
        return (*layers, TomlConfigSettingsSource(settings_cls, Path(toml))) if toml else layers


def _scheme(value: str, allowed: tuple[str, ...]) -> str:
    if value and urlsplit(value).scheme not in allowed:
        raise ValueError(
            f"the address must begin with one of {', '.join(s + '://' for s in allowed)}"
        )
    return value


def load_settings(**overrides: object) -> Settings:
    """Build the settings. ``overrides`` win over the environment.

    Raises ``ConfigError`` naming each wrong setting by its environment variable.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # values are checked by pydantic
    except ValidationError as error:
        fields = {
            "_".join(("BIDWITNESS", *(str(p) for p in item["loc"]))).upper(): item["msg"]
            for item in error.errors()
        }
        listed = "; ".join(f"{name}: {why}" for name, why in fields.items())
        raise ConfigError(f"A setting is wrong. {listed}", fields=fields) from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"BIDWITNESS_CONFIG cannot be read: {error}") from None
