"""A site that publishes its trust material, and the witnesses that countersign it."""

from dataclasses import dataclass
from pathlib import Path

from support.ledger_site import Site
from support.witnesses import Neighbours

from bidwitness.storage.evidence.material import TrustMaterial
from bidwitness.storage.index.audit import Who
from bidwitness.storage.ledger.publishing import Publisher, published_bytes
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.witness.countersigning import Countersigner

ADMIN = Who("administrator")


@dataclass
class Press:
    """``site`` has a log; ``near`` are its witnesses ``a`` and ``b``."""

    site: Site
    near: Neighbours

    @classmethod
    def made(cls, site: Site, folder: Path) -> "Press":
        near = Neighbours(site, folder / "near", ("a", "b"), "group both all a b\nquorum both")
        site.act()
        site.log()
        return cls(site, near)

    @property
    def publisher(self) -> Publisher:
        return Publisher(self.site.index, self.site.settings, self.site.clock, SystemFiles())

    def publish(self, reason: str = "", retire: tuple[str, ...] = ()) -> TrustMaterial:
        return self.publisher.publish(ADMIN, reason=reason, retire=retire)

    def data(self, version: int = 1) -> bytes:
        return published_bytes(self.site.settings, version)

    def countersigner(self, name: str) -> Countersigner:
        return Countersigner(self.near.folder / name, self.site.clock, SystemFiles())

    def countersign(self, name: str, material: TrustMaterial) -> bytes:
        """What a person of the witness does who has read the page and has the centre's key."""
        return self.countersigner(name).countersign(
            self.data(material.version), material.digest[:16], "Li", material.centre.fingerprint
        )
