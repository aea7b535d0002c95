"""What goes out when: the messages of every supplier between two instants."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from simulators.city import City
from simulators.dialects import (
    chirpstack_topic,
    encode_chirpstack,
    encode_jieshui,
    encode_wmbus,
    jieshui_readings,
    jieshui_topic,
    jieshui_zone_readings,
    wmbus_topic,
)
from simulators.dirt import find_due, find_duplicated, find_late, make_garbage, shuffle_order
from simulators.flows import QUARTERS
from simulators.meters import QUARTER_S
from simulators.places import CITY_ZONE, DIRTY, LORA, MAIN, PLACES, WMBUS
from simulators.plants import DAY_S
from water.meters import MeterRole

METERS_A_BATCH = 4
"""Four meters with 24 (on the first day 25) hourly readings each make up to 100 a message."""
_PRESSURE_LOSS_MPA = 0.05


class Delivery(NamedTuple):
    """One message of a supplier; `readings` counts the good readings in it.

    `receipted` is False for a message that is too large to be kept: whoever cuts it off can't
    name it in a receipt, so its sender doesn't wait for one.
    """

    supplier_id: str
    topic: str
    payload: bytes
    readings: int
    receipted: bool = True


class _Day:
    """The registers of one local day, and its instants as every dialect writes them."""

    def __init__(self, city: City, day: date) -> None:
        self.city = city
        self.day = day
        self.at: list[int] = city.instants(day).tolist()
        self.passed = city.passed(day)
        self.registers: list[list[float]] = (city.dials_of(self.passed, day) / 1000).tolist()
        zone = ZoneInfo(CITY_ZONE)
        moments = [datetime.fromtimestamp(at, UTC) for at in self.at]
        self.epoch = [str(at) for at in self.at]
        self.local = [f'"{moment.astimezone(zone).isoformat()}"' for moment in moments]
        self.utc = [f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in moments]
        first = 0 if day == city.first_day else 4
        self.hours = list(range(first, QUARTERS + 1, 4))

    def hourly(self, row: int, instants: list[str], meter_id: str | None = None) -> list[str]:
        registers = self.registers[row]
        return jieshui_readings(
            [instants[q] for q in self.hours], [registers[q] for q in self.hours], meter_id
        )


def make_deliveries(city: City, after: int, upto: int) -> Iterator[tuple[int, list[Delivery]]]:
    """The messages due after one instant and up to another (epoch seconds), day by day.

    Yields (instant up to which all is delivered, messages): at most one local day at a time.
    The history begins after `history_from` − 1 s: its first midnight is read as well.
    """
    start = city.days.start
    index = (after + 1 - start) // DAY_S
    while index < city.days.count and start + index * DAY_S < upto:
        begin = start + index * DAY_S
        end = min(upto, begin + DAY_S)
        if end > after:
            day = city.days.first + timedelta(days=index)
            yield end, _make_day(city, day, max(after, begin - (day == city.first_day)), end)
        index += 1


def _make_day(city: City, day: date, after: int, upto: int) -> list[Delivery]:
    today = _Day(city, day)
    quarters = [q for q in range(QUARTERS + 1) if after < today.at[q] <= upto]
    deliveries: list[Delivery] = []
    if quarters:
        deliveries += _deliver_quarters(today, quarters)
        deliveries += _deliver_telegrams(today, [q for q in quarters if q % 4 == 0])
    if upto == today.at[-1]:
        deliveries += _deliver_batches(today)
        deliveries += _deliver_uplinks(today)
        deliveries += _deliver_dirt(today)
    return deliveries


def _deliver_quarters(today: _Day, quarters: list[int]) -> Iterator[Delivery]:
    """The meters of the water group that report every quarter of an hour: zones, largest users."""
    instants = [today.epoch[q] for q in quarters]
    for row in today.city.rows_of[MAIN.id]:
        meter = today.city.meters[row].meter
        if meter.interval_s != QUARTER_S:
            continue
        registers = [today.registers[row][q] for q in quarters]
        if meter.role is MeterRole.CUSTOMER:
            readings = jieshui_readings(instants, registers)
        else:
            flows, pressures = _zone_quantities(today, row, quarters)
            readings = jieshui_zone_readings(instants, registers, flows, pressures)
        topic = jieshui_topic(MAIN.id, meter.id)
        yield Delivery(MAIN.id, topic, encode_jieshui(readings), len(readings))


def _zone_quantities(today: _Day, row: int, quarters: list[int]) -> tuple[list[float], list[float]]:
    """Mean flow of the quarter before each instant, m³/h, and a pressure that falls with it."""
    meter = today.city.meters[row].meter
    place = next(place for place in PLACES if place.id == meter.zone_id)
    litres = np.diff(today.passed[row])
    flow = np.concatenate([litres[:1], litres]) * 4 / 1000
    of_peak = flow / (meter.q3_m3_h or 1)
    pressure = place.pressure_mpa + _PRESSURE_LOSS_MPA * (1 - of_peak)
    return (
        np.round(flow[quarters], 2).tolist(),
        np.round(pressure[quarters], 3).tolist(),
    )


def _deliver_telegrams(today: _Day, hours: list[int]) -> Iterator[Delivery]:
    """wmbusmeters: one reading a message."""
    for q in hours:
        for row in today.city.rows_of[WMBUS.id]:
            meter = today.city.meters[row]
            name = f"meter_{meter.meter.id}"
            payload = encode_wmbus(name, meter.address, today.registers[row][q], today.utc[q])
            yield Delivery(WMBUS.id, wmbus_topic(WMBUS.id, name), payload, 1)


def _deliver_batches(today: _Day) -> Iterator[Delivery]:
    """The hourly meters of the water group: once a day, several meters a message."""
    city = today.city
    hourly = [
        row for row in city.rows_of[MAIN.id] if city.meters[row].meter.interval_s != QUARTER_S
    ]
    for i in range(0, len(hourly), METERS_A_BATCH):
        readings = [
            reading
            for row in hourly[i : i + METERS_A_BATCH]
            for reading in today.hourly(row, today.epoch, city.meters[row].meter.id)
        ]
        topic = jieshui_topic(MAIN.id, "-")
        yield Delivery(MAIN.id, topic, encode_jieshui(readings), len(readings))


def _deliver_uplinks(today: _Day) -> Iterator[Delivery]:
    """ChirpStack: one uplink a day with the day's hours."""
    number = (today.day - today.city.days.first).days
    for row in today.city.rows_of[LORA.id]:
        meter = today.city.meters[row]
        readings = today.hourly(row, today.local)
        payload = encode_chirpstack(
            meter.address,
            meter.meter.serial,
            number,
            today.utc[-1].replace("Z", ".775023242+00:00"),
            readings,
        )
        yield Delivery(LORA.id, chirpstack_topic(LORA.id, meter.address), payload, len(readings))


def _deliver_dirt(today: _Day) -> Iterator[Delivery]:
    """The careless supplier: garbage, its meters' days, some twice, some days late."""
    city, day = today.city, today.day
    for garbage in make_garbage(city, day):
        receipted = garbage.kind != "too_large"
        yield Delivery(DIRTY.id, garbage.topic, garbage.payload, 0, receipted)
    late, twice = find_late(city, day), find_duplicated(city, day)
    for row in city.rows_of[DIRTY.id]:
        if row not in late:
            delivery = _deliver_dirty_meter(today, row)
            yield delivery
            if row in twice:
                yield delivery._replace(readings=0)
    for earlier, row in find_due(city, day):
        yield _deliver_dirty_meter(_Day(city, earlier), row, shuffled=True)


def _deliver_dirty_meter(today: _Day, row: int, *, shuffled: bool = False) -> Delivery:
    readings = today.hourly(row, today.local)
    if shuffled:
        order = shuffle_order(today.city, today.day, row, len(readings))
        readings = [readings[i] for i in order]
    topic = jieshui_topic(DIRTY.id, today.city.meters[row].meter.id)
    return Delivery(DIRTY.id, topic, encode_jieshui(readings), len(readings))
