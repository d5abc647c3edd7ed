"""Our own authority: what it gives is accepted by others' tools, and no number comes twice."""

import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from asn1crypto import algos, tsp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, decode_timestamp_response
from support.clock import START_US, FakeClock
from support.needs import absent

from bidwitness.errors import ConfigError, Conflict
from bidwitness.storage.evidence.token import BadToken, read_token
from bidwitness.storage.ledger.tokens import check_token
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.timestamp.answering import POLICY, Refusal, Rejected, read_query
from bidwitness.storage.timestamp.authority import (
    CERTIFICATE,
    KEY_FILE,
    SERIAL,
    TimeAuthority,
    clock_is_synchronised,
    make_authority,
)

MESSAGE = b"a checkpoint\n"


def query(message: bytes = MESSAGE, **more: object) -> bytes:
    built = (
        TimestampRequestBuilder().data(message).nonce(nonce=True).cert_request(cert_request=True)
    )
    return built.build().as_bytes()


def opened(
    folder: Path, clock: FakeClock, sound: Callable[[], bool] = lambda: True
) -> TimeAuthority:
    if not folder.exists():
        make_authority(folder, "stamps.example", 20, clock, SystemFiles())
    authority = TimeAuthority(folder, clock, SystemFiles(), sound)
    authority.open()
    return authority


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def authority(tmp_path: Path, clock: FakeClock) -> TimeAuthority:
    return opened(tmp_path / "tsa", clock)


def certificate(folder: Path) -> bytes:
    found = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
    return found.public_bytes(Encoding.DER)


@pytest.mark.parametrize("name", ["SHA256", "SHA512"])
def test_a_stamp_is_read_by_both(
    authority: TimeAuthority, tmp_path: Path, clock: FakeClock, name: str
) -> None:
    clock.advance(1_234_567)
    request = (
        TimestampRequestBuilder()
        .data(MESSAGE)
        .hash_algorithm(HashAlgorithm[name])
        .nonce(nonce=True)
        .build()
    )
    answer = authority.answer(request.as_bytes())
    check_token(answer, MESSAGE, [certificate(tmp_path / "tsa")], request.nonce)
    theirs = decode_timestamp_response(answer).tst_info
    ours = read_token(answer)
    assert ours.at == int(theirs.gen_time.timestamp()) * 1_000_000 == START_US + 1_000_000
    assert ours.serial == theirs.serial_number
    assert ours.is_of(MESSAGE)
    assert not ours.is_of(MESSAGE + b"!")
    assert theirs.policy.dotted_string == POLICY


def test_openssl_accepts_it(authority: TimeAuthority, tmp_path: Path, clock: FakeClock) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        absent("openssl")
        return
    (tmp_path / "data").write_bytes(MESSAGE)
    subprocess.run(
        [openssl, "ts", "-query", "-data", "data", "-cert", "-sha256", "-out", "q"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    (tmp_path / "r.tsr").write_bytes(authority.answer((tmp_path / "q").read_bytes()))
    verify = [openssl, "ts", "-verify", "-in", "r.tsr", "-CAfile", "tsa/timestamp.pem"]
    when = ["-attime", str(clock.utc_us() // 1_000_000)]
    for how in (["-queryfile", "q"], ["-data", "data"]):
        done = subprocess.run(
            [*verify, *how, *when], cwd=tmp_path, check=False, capture_output=True, text=True
        )
        assert "Verification: OK" in done.stdout, done.stderr


def test_no_number_is_given_twice(tmp_path: Path, clock: FakeClock) -> None:
    folder = tmp_path / "tsa"
    first = opened(folder, clock)
    shutil.copytree(folder, tmp_path / "backup")
    numbers = [read_token(first.answer(query())).serial for _ in range(3)]
    first.close()
    second = opened(folder, clock)
    numbers.append(read_token(second.answer(query())).serial)
    second.close()
    # Not even out of an old copy, as long as the time goes on.
    clock.advance(1_000_000)
    numbers.append(read_token(opened(tmp_path / "backup", clock).answer(query())).serial)
    assert len(set(numbers)) == 5
    assert numbers == sorted(numbers)


def test_a_number_that_is_not_durable_is_not_given(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = opened(tmp_path / "tsa", clock)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(SystemFiles, "sync", full)
        authority.answer(query())
    read_token(authority.answer(query()))


def fail(authority: TimeAuthority, data: bytes) -> str:
    answer = Refusal.load(authority.answer(data), strict=True)
    assert answer["status"]["status"].native == "rejection"
    with pytest.raises(BadToken):
        read_token(answer.dump())
    return str(*answer["status"]["fail_info"].native)


def made(**changes: object) -> bytes:
    imprint = {
        "hash_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
        "hashed_message": b"\1" * 32,
    }
    return bytes(tsp.TimeStampReq({"version": 1, "message_imprint": imprint, **changes}).dump())


def test_what_is_refused(authority: TimeAuthority) -> None:
    sha1 = {"hash_algorithm": {"algorithm": "sha1"}, "hashed_message": b"\1" * 20}
    short = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": b"\1" * 20}
    assert fail(authority, made(message_imprint=sha1)) == "bad_alg"
    assert fail(authority, made(message_imprint=short)) == "bad_data_format"
    assert fail(authority, made(req_policy="1.2.3")) == "unaccepted_policy"
    for noise in (b"", b"\0", MESSAGE, query()[:-1], query() + b"\0", bytes(range(256))):
        assert fail(authority, noise) == "bad_data_format"
    assert read_token(authority.answer(made(req_policy=POLICY)))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_its_own_words(data: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        read_query(data)
    assert tsp.PKIFailureInfo({caught.value.failure})


def test_without_a_sound_clock_there_is_no_stamp(tmp_path: Path, clock: FakeClock) -> None:
    sound = [False]
    authority = opened(tmp_path / "tsa", clock, lambda: sound[0])
    assert fail(authority, query()) == "time_not_available"
    sound[0] = True
    assert read_token(authority.answer(query()))
    clock.advance(21 * 366 * 86_400_000_000)
    assert fail(authority, query()) == "time_not_available"
    assert clock_is_synchronised() in (True, False)


def test_its_certificate_is_good_for_time_stamps_only(tmp_path: Path, clock: FakeClock) -> None:
    folder = tmp_path / "tsa"
    seal = make_authority(folder, "stamps.example", 20, clock, SystemFiles())
    usage = seal.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert usage.critical
    assert list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING]
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="already"):
        make_authority(folder, "stamps.example", 20, clock, SystemFiles())


def test_files_that_are_not_as_they_should_be(tmp_path: Path, clock: FakeClock) -> None:
    folder, other = tmp_path / "tsa", tmp_path / "other"
    running = opened(folder, clock)
    with pytest.raises(Conflict, match="Another process"):
        opened(folder, clock)
    running.close()
    (folder / KEY_FILE).chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        opened(folder, clock)
    (folder / KEY_FILE).chmod(0o600)
    (folder / SERIAL).write_text("seven")
    with pytest.raises(ConfigError, match="larger than any"):
        opened(folder, clock)
    (folder / SERIAL).write_text("7\n")
    make_authority(other, "other.example", 1, clock, SystemFiles())
    shutil.copy(other / CERTIFICATE, folder / CERTIFICATE)
    with pytest.raises(ConfigError, match="no pair"):
        opened(folder, clock)


def test_a_stamp_of_another_authority_or_of_something_else(
    authority: TimeAuthority, tmp_path: Path, clock: FakeClock
) -> None:
    answer = authority.answer(query())
    own = certificate(tmp_path / "tsa")
    check_token(answer, MESSAGE, [own])
    other = make_authority(tmp_path / "other", "stamps.example", 20, clock, SystemFiles())
    for token, message, trusted in (
        (answer, MESSAGE, other.der),
        (answer, MESSAGE + b"!", own),
        (answer[:-3] + b"\0\0\0", MESSAGE, own),
        (b"", MESSAGE, own),
        (answer, MESSAGE, b"no certificate"),
    ):
        with pytest.raises(BadToken):
            check_token(token, message, [trusted])


@cache
def sample() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        authority = opened(Path(folder) / "tsa", FakeClock())
        try:
            return authority.answer(query())
        finally:
            authority.close()


@given(st.data())
def test_reading_a_changed_stamp_never_ends_in_anything_else(data: st.DataObject) -> None:
    whole = bytearray(sample())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    for changed in (bytes(whole), bytes(whole[: data.draw(st.integers(0, len(whole)))])):
        with suppress(BadToken):
            read_token(changed)
