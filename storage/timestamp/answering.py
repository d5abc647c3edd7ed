"""From a time-stamp query to its answer (RFC 3161). Pure: number, time and key are given."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

# An arc that nobody has to give (ITU-T X.667): the time of this machine, and no more is promised.
POLICY = "2.25.163651711517713093602065106250377570791"
ACCURACY_S = 1
MAX_QUERY = 16 * 1024
_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}


@dataclass(frozen=True, slots=True)
class Seal:
    """An authority's key and certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        """The certificate as trust material has it."""
        return self.certificate.public_bytes(Encoding.DER)


class Rejected(ValueError):
    """A query that is not answered with a stamp; ``failure`` is RFC 3161's word for why."""

    def __init__(self, failure: str, why: str) -> None:
        super().__init__(why)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Query:
    """What is to be stamped. ``imprint`` as it came; ``certificate``: whether it is wanted too."""

    imprint: tsp.MessageImprint
    nonce: int | None
    certificate: bool


def read_query(data: bytes) -> Query:
    """Read a query of unknown origin. Raises ``Rejected``."""
    try:
        request = tsp.TimeStampReq.load(data, strict=True)
        imprint, nonce = request["message_imprint"], request["nonce"].native
        algorithm = imprint["hash_algorithm"]["algorithm"].native
        digest = imprint["hashed_message"].native
        policy, wanted = request["req_policy"].native, request["cert_req"].native
        extended = request["extensions"].native is not None
        first = request["version"].native == "v1"
    except (ValueError, TypeError, KeyError, IndexError, OverflowError):
        raise Rejected("bad_data_format", "this is no time-stamp query") from None
    if not first:
        raise Rejected("bad_request", "only version 1 is known")
    if _SIZES.get(algorithm) is None:
        raise Rejected("bad_alg", "only SHA-256, SHA-384 and SHA-512 are stamped")
    if len(digest) != _SIZES[algorithm]:
        raise Rejected("bad_data_format", "the digest is not as long as its hash makes it")
    if policy is not None and policy != POLICY:
        raise Rejected("unaccepted_policy", "this authority has another policy")
    if extended:
        raise Rejected("unaccepted_extensions", "no extension is known")
    return Query(imprint, nonce, bool(wanted))


def answer(query: Query, seal: Seal, serial: int, at_us: int) -> bytes:
    """Give the time stamp with this number and time (µs UTC)."""
    at = datetime.fromtimestamp(at_us // 1_000_000, UTC)
    info = tsp.TSTInfo(
        {
            "version": "v1",
            "policy": POLICY,
            "message_imprint": query.imprint,
            "serial_number": serial,
            "gen_time": at,
            "accuracy": {"seconds": ACCURACY_S},
        }
    )
    if query.nonce is not None:
        info["nonce"] = query.nonce
    content = info.dump()
    certificate = asn1_x509.Certificate.load(seal.der)
    attributes = _attributes(content, seal.der, at)
    signer = {
        "version": "v1",
        "sid": cms.SignerIdentifier(
            {
                "issuer_and_serial_number": {
                    "issuer": certificate.issuer,
                    "serial_number": certificate.serial_number,
                }
            }
        ),
        "digest_algorithm": {"algorithm": "sha256"},
        "signed_attrs": attributes,
        "signature_algorithm": {"algorithm": "sha256_ecdsa"},
        "signature": seal.key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256())),
    }
    signed = cms.SignedData(
        {
            "version": "v3",
            "digest_algorithms": [{"algorithm": "sha256"}],
            "encap_content_info": {
                "content_type": "tst_info",
                "content": core.ParsableOctetString(content),
            },
            "signer_infos": [signer],
        }
    )
    if query.certificate:
        signed["certificates"] = [certificate]
    token = {"content_type": "signed_data", "content": signed}
    return bytes(
        tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump()
    )


def _attributes(content: bytes, certificate: bytes, at: datetime) -> cms.CMSAttributes:
    """Give what is signed: the stamp's digest, and which certificate it belongs to (RFC 5816)."""
    own = tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(certificate).digest()}]})
    values = {
        "content_type": "tst_info",
        "signing_time": cms.Time({"utc_time": at}),
        "message_digest": hashlib.sha256(content).digest(),
        "signing_certificate_v2": own,
    }
    return cms.CMSAttributes(
        [cms.CMSAttribute({"type": kind, "values": [value]}) for kind, value in values.items()]
    )


class Refusal(core.Sequence):  # type: ignore[misc]  # asn1crypto is untyped
    """A TimeStampResp without a token, which asn1crypto's own has not thought of."""

    _fields = [("status", tsp.PKIStatusInfo)]  # noqa: RUF012  # as asn1crypto wants it


def rejection(failure: str, why: str) -> bytes:
    """Give the answer that refuses a query."""
    status = {"status": "rejection", "status_string": [why], "fail_info": {failure}}
    return bytes(Refusal({"status": status}).dump())
