"""The payloads that docs/connecting.md shows are read by today's decoders."""

import re
import tomllib
from pathlib import Path

import pytest

from ingest.decoders import DIALECTS
from jieshui.agreements import make_agreements
from jieshui.config import Settings
from water.dialects import Dialect

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/connecting.md").read_text(encoding="utf-8")
SECTIONS = {
    name: [
        bytes.fromhex(payload) if kind == "hex" else payload.encode()
        for kind, payload in re.findall(r"```(json|hex)\n(.*?)```", text, re.DOTALL)
    ]
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
    "sparkplug": "spBv1.0/g/DDATA/n/d",
    "tasmota": "tele/tasmota_0A1B2C/SENSOR",
    "json": "tylink/6c828cba434ff40c074wF2/thing/property/report",
}
CONFIGURED = [
    tomllib.loads(example)
    for example in re.findall(
        r"```toml\n(.*?)```", (ROOT / "docs/dialects.md").read_text(encoding="utf-8"), re.DOTALL
    )
]
"""Tables of the page for operators: what the dialects need that nobody can read unconfigured."""
AGREED = {
    dialect: decode
    for example in reversed(CONFIGURED)
    for (_, dialect), decode in make_agreements(Settings(**example).mqtt).decoders.items()
}
DECODERS = {**DIALECTS, **AGREED}


def test_every_dialect_is_shown():
    assert set(SECTIONS) == set(Dialect)
    assert all(SECTIONS.values())


@pytest.mark.parametrize(
    ("dialect", "payload"), [(name, p) for name, shown in SECTIONS.items() for p in shown]
)
def test_a_payload_on_the_page_is_read(dialect, payload):
    readings = DECODERS[dialect](RESTS[dialect], payload, 1_789_000_000)
    assert readings
    assert all(reading.refusal is None and any(reading[2:6]) for reading in readings)
