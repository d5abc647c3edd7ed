"""All kinds of acts that several people have to agree to. Add yours here."""

from collections.abc import Callable

from bidwitness.clock import Clock
from bidwitness.secrets import SecretBox
from bidwitness.storage.approvals import Kinds
from bidwitness.storage.classified_acts import begin_kind, end_kind
from bidwitness.storage.disposal_acts import dispose_kind
from bidwitness.storage.granting import demand_kind, request_kind
from bidwitness.storage.keeping_acts import release_kind, shorten_kind
from bidwitness.storage.recovery import recovery
from bidwitness.storage.stopping_acts import stop_kind


def approval_kinds(
    hashed: Callable[[str], str], secrets: SecretBox, clock: Clock, *, allow_loopback: bool
) -> Kinds:
    """Give the kinds by name. ``hashed`` gives a password's hash; ``secrets`` seals a camera's;
    ``allow_loopback``: cameras may be on this machine."""
    all_of_them = (
        recovery(hashed),
        request_kind(),
        demand_kind(),
        release_kind(),
        shorten_kind(),
        begin_kind(),
        end_kind(),
        dispose_kind(clock),
        stop_kind(secrets, allow_loopback=allow_loopback),
    )
    return {kind.name: kind for kind in all_of_them}
