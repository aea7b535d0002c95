"""The payloads that docs/connecting.md shows are read by today's decoders."""

import re
from pathlib import Path

import pytest

from ingest.decoders import DIALECTS
from water.dialects import Dialect

PAGE = (Path(__file__).parents[2] / "docs/connecting.md").read_text(encoding="utf-8")
SECTIONS = {
    name: re.findall(r"```(?:json|hex)\n(.*?)```", text, re.DOTALL)
    for name, text in re.findall(r"^## `(\w+)`(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE)
}
RESTS = {
    "jieshui": "M-1/reading",
    "wmbusmeters": "x",
    "chirpstack": "application/a/device/a84041000181c061/event/up",
    "thethingsstack": "v3/app@tenant/devices/m1/up",
    "zigbee2mqtt": "cellar/water meter",
    "senml": "x",
    "cjt188": "anything",
    "sl651": "anything",
    "alink": "sys/a1/m1/thing/event/property/post",
    "onenet": "$sys/p1/m1/thing/property/post",
    "iotda": "anything",
    "ctwing": "anything",
}


def test_every_dialect_is_shown():
    assert set(SECTIONS) == set(Dialect)
    assert all(SECTIONS.values())


@pytest.mark.parametrize(
    ("dialect", "payload"), [(name, p) for name, shown in SECTIONS.items() for p in shown]
)
def test_a_payload_on_the_page_is_read(dialect, payload):
    readings = DIALECTS[dialect](RESTS[dialect], payload.encode(), 1_789_000_000)
    assert readings
    assert all(reading.refusal is None and any(reading[2:6]) for reading in readings)
