"""A right message of every dialect, as docs/connecting.md shows them to suppliers."""

import re
import tomllib
from pathlib import Path

from ingest.agreements import Agreements
from ingest.decoders import DIALECTS, Decoder
from jieshui.agreements import make_agreements
from jieshui.config import Settings

_DOCS = Path(__file__).parents[2] / "docs"

PAYLOADS: dict[str, list[bytes]] = {
    name: [
        bytes.fromhex(payload) if kind == "hex" else payload.encode()
        for kind, payload in re.findall(r"```(json|hex)\n(.*?)```", text, re.DOTALL)
    ]
    for name, text in re.findall(
        r"^## `(\w+)`(.*?)(?=^## )",
        (_DOCS / "connecting.md").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
}
"""Dialect → payloads."""
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
"""Dialect → what stands behind it in the topic of these payloads."""
CONFIGURED = [
    tomllib.loads(example)
    for example in re.findall(
        r"```toml\n(.*?)```", (_DOCS / "dialects.md").read_text(encoding="utf-8"), re.DOTALL
    )
]
"""Tables of the page for operators: what the dialects need that nobody can read unconfigured."""
DECODERS: dict[str, Decoder] = {
    **DIALECTS,
    **{
        dialect: decode
        for example in reversed(CONFIGURED)
        for (_, dialect), decode in make_agreements(Settings(**example).mqtt).decoders.items()
    },
}
"""Dialect → its decoder, also of those that are configured."""


def agree(supplier: str) -> Agreements:
    """What the configuration would settle with a supplier of all these messages."""
    return Agreements({(supplier, dialect): decode for dialect, decode in DECODERS.items()})
