"""The Things Stack v3: LoRaWAN uplinks as JSON (thethingsindustries.com, its data formats).

Topic `v3/{application}@{tenant}/devices/{device}/up`. Readings are taken from `decoded_payload`,
what the payload formatter made of the bytes. Empty fields (0, false, "") are left out of a message.
`received_at` of the network server is when the uplink was heard.
"""

import re
from typing import Any

import msgspec

from ingest.decoders.decoded import Decoded, Unreadable, read_json, read_text
from ingest.decoders.lorawan import Rows, decode_rows
from water.refusals import SetAside, Undecodable

_TOPIC = re.compile(r"(?:.*/)?v3/[^/]+/devices/([^/]+)/(.+)", re.DOTALL)


class _Uplink(msgspec.Struct, gc=False):
    received_at: Any = None
    frm_payload: Any = None
    decoded_payload: Rows | None = None


class _Device(msgspec.Struct, gc=False):
    device_id: Any = None
    dev_eui: Any = None


class _Message(msgspec.Struct, gc=False):
    end_device_ids: _Device | None = None
    received_at: Any = None
    uplink_message: _Uplink | None = None
    simulated: Any = False


_MESSAGE = msgspec.json.Decoder(_Message)


def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:  # noqa: ARG001 (every decoder is handed the same)
    """Decode one message of a device."""
    topic = _TOPIC.fullmatch(rest)
    if topic is None:
        raise Unreadable(Undecodable.UNKNOWN_TOPIC, f"{rest!r:.80}")
    if topic[2] != "up":
        return SetAside.EVENT
    message = read_json(payload, _MESSAGE)
    if message.simulated is True:
        return SetAside.SIMULATED
    uplink = message.uplink_message
    if uplink is None:
        raise Unreadable(Undecodable.MALFORMED, "no uplink_message")
    if uplink.decoded_payload is None:
        if uplink.frm_payload is None:
            return SetAside.EMPTY
        raise Unreadable(Undecodable.NO_QUANTITY, "no decoded_payload: no payload formatter")
    heard = message.received_at if uplink.received_at is None else uplink.received_at
    return decode_rows(uplink.decoded_payload, _address(message, topic[1]), heard)


def _address(message: _Message, device: str) -> str:
    """The device's EUI in lower case; its id where it has none (activated by hand)."""
    ids = message.end_device_ids
    named = (read_text(ids.dev_eui) or read_text(ids.device_id)) if ids else ""
    return (named or device).lower()
