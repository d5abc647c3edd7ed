"""Holding a signed report against its signature and the facts that lie beside it."""

import hashlib
import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from bidwitness.storage.evidence.attached import BadReport

MAX_REPORT = 64 * 1024 * 1024
# What reading a PDF that lies about itself ends in; the library's own are ValueErrors.
READ_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    OSError,
    struct.error,
    zlib.error,
)


def check_report(document: bytes, facts: bytes, certificates: Sequence[bytes]) -> bool:
    """Say whether a report is signed by one of ``certificates`` (DER), which its holder trusts.

    Raises ``BadReport`` if it is not signed, was changed since, or is not of ``facts``.
    """
    if len(document) > MAX_REPORT:
        raise BadReport("a report is not so long")
    # Here: a package without a report is verified sooner without it.
    from pyhanko.pdf_utils.misc import PdfError
    from pyhanko.sign.general import SigningError
    from pyhanko.sign.validation.errors import SignatureValidationError
    from pyhanko_certvalidator.errors import PathError, ValidationError

    library = (PdfError, SigningError, SignatureValidationError, PathError, ValidationError)
    try:
        signed_by, held = _read(document)
    except BadReport:
        raise
    except (*library, *READ_ERRORS) as error:
        said = str(error) or type(error).__name__
        raise BadReport(f"its signature cannot be read: {said}") from None
    if held != facts:
        raise BadReport("the facts in it are not those beside it")
    return hashlib.sha256(signed_by).digest() in {hashlib.sha256(c).digest() for c in certificates}


def _read(document: bytes) -> tuple[bytes, bytes]:
    """Give the certificate that a report is signed by, and the facts in it, both under its
    signature. Raises ``BadReport``, and what the library raises."""
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko.sign.validation.status import SignatureCoverageLevel
    from pyhanko_certvalidator import ValidationContext

    reader: Any = PdfFileReader(io.BytesIO(document))
    signatures = reader.embedded_signatures
    if len(signatures) != 1:
        raise BadReport(f"it has {len(signatures)} signatures, not one")
    own = signatures[0].signer_cert
    # Whether the certificate is trusted is looked at by whoever asks; here, whether it was used.
    context = ValidationContext(
        trust_roots=[own],
        allow_fetching=False,
        moment=signatures[0].self_reported_timestamp,
    )
    status: Any = validate_pdf_signature(signatures[0], context, _stamp_context(signatures[0]))
    if not (status.intact and status.valid):
        raise BadReport("it was changed after it was signed")
    stamp = status.timestamp_validity
    if stamp is not None and not (stamp.intact and stamp.valid):
        raise BadReport("the time stamp in its signature is not of it")
    if status.coverage != SignatureCoverageLevel.ENTIRE_FILE:
        raise BadReport("something was added to it after it was signed")
    names = reader.root["/Names"]["/EmbeddedFiles"]["/Names"]
    if len(names) != 2:
        raise BadReport("it does not hold exactly one file of facts")
    return own.dump(), names[1]["/EF"]["/F"].data


def _stamp_context(signature: Any) -> Any:
    """Give what a time stamp in a signature is held against: its own certificates. Whose they are
    is looked at when it is asked for; here, whether it is over this signature."""
    from pyhanko.sign.validation.generic_cms import extract_tst_data_iter
    from pyhanko_certvalidator import ValidationContext

    tokens: Any = extract_tst_data_iter(signature.signer_info, signed=False)
    held = [item.chosen for token in tokens for item in token["certificates"]]
    return ValidationContext(trust_roots=held, allow_fetching=False) if held else None
