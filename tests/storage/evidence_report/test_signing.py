"""Signing a report: it verifies, every changed byte breaks it, and whose key it is is looked at."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation.generic_cms import extract_tst_data_iter
from support.authorities import asking, opened_authority
from support.clock import FakeClock
from support.report_facts import START, full_facts

from bidwitness.config import Settings
from bidwitness.errors import ConfigError, Unavailable
from bidwitness.storage.evidence.attached import BadReport
from bidwitness.storage.evidence_report.checking import check_report
from bidwitness.storage.evidence_report.document import make_document
from bidwitness.storage.evidence_report.facts import facts_bytes
from bidwitness.storage.evidence_report.signing import (
    ReportSigner,
    der_of,
    open_report_signer,
    read_report_certificates,
    sign_report,
)
from bidwitness.storage.evidence_report.stamping import ReportStamp

FACTS = full_facts()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data=tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def signer(settings: Settings) -> ReportSigner:
    return open_report_signer(settings, START)


def signed_by(signer: ReportSigner) -> bytes:
    return sign_report(make_document(FACTS), signer, FACTS.number, FACTS.issuer, FACTS.made)


@pytest.fixture(scope="module")
def signed(signer: ReportSigner) -> bytes:
    return signed_by(signer)


def test_it_verifies_and_names_whose_it_is(signer: ReportSigner, signed: bytes) -> None:
    facts = facts_bytes(FACTS)
    assert check_report(signed, facts, [der_of(signer.certificates[0])]) is True
    assert check_report(signed, facts, []) is False
    assert b"/ETSI.CAdES.detached" in signed and b"/DocMDP" in signed
    with pytest.raises(BadReport, match="not those beside it"):
        check_report(signed, facts[:-1], [])
    with pytest.raises(BadReport, match="0 signatures"):
        check_report(make_document(FACTS), facts, [])


def test_a_changed_byte_breaks_it(signed: bytes) -> None:
    facts = facts_bytes(FACTS)
    for place in range(64, len(signed), len(signed) // 40):
        changed = bytearray(signed)
        changed[place] ^= 1
        try:
            # The rest of the room for the signature is not under it; nothing is said there.
            assert check_report(bytes(changed), facts, []) is False
            assert _in_signature(signed, place), place
        except BadReport:
            continue


def _in_signature(signed: bytes, place: int) -> bool:
    start = signed.index(b"/Contents <")
    return start < place < signed.index(b">", start)


def test_what_is_added_behind_it_is_found(signed: bytes) -> None:
    with pytest.raises(BadReport):
        check_report(signed + b"\n% more", facts_bytes(FACTS), [])
    with pytest.raises(BadReport):
        check_report(signed[: len(signed) // 2], facts_bytes(FACTS), [])
    with pytest.raises(BadReport):
        check_report(b"no document", facts_bytes(FACTS), [])


def test_the_key_is_made_once_and_kept_from_others(
    settings: Settings, signer: ReportSigner
) -> None:
    path = settings.report_key_file
    assert path.stat().st_mode & 0o777 == 0o600
    again = open_report_signer(settings, START + 1)
    assert again.facts == signer.facts
    assert read_report_certificates(settings) == signer.certificates


def test_a_key_file_that_is_wrong_is_refused(tmp_path: Path, signer: ReportSigner) -> None:
    settings = Settings(data=tmp_path)
    assert read_report_certificates(settings) == ()
    other = open_report_signer(settings, START)
    path = settings.report_key_file
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match="damaged"):
        open_report_signer(settings, START)
    key = whole[: whole.index(b"-----BEGIN CERT")]
    path.write_bytes(key + signer.certificates[0].public_bytes(serialization.Encoding.PEM))
    with pytest.raises(ConfigError, match="not of the key"):
        open_report_signer(settings, START)
    path.write_bytes(whole)
    path.chmod(0o644)
    with pytest.raises(ConfigError):
        open_report_signer(settings, START)
    assert other.facts != signer.facts


def test_a_certificate_of_an_authority_signs_with_those_above_it(tmp_path: Path) -> None:
    above, own = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("authority", above, "authority", above, ca=True)
    leaf = _certificate("centre", own, "authority", above, ca=False)
    settings = Settings(data=tmp_path)
    settings.keys.mkdir(parents=True)
    path = settings.report_key_file
    pem = own.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for item in (leaf, root):
        pem += item.public_bytes(serialization.Encoding.PEM)
    path.write_bytes(pem)
    path.chmod(0o600)
    signer = open_report_signer(settings, START)
    signed = signed_by(signer)
    assert check_report(signed, facts_bytes(FACTS), [der_of(leaf)]) is True
    assert der_of(root).hex() in signed.decode("latin-1").lower()


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    by: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
) -> x509.Certificate:
    begin = datetime.fromtimestamp(START // 1_000_000, UTC) - timedelta(days=1)

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    return (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(by, hashes.SHA256())
    )


def test_a_stamp_of_its_time_is_in_the_signature(
    signer: ReportSigner, settings: Settings, tmp_path: Path
) -> None:
    clock = FakeClock(FACTS.made)
    authority, certificate = opened_authority(tmp_path / "stamps", clock)
    stamp = ReportStamp(asking(authority, clock), "city", "https://s.example", (certificate,))
    document = make_document(FACTS)
    signed = sign_report(document, signer, FACTS.number, FACTS.issuer, FACTS.made, stamp)
    assert check_report(signed, facts_bytes(FACTS), [der_of(signer.certificates[0])]) is True
    signature = PdfFileReader(io.BytesIO(signed)).embedded_signatures[0]
    (token,) = extract_tst_data_iter(signature.signer_info, signed=False)
    at = token["encap_content_info"]["content"].parsed["gen_time"].native
    assert int(at.timestamp()) == FACTS.made // 1_000_000
    _, another = opened_authority(tmp_path / "other", clock)
    wrong = ReportStamp(asking(authority, clock), "city", "https://s.example", (another,))
    with pytest.raises(Unavailable, match="no good"):
        sign_report(document, signer, FACTS.number, FACTS.issuer, FACTS.made, wrong)
