"""Keys that stay in a token (PKCS#11): the key file then names where, and holds nothing secret.

Two lines: the public key in C2SP's form, and a ``pkcs11:`` address (RFC 7512) with ``token``,
``object``, ``module-path`` and ``pin-source``, a file that holds the PIN.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from bidwitness.errors import ConfigError, InvalidInput, Unavailable
from bidwitness.keyfile import make_key_file, read_key_file
from bidwitness.storage.evidence.ed25519 import ed25519_verifies
from bidwitness.storage.evidence.note import ED25519, KEY_NAME, BadNote, NoteKey, read_key

SCHEME = "pkcs11:"
_NO_PIN = "Without the PIN the token does not sign."
# PrintableString "edwards25519", as SoftHSM and the newer tokens name the curve (PKCS#11 3.0), and
# the OID of RFC 8410, as others do.
_CURVES = (b"\x13\x0cedwards25519", b"\x06\x03\x2b\x65\x70")
_PUBLIC = 32


@dataclass(frozen=True, slots=True)
class TokenAddress:
    """Where a key lies: in the token of this name, as the object of this label."""

    module: str
    token: str
    label: str
    pin_file: Path

    def __str__(self) -> str:
        where = f"token={quote(self.token)};object={quote(self.label)}"
        return f"{SCHEME}{where}?module-path={quote(self.module)}&pin-source={quote(str(self.pin_file))}"


def read_address(text: str, label: str | None = None) -> TokenAddress:
    """Read a ``pkcs11:`` address; ``label`` stands for an object that it does not name.

    Raises ``InvalidInput`` naming what it lacks.
    """
    path, _, query = text.removeprefix(SCHEME).partition("?")
    parts = dict(part.partition("=")[::2] for part in path.split(";") if part)
    more = {name: values[-1] for name, values in parse_qs(query).items()}
    named = unquote(parts.pop("object", "")) or label or ""
    token, module = unquote(parts.pop("token", "")), more.pop("module-path", "")
    pin = more.pop("pin-source", "").removeprefix("file://").removeprefix("file:")
    if not text.startswith(SCHEME) or parts or more or not (named and token and module and pin):
        raise InvalidInput(
            "Write pkcs11:token=NAME?module-path=/usr/lib/…/module.so&pin-source=/path/of/pin"
        )
    return TokenAddress(module, token, named, Path(pin))


class TokenKey:
    """Signs in a token. Each thread waits for its turn; a token that was away is opened anew."""

    def __init__(self, address: TokenAddress, public: bytes) -> None:
        self._address = address
        self._public = public
        self._guard = threading.Lock()
        self._session: Any = None

    def public_bytes(self) -> bytes:
        return self._public

    def sign(self, message: bytes) -> bytes:
        """Give 64 bytes of an Ed25519 signature. Raises ``Unavailable``, ``ConfigError``."""
        library = _library()
        with self._guard, _in_words(library, self._address):
            try:
                return self._signed(library, message)
            except library.exceptions.PKCS11Error:
                # It may have been taken out and put back.
                self._session = None
                return self._signed(library, message)

    def secret(self) -> bytes:
        raise ConfigError(f"The key {self._address.label} lies in a token, which does not give it.")

    def _signed(self, library: ModuleType, message: bytes) -> bytes:
        if self._session is None:
            self._session = _open_session(library, self._address)
        key = self._session.get_key(
            object_class=library.ObjectClass.PRIVATE_KEY, label=self._address.label
        )
        return bytes(key.sign(message, mechanism=library.Mechanism.EDDSA))


def make_token_key(path: Path, name: str, address: TokenAddress) -> NoteKey:
    """Make an Ed25519 key in a token that cannot be taken out of it, and the file that names it.

    Raises ``InvalidInput`` if the token has an object of this label, or the file is there;
    ``Unavailable`` and ``ConfigError`` if the token does not do it.
    """
    if not KEY_NAME.fullmatch(name):
        raise InvalidInput("The name of a key has no space and no +.")
    if path.exists():
        raise InvalidInput(f"There is a key file {path} already; a key is never replaced.")
    library = _library()
    with _in_words(library, address):
        session = _open_session(library, address, writes=True)
        try:
            public = _generate(library, session, address.label)
        finally:
            session.close()
    key = NoteKey(name, ED25519, public)
    # Whether it signs as verifiers want it is found out now, not at the first checkpoint.
    signed = TokenKey(address, public).sign(b"bidwitness token test")
    if not ed25519_verifies(public, b"bidwitness token test", signed):
        raise ConfigError("The token signs in another way than Ed25519 of RFC 8032.")
    make_key_file(path, f"{key}\n{address}\n".encode())
    return key


def read_token_key(path: Path, missing: str) -> tuple[NoteKey, TokenKey] | None:
    """Give the key of a file if it lies in a token; nothing if the file holds a key itself.

    Raises ``ConfigError`` for a file that cannot be read, or is damaged.
    """
    data = read_key_file(path, missing)
    first, _, second = data.decode("ascii", "replace").strip().partition("\n")
    if not second.startswith(SCHEME):
        return None
    try:
        key, address = read_key(first), read_address(second)
    except (BadNote, InvalidInput) as error:
        raise ConfigError(f"The key file {path} is damaged: {error}.") from None
    return key, TokenKey(address, key.public)


def _library() -> ModuleType:
    try:
        import pkcs11
        import pkcs11.exceptions
    except ImportError:
        raise ConfigError(
            "The key lies in a token, and the library for tokens is not installed: "
            "pip install bidwitness[pkcs11]."
        ) from None
    return pkcs11


def _open_session(library: ModuleType, address: TokenAddress, *, writes: bool = False) -> Any:
    token = library.lib(address.module).get_token(token_label=address.token)
    pin = read_key_file(address.pin_file, _NO_PIN).decode("utf-8", "replace").strip()
    return token.open(rw=writes, user_pin=pin)


def _generate(library: ModuleType, session: Any, label: str) -> bytes:
    present = session.get_objects({library.Attribute.LABEL: label})
    if next(iter(present), None) is not None:
        raise InvalidInput(f"The token has an object {label} already.")
    refused: Exception | None = None
    for curve in _CURVES:
        parameters = session.create_domain_parameters(
            library.KeyType.EC_EDWARDS, {library.Attribute.EC_PARAMS: curve}, local=True
        )
        try:
            public, _ = parameters.generate_keypair(
                mechanism=library.Mechanism.EC_EDWARDS_KEY_PAIR_GEN, store=True, label=label
            )
        except library.exceptions.PKCS11Error as error:
            refused = error
            continue
        # An OCTET STRING round the point, or the point itself: tokens differ.
        return bytes(public[library.Attribute.EC_POINT])[-_PUBLIC:]
    raise ConfigError("The token makes no Ed25519 keys.") from refused


@contextmanager
def _in_words(library: ModuleType, address: TokenAddress) -> Iterator[None]:
    try:
        yield
    except library.exceptions.PinIncorrect:
        raise ConfigError(f"The PIN in {address.pin_file} is not the token's.") from None
    except (library.exceptions.PKCS11Error, RuntimeError) as error:
        why = type(error).__name__
        raise Unavailable(f"The token {address.token} does not answer ({why}).") from error
