"""The short way of a plain message: our own dialect, and every reading of it is accepted.

Nearly every message of a city is so, and these lines run for each of them: nothing is made between
payload and reading. A message that is otherwise in the least goes the long way
(`ingest.messages`, `ingest.checks`), which gives the very same readings for a plain one and says
what is wrong with any other. A test holds the two together.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from ingest.agreements import Agreements
from ingest.checks import Directory
from ingest.decoders.decoded import MILLISECONDS_FROM, parse_instant, read_text
from ingest.decoders.jieshui import read_address, read_plain
from ingest.remembered import Remembered
from ingest.topics import NOBODY, Route
from water.limits import (
    FASTEST_M3_H,
    HIGHEST_M,
    HIGHEST_MPA,
    HIGHEST_REGISTER_M3,
    LOWEST_M,
    LOWEST_MPA,
)
from water.meters import KnownMeter
from water.policy import Policy
from water.readings import Reading
from water.tuples import make_tuple

_TOPICS = 131_072
"""Topics that are remembered at once: 30 MB."""
_DAY_S = 86_400
_EVER_S = 1 << 60
_FASTEST_BACK_M3_H = -FASTEST_M3_H
_BEYOND_HIGHEST_M3 = math.nextafter(HIGHEST_REGISTER_M3, math.inf)
_DIALECT = "jieshui"


class _Meter(NamedTuple):
    """What a reading is held against: its register lies in [0, `dial_end`)."""

    meter_id: str
    dial_end: float
    begins: int
    ends: int


class _Lane(NamedTuple):
    """What is the same for all messages of a topic: whose it is, its address, his meters."""

    supplier: str
    address: str
    meters: Mapping[str, _Meter]


class PlainWay:
    """Judges plain messages by one directory and policy.

    Args:
        directory: the registry.
        policy: how far from their arrival readings may lie.
        find_route: what a topic says.
        agreements: whose messages are read in another way, and are so never plain.
    """

    def __init__(
        self,
        directory: Directory,
        policy: Policy,
        find_route: Callable[[str], Route | None],
        agreements: Agreements,
    ) -> None:
        free = () if agreements.form else directory.suppliers - agreements.signatures.keys()
        self._meters = _meters_by_supplier(directory, free)
        self._find_route = find_route
        self._ahead_s = policy.future_tolerance_s
        self._back_s = policy.oldest_days * _DAY_S
        self._lanes = Remembered(self._work_out_lane, _TOPICS)

    def judge(
        self, supplier: str, topic: str, payload: bytes, received_at: int, into: list[Reading]
    ) -> bool:
        """Put the readings of a message behind others; False: it has to go the long way.

        Nothing is put there then.
        """
        lane = self._lanes[topic]
        # (Counted under another name when it arrived, before or after a change of the registry.)
        if lane is None or lane[0] != supplier:
            return False
        _, topic_address, meters = lane
        earliest, latest = received_at - self._back_s, received_at + self._ahead_s
        first = len(into)
        try:
            for item in read_plain(payload):
                at, address = item.at, item.meter
                register, flow = item.register_m3, item.flow_m3_h
                pressure, level = item.pressure_mpa, item.level_m
                if isinstance(at, int):
                    if at >= MILLISECONDS_FROM:
                        at //= 1000
                elif at is None:
                    break
                else:
                    at = parse_instant(at)
                meter_id, dial_end, begins, ends = meters[
                    topic_address if address is None else address
                ]
                if (
                    item.simulated
                    or not earliest <= at <= latest
                    or not begins <= at <= ends
                    or (register is not None and not 0.0 <= register < dial_end)
                    or (flow is not None and not _FASTEST_BACK_M3_H <= flow <= FASTEST_M3_H)
                    or (pressure is not None and not LOWEST_MPA <= pressure <= HIGHEST_MPA)
                    or (level is not None and not LOWEST_M <= level <= HIGHEST_M)
                    or register is flow is pressure is level is None
                ):
                    break
                values = (meter_id, at, received_at, register, flow, pressure, level, 0)
                into.append(make_tuple(Reading, values))
            else:
                if len(into) > first:
                    return True
        except (msgspec.DecodeError, ValueError, LookupError, RecursionError):
            pass
        del into[first:]
        return False

    def _work_out_lane(self, topic: str) -> _Lane | None:
        route = self._find_route(topic)
        if route is None or route.dialect != _DIALECT or route.supplier not in self._meters:
            return None
        address = read_address(route.rest)
        if address is None:
            return None
        return _Lane(route.supplier, address, self._meters[route.supplier])


def _meters_by_supplier(
    directory: Directory, suppliers: Iterable[str]
) -> dict[str, dict[str, _Meter]]:
    """Of these suppliers: supplier → address in our own dialect → the meter, which is his own."""
    found: dict[str, dict[str, _Meter]] = {supplier: {} for supplier in suppliers}
    for (supplier, dialect, address), meter in directory.devices.items():
        own = dialect == _DIALECT and meter.supplier_id == supplier and supplier in found
        if own and read_text(address) == address:
            found[supplier][address] = _make_meter(meter)
    found.pop(NOBODY, None)
    return found


def _make_meter(meter: KnownMeter) -> _Meter:
    modulus, begins, ends = meter.modulus_m3, meter.in_service_from, meter.in_service_to
    return _Meter(
        meter.meter_id,
        _BEYOND_HIGHEST_M3 if modulus is None else min(modulus, _BEYOND_HIGHEST_M3),
        -_EVER_S if begins is None else begins,
        _EVER_S if ends is None else ends,
    )
