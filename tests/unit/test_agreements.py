"""What the configuration settles with a supplier holds for that supplier and nobody else."""

from ingest.batch import Rules
from ingest.checks import make_directory
from ingest.decoders import Decoded
from ingest.journal import Entry
from jieshui.agreements import make_agreements
from jieshui.config import Settings
from jieshui.ingest_wiring import ingest_settings
from water.policy import Policy
from water.refusals import Undecodable

AT = 1_789_430_400
JSON = {
    "supplier": "east", "address": "topic:1", "at": "/t", "time_format": "s",
    "register_m3": {"path": "/v", "unit": "l"},
}  # fmt: skip
TASMOTA = {
    "supplier": "west", "timezone": "Asia/Shanghai", "litres_per_pulse": {"pulses/C1": 10},
}  # fmt: skip
SETTINGS = Settings(mqtt={"json": [JSON], "tasmota": [TASMOTA]})
DIRECTORY = make_directory(1, frozenset({"east", "west"}), {})
RULES = Rules((), Policy(), DIRECTORY, make_agreements(SETTINGS.mqtt))


def read(supplier, rest, payload):
    entry = Entry(1, 0, 1, 1, 1, supplier, f"water/v1/{supplier}/{rest}", payload, AT * 1000, 0, 0)
    return RULES.read(entry)


def test_a_configured_dialect_is_read_for_the_supplier_that_it_is_configured_for():
    contents = read("east", "json/m1", b'{"t":1789430400,"v":1500}')
    assert (contents.dialect, contents.readings) == ("json", [Decoded("m1", AT, 1.5)])
    payload = b'{"Time":"2026-09-15T08:00:00","COUNTER":{"C1":150}}'
    contents = read("west", "tasmota/tele/pulses/SENSOR", payload)
    assert contents.readings == [Decoded("pulses/C1", AT, 1.5)]


def test_for_another_supplier_it_is_unknown_and_the_detail_says_why():
    contents = read("west", "json/m1", b'{"t":1789430400,"v":1500}')
    assert contents.reason is Undecodable.UNKNOWN_DIALECT
    assert contents.detail == "not configured for this supplier"


def test_ingest_is_told():
    assert ingest_settings(SETTINGS).agreements.decoders.keys() == {
        ("east", "json"), ("west", "tasmota"),
    }  # fmt: skip


def test_the_suppliers_are_all_that_something_is_settled_with():
    assert make_agreements(SETTINGS.mqtt).suppliers() == {"east", "west"}
