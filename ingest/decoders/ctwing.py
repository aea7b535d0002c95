"""CTWing AEP of China Telecom: what the platform pushes to an application, passed on over MQTT.

A `dataReport` has the device, `timestamp` in milliseconds, which is the platform's, and `payload`:
the properties, or `serviceId` with them in `serviceData`. Bytes (`APPdata`, in base64) are the
product's own: AEP takes them apart where the product has a codec, we don't. `upDataSN` is −1 as
often as not and tells no gap.

Sources of the fields: pushes recorded at geekdaxue.co/read/softdev@iot/iq3b9f.
"""

from typing import Any, cast

import msgspec

from ingest.decoders.decoded import Decoded, Unreadable, read_json, read_text
from ingest.decoders.properties import decode_properties, require_quantity
from water.readings import Quality
from water.refusals import SetAside, Undecodable


class _Push(msgspec.Struct, gc=False, rename="camel"):
    message_type: Any = None
    device_id: Any = None
    timestamp: Any = None
    payload: dict[str, Any] | None = None


_PUSH = msgspec.json.Decoder(_Push)
_OTHER = {
    "deviceOnlineOfflineReport": SetAside.STATUS,
    "eventReport": SetAside.EVENT,
    "commandResponse": SetAside.EVENT,
}


def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:  # noqa: ARG001 (every decoder is handed the same)
    """Decode one push."""
    push = read_json(payload, _PUSH)
    kind = read_text(push.message_type)
    if kind in _OTHER:
        return _OTHER[kind]
    if kind != "dataReport":
        raise Unreadable(Undecodable.MALFORMED, f"messageType {kind!r:.80}")
    address = read_text(push.device_id)
    if not address:
        raise Unreadable(Undecodable.MALFORMED, "a dataReport without deviceId")
    if not push.payload:
        return SetAside.EMPTY
    properties = _properties(push.payload)
    readings = decode_properties(address, properties, push.timestamp, Quality.CLOCK_ASSUMED)
    return require_quantity(readings, properties)


def _properties(payload: dict[str, Any]) -> dict[str, Any]:
    """The properties of a payload: itself, or what a service puts into `serviceData`."""
    nested = payload.get("serviceData")
    return cast("dict[str, Any]", nested) if isinstance(nested, dict) else payload
