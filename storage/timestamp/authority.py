"""The authority: its key and certificate in files, and numbers that are never given twice."""

import ctypes
import fcntl
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bidwitness.clock import Clock
from bidwitness.errors import ConfigError, Conflict
from bidwitness.keyfile import make_key_file, read_key_file
from bidwitness.storage.spool.files import Files, replace_file
from bidwitness.storage.timestamp.answering import Rejected, Seal, answer, read_query, rejection

KEY_FILE, CERTIFICATE, SERIAL, _LOCK = "timestamp.key", "timestamp.pem", "serial", ".lock"
MAX_NAME = 64
_TIME_ERROR = 5
# The C library's structure has some 200 bytes; all zero, it asks and sets nothing.
_TIMEX_BYTES = 512


def clock_is_synchronised() -> bool:
    """Ask the kernel whether something (chrony, ntpd) keeps its clock right."""
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return 0 <= int(state) < _TIME_ERROR


def make_authority(folder: Path, name: str, years: int, clock: Clock, files: Files) -> Seal:
    """Make an authority's key and its certificate, signed by itself and good for time stamps only.

    Raises ``ConfigError`` if there is one in the folder already.
    """
    if (folder / KEY_FILE).exists():
        raise ConfigError(
            f"There is an authority in {folder} already. A new key wants a new folder."
        )
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(key, name, years, clock)
    files.make_dirs(folder)
    replace_file(files, folder / CERTIFICATE, certificate.public_bytes(Encoding.PEM))
    replace_file(files, folder / SERIAL, b"1\n")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    make_key_file(folder / KEY_FILE, pem)
    return read_seal(folder)


def _certificate(
    key: ec.EllipticCurvePrivateKey, name: str, years: int, clock: Clock
) -> x509.Certificate:
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.fromtimestamp(clock.utc_us() // 1_000_000, UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=366 * years))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def read_seal(folder: Path) -> Seal:
    """Read key and certificate.

    Raises ``ConfigError`` if one is missing, damaged, open to others, or they are no pair.
    """
    missing = "It signs time stamps: put it back from the backup, or make a new authority."
    pem = read_key_file(folder / KEY_FILE, missing)
    try:
        key = load_pem_private_key(pem, password=None)
        certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        public = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePrivateKey) or public != key.public_key():
            raise ValueError("they are no pair")
        certificate.verify_directly_issued_by(certificate)
    except (OSError, ValueError, TypeError, InvalidSignature) as error:
        said = f"Key and certificate in {folder} cannot be used: {error}."
        raise ConfigError(said) from None
    return Seal(key, certificate)


class TimeAuthority:
    """Answers queries. One process has the folder at a time.

    ``synchronised`` says whether the clock can be trusted at the moment.
    """

    def __init__(
        self, folder: Path, clock: Clock, files: Files, synchronised: Callable[[], bool]
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._files = files
        self._synchronised = synchronised
        self._guard = threading.Lock()
        self._lock: int | None = None
        self._seal: Seal | None = None

    def open(self) -> None:
        """Raises ``ConfigError`` for key, certificate or number, ``Conflict`` if it runs already."""
        seal = read_seal(self._folder)
        self._last_serial()
        handle = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise Conflict("Another process is this authority. Stop it first.") from None
        self._lock, self._seal = handle, seal

    def close(self) -> None:
        """Let another process have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def answer(self, data: bytes) -> bytes:
        """Answer a query of unknown origin: a stamp, or why there is none.

        Raises ``OSError`` if its number cannot be made durable; then there is no stamp.
        """
        if self._seal is None:
            raise ConfigError("The authority was not opened.")
        try:
            query = read_query(data)
            with self._guard:
                at_us = self._clock.utc_us()
                self._check_time(self._seal, at_us)
                return answer(query, self._seal, self._next_serial(at_us), at_us)
        except Rejected as error:
            return rejection(error.failure, str(error))

    def _check_time(self, seal: Seal, at_us: int) -> None:
        at = datetime.fromtimestamp(at_us // 1_000_000, UTC)
        certificate = seal.certificate
        if not self._synchronised():
            raise Rejected("time_not_available", "the clock of this machine is not synchronised")
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            raise Rejected("time_not_available", "the certificate is not valid at this time")

    def _next_serial(self, at_us: int) -> int:
        # By the time too, so that a folder from an old backup gives no number a second time.
        serial = max(self._last_serial() + 1, at_us)
        replace_file(self._files, self._folder / SERIAL, f"{serial}\n".encode())
        return serial

    def _last_serial(self) -> int:
        try:
            return int((self._folder / SERIAL).read_text("ascii"))
        except (OSError, ValueError):
            raise ConfigError(
                f"The number of the last time stamp ({self._folder / SERIAL}) cannot be read: put "
                "it back, or write a number there that is larger than any that was given."
            ) from None
