"""The payloads of the simulated suppliers, as docs and payload notes describe the dialects."""

import json
from collections import Counter
from datetime import datetime
from itertools import pairwise

import pytest

from simulators.city import build_city
from simulators.deliveries import make_deliveries
from simulators.dirt import find_due, find_late, make_garbage
from simulators.places import DIRTY, LORA, MAIN, WMBUS
from simulators.plants import DAY_S
from simulators.publish import receipt_id
from simulators.tallies import tally_suppliers
from water.refusals import Refusal, SetAside, Undecodable

UNTIL = datetime.fromisoformat("2026-09-15T00:00:00+08:00")


@pytest.fixture(scope="module")
def city():
    return build_city(11, until=UNTIL, days=80, users=24)


@pytest.fixture(scope="module")
def days(city):
    """(due, deliveries) of every day of the history."""
    begin, end = int(city.history_from.timestamp()) - 1, int(city.until.timestamp())
    return list(make_deliveries(city, begin, end))


def of(deliveries, supplier):
    return [delivery for delivery in deliveries if delivery.supplier_id == supplier.id]


def register_at(city, row, at):
    index, seconds = divmod(at - city.days.start, DAY_S)
    day = city.days.first.fromordinal(city.days.first.toordinal() + index)
    return int(city.dials(day)[row, seconds // 900]) / 1000


def test_a_jieshui_batch_holds_at_most_100_readings_with_their_registers(city, days):
    due, deliveries = days[5]
    rows = {city.meters[row].meter.id: row for row in city.rows_of[MAIN.id]}
    for delivery in of(deliveries, MAIN):
        _, _, supplier, dialect, meter, event = delivery.topic.split("/")
        readings = json.loads(delivery.payload)["readings"]
        assert (supplier, dialect, event) == (MAIN.id, "jieshui", "reading")
        assert len(readings) == delivery.readings <= 100
        last = readings[-1]
        assert last["at"] <= due
        row = rows[last.get("meter", meter)]
        assert last["register_m3"] == register_at(city, row, last["at"])


def test_an_inlet_meter_says_flow_and_pressure_too(city, days):
    inlet = next(d for d in days[5][1] if "/Z05-IN1/" in d.topic)
    readings = json.loads(inlet.payload)["readings"]
    for earlier, later in pairwise(readings):
        volume = later["register_m3"] - earlier["register_m3"]
        assert later["flow_m3_h"] == pytest.approx(volume * 4, abs=0.01)
        assert 0.2 < later["pressure_mpa"] < 0.45


def test_a_telegram_looks_like_wmbusmeters(city, days):
    row = city.rows_of[WMBUS.id][0]
    delivery = next(d for d in of(days[5][1], WMBUS) if city.meters[row].address in str(d.payload))
    telegram = json.loads(delivery.payload)
    assert telegram["_"] == "telegram"
    assert telegram["media"] == "water"
    assert telegram["id"] == city.meters[row].address
    at = int(datetime.fromisoformat(telegram["timestamp"]).timestamp())
    assert telegram["total_m3"] == register_at(city, row, at)


def test_an_uplink_looks_like_chirpstack_and_holds_a_day(city, days):
    row = city.rows_of[LORA.id][0]
    eui = city.meters[row].address
    (delivery,) = [d for d in of(days[5][1], LORA) if eui in d.topic]
    assert delivery.topic.startswith(f"water/v1/{LORA.id}/chirpstack/application/")
    assert delivery.topic.endswith(f"/device/{eui}/event/up")
    uplink = json.loads(delivery.payload)
    assert uplink["deviceInfo"]["devEui"] == eui
    readings = uplink["object"]["readings"]
    assert len(readings) == 24
    for reading in readings:
        at = int(datetime.fromisoformat(reading["at"]).timestamp())
        assert reading["register_m3"] == register_at(city, row, at)


def test_every_reading_of_the_history_goes_out(city, days):
    sent = Counter()
    for _, deliveries in days:
        for delivery in deliveries:
            sent[delivery.supplier_id] += delivery.readings
    told = {name: supplier["readings"] for name, supplier in tally_suppliers(city).items()}
    assert sent == told


def test_deliveries_split_at_any_instant_hold_the_same_readings(city):
    begin = int(city.history_from.timestamp()) - 1
    cuts = [begin, begin + 1 + 5 * 900, begin + 1 + DAY_S // 2, begin + 1 + 2 * DAY_S]
    whole = sum(d.readings for _, day in make_deliveries(city, begin, cuts[-1]) for d in day)
    pieces = [
        delivery.readings
        for after, upto in pairwise(cuts)
        for _, day in make_deliveries(city, after, upto)
        for delivery in day
    ]
    assert sum(pieces) == whole


def test_garbage_bears_the_names_of_refusals_and_no_two_pieces_are_alike(city):
    reasons = {*map(str, Undecodable), *map(str, Refusal), *map(str, SetAside)}
    garbage = [g for i in range(60) for g in make_garbage(city, city.days.first.fromordinal(
        city.first_day.toordinal() + i))]  # fmt: skip
    assert {piece.kind for piece in garbage} <= reasons
    assert len({receipt_id(piece.payload) for piece in garbage}) == len(garbage)
    assert len({piece.kind for piece in garbage}) >= 11


def test_a_piece_of_garbage_is_what_its_name_says(city):
    first = city.first_day.toordinal()
    pieces = {
        piece.kind: piece
        for number in range(first, first + city.history_days)
        for piece in make_garbage(city, city.first_day.fromordinal(number))
    }
    with pytest.raises(json.JSONDecodeError):
        json.loads(pieces["malformed"].payload)
    with pytest.raises(UnicodeDecodeError):
        pieces["not_utf8"].payload.decode()
    assert datetime.fromisoformat(
        json.loads(pieces["time_without_zone"].payload)["at"]
    ).tzinfo is None  # fmt: skip
    own = {city.meters[row].meter.id for row in city.rows_of[DIRTY.id]}
    known = {virtual.meter.id for virtual in city.meters}
    assert pieces["other_suppliers_meter"].topic.split("/")[4] in known - own
    assert pieces["unknown_meter"].topic.split("/")[4] not in known
    later = datetime.fromisoformat(json.loads(pieces["future"].payload)["at"])
    assert later > city.horizon


def test_only_what_is_too_large_to_be_kept_is_not_waited_for(city, days):
    unreceipted = [d for _, deliveries in days for d in deliveries if not d.receipted]
    assert unreceipted
    assert all(len(delivery.payload) > 500_000 for delivery in unreceipted)
    large = [d for _, deliveries in days for d in deliveries if len(d.payload) > 100_000]
    assert len(large) == len(unreceipted)


def test_late_batches_come_days_later_and_out_of_order(city, days):
    seen = 0
    for due, deliveries in days:
        for delivery in of(deliveries, DIRTY):
            if delivery.readings:
                ats = [
                    datetime.fromisoformat(reading["at"]).timestamp()
                    for reading in json.loads(delivery.payload)["readings"]
                ]
                if due - max(ats) >= DAY_S:
                    seen += 1
                    assert 2 * DAY_S <= due - max(ats) <= 6 * DAY_S
                    assert ats != sorted(ats)
    assert seen == tally_suppliers(city)[DIRTY.id]["late"]["messages"] > 0


def test_nothing_is_late_at_the_end_of_the_history(city):
    last = city.until_day.fromordinal(city.until_day.toordinal() - 1)
    assert not find_late(city, last)
    assert not [
        due
        for back in range(8)
        for due in find_due(city, city.until_day.fromordinal(city.until_day.toordinal() + back))
        if due[0] < city.until_day
    ]


def test_duplicates_are_exact_and_counted(city, days):
    twice = sum(
        times - 1
        for _, deliveries in days
        for times in Counter(d.payload for d in of(deliveries, DIRTY)).values()
    )
    assert twice == tally_suppliers(city)[DIRTY.id]["duplicates"]["messages"] > 0


def test_a_receipt_id_is_blake2b_64_of_the_payload():
    # b2sum -l 64 of the empty input
    assert receipt_id(b"") == "e4a6a0577479b2b4"
