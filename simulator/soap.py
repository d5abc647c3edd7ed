"""SOAP 1.2 envelopes and WS-Security user name tokens, as ONVIF wants them. Pure."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
_WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
NAMESPACES = {
    "s": ENVELOPE,
    "tt": "http://www.onvif.org/ver10/schema",
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "trt": "http://www.onvif.org/ver10/media/wsdl",
    "ter": "http://www.onvif.org/ver10/error",
}
TOKEN_WINDOW_US = 300 * 1_000_000
"""How far a token's time may be from the device's clock."""


class NotSoap(ValueError):
    """The body is no SOAP 1.2 request."""


@dataclass(frozen=True, slots=True)
class Token:
    """A user name token with a digest of the password."""

    user: str
    digest: bytes
    nonce: bytes
    created: str


@dataclass(frozen=True, slots=True)
class Call:
    """One request: the namespace and name of its element, the element, its token if any."""

    namespace: str
    name: str
    element: ElementTree.Element
    token: Token | None


def read_call(body: bytes) -> Call:
    """Read a request. Raises ``NotSoap``."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise NotSoap("document types are not taken")
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise NotSoap(str(error)) from None
    found = root.find(f"{{{ENVELOPE}}}Body/*")
    if root.tag != f"{{{ENVELOPE}}}Envelope" or found is None or not found.tag.startswith("{"):
        raise NotSoap("no envelope with a body")
    namespace, _, name = found.tag[1:].partition("}")
    return Call(namespace, name, found, _token(root))


def _token(root: ElementTree.Element) -> Token | None:
    path = f"{{{ENVELOPE}}}Header/{{{_WSSE}}}Security/{{{_WSSE}}}UsernameToken"
    found = root.find(path)
    if found is None:
        return None
    try:
        return Token(
            user=(found.findtext(f"{{{_WSSE}}}Username") or "").strip(),
            digest=base64.b64decode(found.findtext(f"{{{_WSSE}}}Password") or ""),
            nonce=base64.b64decode(found.findtext(f"{{{_WSSE}}}Nonce") or ""),
            created=(found.findtext(f"{{{_WSU}}}Created") or "").strip(),
        )
    except binascii.Error:
        return None


def is_token_good(token: Token | None, *, user: str, password: str, now_us: int) -> bool:
    """Check a token: digest = SHA-1(nonce + created + password), made near the device's time."""
    if token is None or token.user != user:
        return False
    expected = hashlib.sha1(
        token.nonce + token.created.encode() + password.encode(), usedforsecurity=False
    ).digest()
    try:
        created = datetime.fromisoformat(token.created)
    except ValueError:
        return False
    created_us = int(created.replace(tzinfo=created.tzinfo or UTC).timestamp() * 1_000_000)
    near = abs(created_us - now_us) <= TOKEN_WINDOW_US
    return near and hmac.compare_digest(expected, token.digest)


def envelope(body: str) -> bytes:
    """Wrap the text of a body's element; the prefixes of ``NAMESPACES`` are known in it."""
    spaces = "".join(f" xmlns:{p}={quoteattr(uri)}" for p, uri in NAMESPACES.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<s:Envelope{spaces}>'
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def fault(subcode: str, reason: str) -> bytes:
    """Give a sender's fault with an ONVIF subcode such as ``ter:NotAuthorized``."""
    return envelope(
        "<s:Fault><s:Code><s:Value>s:Sender</s:Value>"
        f"<s:Subcode><s:Value>{subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{escape(reason)}</s:Text></s:Reason></s:Fault>'
    )
