"""Whether somebody trusted has signed a time stamp (RFC 3161)."""

from collections.abc import Callable, Sequence

from cryptography import x509
from rfc3161_client import (
    TimeStampResponse,
    VerificationError,
    Verifier,
    VerifierBuilder,
    decode_timestamp_response,
)

from bidwitness.storage.evidence.token import BadToken


def check_token(
    token: bytes, message: bytes, certificates: Sequence[bytes], nonce: int | None = None
) -> None:
    """Hold a token against what it is to be over, and the certificates of its authority.

    The first must have signed it, and the last is trusted by itself. Raises ``BadToken``.
    """
    _checked(
        token, certificates, nonce, lambda verifier, found: verifier.verify_message(found, message)
    )


def check_digest(token: bytes, digest: bytes, certificates: Sequence[bytes]) -> None:
    """Hold a token against the digest that it is to be over. Raises ``BadToken``."""
    _checked(token, certificates, None, lambda verifier, found: verifier.verify(found, digest))


def _checked(
    token: bytes,
    certificates: Sequence[bytes],
    nonce: int | None,
    verify: Callable[[Verifier, TimeStampResponse], object],
) -> None:
    try:
        chain = [x509.load_der_x509_certificate(item) for item in certificates]
        builder = VerifierBuilder(
            tsa_certificate=chain[0], intermediates=chain[1:-1], roots=[chain[-1]], nonce=nonce
        )
        verify(builder.build(), decode_timestamp_response(token))
    except (VerificationError, ValueError) as error:
        raise BadToken(f"the time stamp is not a trusted authority's: {error}") from None
