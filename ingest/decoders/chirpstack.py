"""ChirpStack v4: LoRaWAN uplinks as JSON (chirpstack.io, integrations, event types).

Topic `application/{application}/device/{eui}/event/{event}`. Readings are taken from `object`,
what the device profile's codec made of the bytes; without a codec there is none. `time` is when
the gateway heard the uplink.
"""

from typing import Any

import msgspec

from ingest.decoders.decoded import Decoded, Unreadable, read_json, read_text
from ingest.decoders.lorawan import Rows, decode_rows
from water.refusals import SetAside, Undecodable


class _Device(msgspec.Struct, gc=False, rename="camel"):
    dev_eui: Any = None


class _Uplink(msgspec.Struct, gc=False, rename="camel"):
    time: Any = None
    device_info: _Device | None = None
    object: Rows | None = None


_UPLINK = msgspec.json.Decoder(_Uplink)


def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:  # noqa: ARG001 (every decoder is handed the same)
    """Decode one event of a device."""
    levels = rest.split("/")
    if len(levels) < 6 or levels[-6] != "application" or levels[-2] != "event":
        raise Unreadable(Undecodable.UNKNOWN_TOPIC, f"{rest!r:.80}")
    if levels[-1] != "up":
        return SetAside.STATUS if levels[-1] == "status" else SetAside.EVENT
    uplink = read_json(payload, _UPLINK)
    if uplink.object is None:
        raise Unreadable(Undecodable.NO_QUANTITY, "no object: the device profile has no codec")
    return decode_rows(uplink.object, _address(uplink, levels[-3]), uplink.time)


def _address(uplink: _Uplink, eui: str) -> str:
    """The device's EUI, lower case as ChirpStack writes it; the topic's if the payload has none."""
    named = read_text(uplink.device_info.dev_eui) if uplink.device_info else ""
    return (named or eui).lower()
