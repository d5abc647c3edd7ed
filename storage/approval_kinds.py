"""All kinds of acts that several people have to agree to. Add yours here."""

from collections.abc import Callable

from bidwitness.storage.approvals import Kinds
from bidwitness.storage.classified_acts import begin_kind, end_kind
from bidwitness.storage.granting import demand_kind, request_kind
from bidwitness.storage.keeping_acts import release_kind, shorten_kind
from bidwitness.storage.recovery import recovery


def approval_kinds(hashed: Callable[[str], str]) -> Kinds:
    """Give the kinds by name. ``hashed`` gives a password's hash."""
    all_of_them = (
        recovery(hashed),
        request_kind(),
        demand_kind(),
        release_kind(),
        shorten_kind(),
        begin_kind(),
        end_kind(),
    )
    return {kind.name: kind for kind in all_of_them}
