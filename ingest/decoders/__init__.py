"""The dialects: one pure module each, bytes in, tuples out; docs/dialects.md: how to add one."""

from collections.abc import Callable, Mapping

from ingest.decoders import (
    alink,
    chirpstack,
    cjt188,
    ctwing,
    iotda,
    jieshui,
    onenet,
    senml,
    sl651,
    sparkplug,
    thethingsstack,
    wmbusmeters,
    zigbee2mqtt,
)
from ingest.decoders.decoded import Decoded, Unreadable
from water.refusals import SetAside

Decoder = Callable[[str, bytes, int], list[Decoded] | SetAside]
"""(rest of the topic, payload, epoch second of arrival) → readings, or why there are none.

Raises Unreadable for what is no message of the dialect.
"""

DIALECTS: Mapping[str, Decoder] = {
    "jieshui": jieshui.decode,
    "wmbusmeters": wmbusmeters.decode,
    "chirpstack": chirpstack.decode,
    "thethingsstack": thethingsstack.decode,
    "zigbee2mqtt": zigbee2mqtt.decode,
    "senml": senml.decode,
    "cjt188": cjt188.decode,
    "sl651": sl651.decode,
    "alink": alink.decode,
    "onenet": onenet.decode,
    "iotda": iotda.decode,
    "ctwing": ctwing.decode,
    "sparkplug": sparkplug.decode,
}

CONFIGURED = frozenset({"tasmota", "json"})
"""Dialects whose decoder is made of the configuration, for a supplier: see their `make_decoder`."""

__all__ = ["CONFIGURED", "DIALECTS", "Decoded", "Decoder", "Unreadable"]
