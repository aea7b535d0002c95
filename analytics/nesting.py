"""Zones within zones: whose water flows through which inlets."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from water.meters import Meter
from water.zones import Zone


def zones_around(zone_ids: Collection[str], zones: Sequence[Zone]) -> frozenset[str]:
    """These zones and every zone that they lie in."""
    parents = {zone.id: zone.parent_id for zone in zones}
    around = set[str]()
    for name in zone_ids:
        zone_id: str | None = name
        while zone_id and zone_id not in around:
            around.add(zone_id)
            zone_id = parents.get(zone_id)
    return frozenset(around)


def zones_inside(zone_ids: Collection[str], zones: Sequence[Zone]) -> frozenset[str]:
    """These zones and every zone that lies in them."""
    inside, more = frozenset[str](), frozenset(zone_ids)
    while more:
        inside |= more
        more = frozenset(zone.id for zone in zones if zone.parent_id in more) - inside
    return inside


def users_by_depth(users: Sequence[Meter], zones: Sequence[Zone]) -> Iterator[list[Meter]]:
    """The users' meters in the zone where they lie, then in the zone around it, and so on.

    The inlet of an outer zone carries what the users of its inner zones take.
    """
    parents = {zone.id: zone.parent_id for zone in zones}
    level = [meter for meter in users if meter.zone_id]
    for _ in range(len(parents) + 1):
        if not level:
            return
        yield level
        around = [(meter, parents.get(str(meter.zone_id))) for meter in level]
        level = [replace(meter, zone_id=zone_id) for meter, zone_id in around if zone_id]
