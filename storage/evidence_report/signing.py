"""The site's key for reports, and signing by it (PAdES, ETSI EN 319 142).

One PEM file holds the key (PKCS #8) and behind it the certificate; a site that has a certificate of
an authority puts that there, with those above it. What is made here signs itself: it proves that
whoever signed holds the key, and who that is must be known from elsewhere.
"""

import hashlib
import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bidwitness.config import Settings
from bidwitness.errors import ConfigError
from bidwitness.keyfile import make_key_file, read_key_file
from bidwitness.storage.evidence_report.facts import KeyFacts
from bidwitness.storage.evidence_report.stamping import ReportStamp

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from pyhanko.sign.signers import PdfSignatureMetadata

# As long as the law may want the footage kept, twice over.
YEARS = 30
# A clock that is a little behind must not find the certificate not valid yet.
BEFORE = timedelta(days=1)
_MISSING = "It signs evidence reports: put it back from the backup."


@dataclass(frozen=True)
class ReportSigner:
    """A key and its certificates, the signer's own first."""

    private: "PrivateKeyTypes"
    certificates: tuple[x509.Certificate, ...]

    @property
    def facts(self) -> KeyFacts:
        """Give what people compare: the certificate's subject and SHA-256."""
        own = self.certificates[0]
        return KeyFacts("report", own.subject.rfc4514_string(), fingerprint(own))


def fingerprint(certificate: x509.Certificate) -> str:
    """Give the SHA-256 of a certificate in hex."""
    return hashlib.sha256(der_of(certificate)).hexdigest()


def der_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def open_report_signer(settings: Settings, now_us: int) -> ReportSigner:
    """Read the key for reports, made first if there is none.

    Raises ``ConfigError`` if it cannot be made or read, is open to other users, or is damaged.
    """
    path = settings.report_key_file
    if not path.exists():
        make_key_file(path, _new_key(settings, now_us))
    data = read_key_file(path, _MISSING)
    try:
        private = serialization.load_pem_private_key(data, password=None)
        certificates = tuple(x509.load_pem_x509_certificates(data))
    except (ValueError, TypeError):
        raise ConfigError(f"The key file {path} is damaged: put it back from the backup.") from None
    if certificates[0].public_key() != private.public_key():
        raise ConfigError(f"The certificate in {path} is not of the key before it.")
    return ReportSigner(private, certificates)


def read_report_certificates(settings: Settings) -> tuple[x509.Certificate, ...]:
    """Give the certificates of the key for reports; none if no report was ever signed.

    Raises ``ConfigError`` as ``open_report_signer`` does.
    """
    if not settings.report_key_file.exists():
        return ()
    return open_report_signer(settings, 0).certificates


def _new_key(settings: Settings, now_us: int) -> bytes:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, settings.name[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{settings.site} evidence report"),
        ]
    )
    now = datetime.fromtimestamp(now_us // 1_000_000, UTC)
    other_uses = (
        *("key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"),
        *("encipher_only", "decipher_only"),
    )
    usage = dict.fromkeys(other_uses, False)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEFORE)
        .not_valid_after(now + timedelta(days=366 * YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, content_commitment=True, **usage), critical=True
        )
        .sign(private, hashes.SHA256())
    )
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)


def _about(kind: str, number: str, issuer: str) -> "PdfSignatureMetadata":
    """Say what the signature is, and that nothing may be changed after it."""
    from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
    from pyhanko.sign.signers import PdfSignatureMetadata

    return PdfSignatureMetadata(
        field_name="Signature",
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        name=issuer,
        reason=f"{kind} {number}",
        certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES,
    )


def sign_report(
    document: bytes,
    signer: ReportSigner,
    number: str,
    issuer: str,
    at_us: int,
    stamp: ReportStamp | None = None,
    *,
    kind: str = "固证报告",
) -> bytes:
    """Give the report with its signature, which allows no change after it. ``at_us``: µs UTC.

    With a ``stamp`` the signature carries its time; raises ``Unavailable`` if that is not given.
    """
    # Here: only who signs needs what it loads.
    from asn1crypto import keys as asn1_keys
    from asn1crypto import x509 as asn1_x509
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign.fields import SigFieldSpec
    from pyhanko.sign.signers import PdfSigner, SimpleSigner
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    at = datetime.fromtimestamp(at_us // 1_000_000, UTC)

    class AtItsTime(PdfSigner):
        """Signs at the time of our clock, not of the machine's."""

        def init_signing_session(self, *args: Any, **more: Any) -> Any:
            session = super().init_signing_session(*args, **more)
            session.system_time = at
            return session

    key = signer.private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    chain = [asn1_x509.Certificate.load(der_of(item)) for item in signer.certificates]
    store: Any = SimpleCertificateStore()  # type: ignore[no-untyped-call]  # untyped there
    store.register_multiple(chain)
    signing = SimpleSigner(
        signing_cert=chain[0],
        signing_key=asn1_keys.PrivateKeyInfo.load(key),
        cert_registry=store,
    )
    # Without a box on a page: its text would be in a font that is not embedded.
    made = AtItsTime(
        _about(kind, number, issuer),
        signing,
        timestamper=None if stamp is None else stamp.timestamper(),
        new_field_spec=SigFieldSpec("Signature"),
    )
    out = io.BytesIO()
    made.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(document)), output=out)
    return out.getvalue()
