"""Whatever a sender writes, a decoder gives readings or says why there are none."""

import json
import math
import re
from collections.abc import Callable
from copy import copy
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.decoders import DIALECTS, Decoded, Unreadable, mapped, tasmota
from ingest.decoders.mapped import JsonMapping, MappedQuantity
from ingest.decoders.pointers import parse_place
from ingest.decoders.sparkplug_payload import Payload
from water.dialects import Dialect
from water.refusals import SetAside

TOPICS = {
    "jieshui": "m1/reading",
    "chirpstack": "application/a/device/b/event/up",
    "thethingsstack": "v3/a@t/devices/b/up",
    "alink": "sys/p/m/thing/event/property/post",
    "onenet": "$sys/p/m/thing/property/post",
    "iotda": "$oc/devices/m/sys/properties/report",
    "sparkplug": "spBv1.0/g/DDATA/n/d",
    "tasmota": "tele/tasmota_0A1B2C/SENSOR",
}
MAPPING = JsonMapping(
    topic="#",
    address=parse_place("topic:1"),
    at=parse_place("/data/water_use_data/time"),
    time_format="ms",
    quantities={
        "register_m3": MappedQuantity(parse_place("/data/water_use_data/value"), Fraction(10**9))
    },
    simulated=parse_place("payload:/test"),
)
DECODERS = {
    **DIALECTS,
    "tasmota": tasmota.make_decoder(
        tasmota.Counters(ZoneInfo("Europe/Berlin"), {"tasmota_0A1B2C/C1": Fraction(10)})
    ),
    "json": mapped.make_decoder([MAPPING]),
}
PAGE = (Path(__file__).parents[2] / "docs/connecting.md").read_text(encoding="utf-8")
SHOWN = {
    name: json.loads(payload)
    for name, section in re.findall(r"^## `(\w+)`(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE)
    for payload in re.findall(r"```json\n(.*?)```", section, re.DOTALL)
}
"""A payload of each dialect that speaks JSON, as the page for suppliers has it."""
WORDS = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "1e999", "nan", "", "-1", "9" * 400]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(WORDS)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


def replace_one(content: Any, draw: Callable[..., Any]) -> Any:
    """The payload with one value, somewhere in it, replaced by another."""
    if not isinstance(content, dict | list) or not content or draw(st.integers(0, 5)) == 0:
        return draw(JSON)
    key = draw(st.sampled_from(list(content if isinstance(content, dict) else range(len(content)))))
    changed = copy(content)
    changed[key] = replace_one(content[key], draw)
    return changed


def check(dialect: str, payload: bytes, topic: str | None = None) -> None:
    try:
        found = DECODERS[dialect](topic or TOPICS.get(dialect, "x"), payload, 1_767_200_400)
    except Unreadable:
        return
    if isinstance(found, SetAside):
        return
    assert found
    for reading in found:
        assert isinstance(reading, Decoded)
        assert isinstance(reading.address, str)
        quantities = [quantity for quantity in reading[2:6] if quantity is not None]
        assert all(isinstance(quantity, float) for quantity in quantities)
        if reading.refusal is None:
            assert isinstance(reading.at, int)
            assert quantities
            assert all(math.isfinite(quantity) for quantity in quantities)


@pytest.mark.parametrize("dialect", DECODERS)
@given(st.binary(max_size=200))
@example(b"\xff\xfe")
@example(b"[" * 100_000)
@example(b'{"params":' * 20_000)
@example(b"9" * 5_000)
@example(b'{"a":1,"a":2}')
def test_any_bytes(dialect, payload):
    check(dialect, payload)


@pytest.mark.parametrize("dialect", SHOWN)
@given(st.data())
def test_a_right_payload_with_one_wrong_value(dialect, data):
    payload = json.dumps(replace_one(SHOWN[dialect], data.draw)).encode()
    check(dialect, payload)
    check(dialect, payload, "x")


@pytest.mark.parametrize("dialect", DECODERS)
@given(st.text(max_size=60))
def test_any_topic(dialect, topic):
    check(dialect, b'{"register_m3":1}', topic or "x")


DATA = st.binary(min_size=19, max_size=19).map(lambda values: b"\x1f\x90\x00" + values)
UNITS = st.sampled_from([0x05, 0x29, 0x2C])
KINDS = st.sampled_from([0x10, 0x20])


@given(KINDS, st.binary(min_size=7, max_size=7), DATA | st.binary(max_size=40), UNITS)
def test_any_cjt188_frame_with_a_right_checksum(kind, address, data, unit):
    content = data[:7] + bytes((unit,)) + data[8:]
    start = bytes((0x68, kind, *address, 0x81, len(content))) + content
    frame = start + bytes((sum(start) % 256, 0x16))
    check("cjt188", frame)
    check("cjt188", frame.hex().encode())


ELEMENT = st.tuples(
    st.sampled_from([b"\x27\x23", b"\x39\x23", b"\x58\x27", b"\xff\x39\x20"]),
    st.binary(min_size=4, max_size=4),
).map(b"".join)
INSTANT = st.binary(min_size=5, max_size=5).map(lambda at: b"\xf0\xf0" + at)
BODY = st.lists(ELEMENT | INSTANT | st.just(b"\xf0\xf0\x26\x01\x01\x00\x00")).map(b"".join)


@given(st.sampled_from([0x32, 0x31, 0x2F]), BODY | st.binary(max_size=80))
def test_any_sl651_frame_with_a_right_crc(function, elements):
    body = bytes(8) + elements
    start = bytes.fromhex("7E7E0500112233440000") + bytes((function,))
    start += len(body).to_bytes(2) + b"\x02" + body + b"\x03"
    crc = 0xFFFF
    for byte in start:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xA001 if crc & 1 else 0)
    check("sl651", start + crc.to_bytes(2))


NAMES = st.sampled_from(["register_m3", "M1/flow_m3_h", "level_m"]) | st.text(max_size=8)
VALUES = st.one_of(
    st.fixed_dictionaries({"int_value": st.integers(0, 2**32 - 1)}),
    st.fixed_dictionaries({"long_value": st.integers(0, 2**64 - 1)}),
    st.fixed_dictionaries({"float_value": st.floats(width=32)}),
    st.fixed_dictionaries({"double_value": st.floats()}),
    st.fixed_dictionaries({"string_value": st.text(max_size=8) | st.sampled_from(WORDS)}),
)
NUMBERS = st.integers(0, 2**32 - 1) | st.integers(0, 20)
METRIC = st.tuples(
    st.fixed_dictionaries(
        {},
        optional={
            "name": NAMES, "alias": NUMBERS, "datatype": NUMBERS, "is_null": st.booleans(),
            "timestamp": st.integers(0, 2**64 - 1) | st.just(1_486_144_502_122),
        },
    ),
    VALUES,
    st.lists(st.tuples(st.sampled_from(["Quality", "x"]), NUMBERS), max_size=2),
)  # fmt: skip


@given(st.lists(METRIC, max_size=4), st.sampled_from(["DDATA", "DBIRTH", "NDATA"]), st.data())
def test_any_sparkplug_message_whole_or_cut(metrics, kind, data):
    message = Payload()
    for fields, value, properties in metrics:
        metric = message.metrics.add(**fields, **value)
        for key, number in properties:
            metric.properties.keys.append(key)
            metric.properties.values.add(int_value=number)
    payload = message.SerializeToString()
    check("sparkplug", payload, f"spBv1.0/g/{kind}/n")
    check("sparkplug", payload[: data.draw(st.integers(0, len(payload)))], f"spBv1.0/g/{kind}/n")


def test_the_payloads_are_right_before_they_are_wrong():
    assert set(DECODERS) == set(Dialect)
    assert set(DIALECTS) - set(SHOWN) == {"cjt188", "sl651", "sparkplug"}
