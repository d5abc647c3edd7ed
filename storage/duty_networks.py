"""The networks that duty may be done from, where the centre wants a post for it."""

from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, NotFound
from bidwitness.networks import read_network
from bidwitness.rights import Whence
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import DutyNetwork


def duty_networks(orm: Orm) -> list[DutyNetwork]:
    """Give those that stand, the oldest first."""
    query = select(DutyNetwork).where(DutyNetwork.ended_us.is_(None))
    return list(orm.scalars(query.order_by(DutyNetwork.made_us, DutyNetwork.id)))


def placed(orm: Orm, whence: Whence) -> Whence:
    """Give from where somebody asks, with the networks that duty may be done from now."""
    return replace(whence, networks=tuple(row.network for row in duty_networks(orm)))


def list_network(orm: Orm, who: Who, at_us: int, name: str, network: str) -> DutyNetwork:
    """Let duty be done from an address or a network.

    Raises ``InvalidInput`` for what is none, ``Conflict`` if it is listed.
    """
    read = read_network(network)
    if read in {row.network for row in duty_networks(orm)}:
        raise Conflict(f"{read} is listed already.")
    row = DutyNetwork(name=name, network=read, made_us=at_us, made_by=who.name)
    orm.add(row)
    orm.flush()
    facts = {"network": read, "name": name}
    leave_audit_entry(orm, who, "duty_network.list", f"duty_network:{row.id}", at_us, facts=facts)
    return row


def end_network(orm: Orm, who: Who, at_us: int, network_id: str) -> DutyNetwork:
    """Take a network off the list: what is open from there is asked again within seconds.

    Raises ``NotFound``, ``Conflict`` if it was taken off before.
    """
    row = orm.get(DutyNetwork, network_id)
    if row is None:
        raise NotFound("There is no such network.")
    if row.ended_us is not None:
        raise Conflict("The network was taken off the list before.")
    row.ended_us, row.ended_by = at_us, who.name
    facts = {"network": row.network, "name": row.name}
    leave_audit_entry(orm, who, "duty_network.end", f"duty_network:{row.id}", at_us, facts=facts)
    return row
