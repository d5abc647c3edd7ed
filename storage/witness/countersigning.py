"""Countersigning a site's trust material, for a witness, once a person has read it on paper."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bidwitness.clock import Clock
from bidwitness.errors import Conflict, DamageFound, Forbidden, InvalidInput
from bidwitness.storage.evidence.canonical import canonical
from bidwitness.storage.evidence.material import (
    KeyChange,
    TrustMaterial,
    check_extends,
    read_material,
)
from bidwitness.storage.evidence.note import COSIGNATURE, write_note
from bidwitness.storage.evidence.policy import BadPolicy
from bidwitness.storage.ledger.keys import Signer, read_signer
from bidwitness.storage.spool.files import Files, replace_file
from bidwitness.storage.witness.witness import KEY_FILE, NO_KEY

FOLDER = "trust"
MIN_DIGEST = 16


@dataclass(frozen=True, slots=True)
class Reading:
    """A version that somebody is to read: what is new in it since the last one of this witness."""

    material: TrustMaterial
    before: TrustMaterial | None
    changes: tuple[KeyChange, ...]


class Countersigner:
    """Countersigns versions that go on from those it countersigned before."""

    def __init__(self, folder: Path, clock: Clock, files: Files) -> None:
        self._folder = folder
        self._clock = clock
        self._files = files

    def read(self, data: bytes, centre: str | None = None) -> Reading:
        """Give what is to be read. ``centre``: the centre's key or its fingerprint, told by another
        way than the file; it is needed for the first version, and remembered.

        Raises ``InvalidInput`` if it is no trust material, ``Forbidden`` if it must not be signed.
        """
        try:
            material = read_material(data)
        except BadPolicy as error:
            raise InvalidInput(f"This file cannot be used: {error}.") from None
        before = self._last(material.site)
        if before is None and centre is None:
            raise Forbidden(
                "This witness knows no key of that centre yet: give the one that the centre told "
                "you by another way than this file."
            )
        if centre is not None and "".join(centre.split()) not in (
            str(material.centre),
            material.centre.fingerprint,
        ):
            raise Forbidden("The trust material is signed by another key than the one given.")
        if before is not None:
            try:
                check_extends(before, material)
            except BadPolicy as error:
                raise Forbidden(f"This must not be countersigned: {error}.") from None
        if self._signer().key not in material.policy.witnesses.values():
            raise Forbidden("The trust material does not name this witness.")
        seen = 0 if before is None else len(before.history)
        return Reading(material, before, material.history[seen:])

    def countersign(
        self, data: bytes, digest: str, reader: str, centre: str | None = None
    ) -> bytes:
        """Give the file with this witness's signature. ``digest``: as it stands on the paper that
        ``reader`` has read, 16 digits of it at least. It is remembered before it is given.

        Raises as ``read`` does, and ``InvalidInput`` if the paper is of something else.
        """
        with self._alone():
            reading = self.read(data, centre)
            material = reading.material
            said = "".join(digest.split()).lower()
            if len(said) < MIN_DIGEST or not material.digest.startswith(said):
                raise InvalidInput(
                    "The digest is not that of this file: what was read on paper is something else."
                )
            if not reader.strip():
                raise InvalidInput("Say who has read it.")
            now = self._clock.utc_us()
            signer = self._signer()
            mine = (signer.key.name, signer.key.id)
            others = [s for s in material.note.signatures if (s.name, s.key_id) != mine]
            signature = signer.cosign(material.note.text, now // 1_000_000)
            signed = write_note(material.note.text, (*others, signature))
            record = {
                "v": 1,
                "at": now,
                "site": material.site,
                "version": material.version,
                "digest": material.digest,
                "reader": reader.strip(),
            }
            place = self._place(material.site)
            self._files.make_dirs(place)
            beside = place / f"{material.version:06d}.json"
            replace_file(self._files, beside, canonical(record) + b"\n")
            replace_file(self._files, place / "last", signed)
            return signed

    def _last(self, site: str) -> TrustMaterial | None:
        """Give what was countersigned last of a site."""
        path = self._place(site) / "last"
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            material = read_material(data)
        except BadPolicy as error:
            raise DamageFound(f"What is remembered of {site} is damaged: {error}.") from None
        if material.note.verified_by(self._signer().key) is None:
            raise DamageFound(f"What is remembered of {site} is not signed by this witness.")
        return material

    def _place(self, site: str) -> Path:
        return self._folder / FOLDER / hashlib.sha256(site.encode()).hexdigest()

    def _signer(self) -> Signer:
        return read_signer(self._folder / KEY_FILE, COSIGNATURE, NO_KEY)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two at once could sign two versions of one number."""
        self._files.make_dirs(self._folder / FOLDER)
        handle = os.open(
            self._folder / FOLDER / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640
        )
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise Conflict("Somebody countersigns with this witness at this moment.") from None
        finally:
            os.close(handle)
