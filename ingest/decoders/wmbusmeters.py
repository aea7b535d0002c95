"""wmbusmeters: wireless M-Bus telegrams as JSON (wmbusmeters README and drivers).

`timestamp` is when the receiver heard the telegram, in UTC; `meter_datetime`, where a driver
gives it, is local time without a zone and names no instant. So the telegram's instant stands for
the reading's, and the quality says so.
"""

from typing import Any

import msgspec

from ingest.decoders.decoded import Decoded, Unreadable, decode_reading, read_json, read_text
from water.readings import Quality
from water.refusals import Refusal, SetAside, Undecodable

_NO_REGISTER_M3 = frozenset({4294967.295, 42949672.95, 99999999.999, -32.768})
"""What drivers print for a register that the meter did not fill (all bits set, INT16_MIN)."""

_QUIET = frozenset({"OK", "NO_ALARM", "NO_CONSUMPTION", "LOW_ABIENT_TEMPERATURE", "NULL"})
_BATTERY = frozenset({"LOW_BATTERY", "POWER_LOW", "BATTERY_LOW"})
_EMPTY = frozenset({"DRY", "EMPTY_PIPE", "AIR_IN_PIPE"})


class _Telegram(msgspec.Struct, gc=False):
    id: Any = None
    timestamp: Any = None
    total_m3: Any = None
    flow_m3h: Any = None
    volume_flow_m3h: Any = None
    status: Any = None
    current_status: Any = None
    current_alarms: Any = None


_TELEGRAM = msgspec.json.Decoder(_Telegram)


def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:  # noqa: ARG001 (every decoder is handed the same)
    """Decode one telegram."""
    if rest.startswith("wmbusmeters_alarm"):
        return SetAside.EVENT
    telegram = read_json(payload, _TELEGRAM)
    address = read_text(telegram.id)
    if not address:
        raise Unreadable(Undecodable.MALFORMED, "a telegram without id")
    flow = telegram.flow_m3h if telegram.flow_m3h is not None else telegram.volume_flow_m3h
    quality = _quality(telegram.status, telegram.current_status, telegram.current_alarms)
    reading = decode_reading(
        address, telegram.timestamp, (telegram.total_m3, flow, None, None), quality
    )
    if reading.detail == "no quantity":
        raise Unreadable(Undecodable.NO_QUANTITY)
    if reading.register_m3 in _NO_REGISTER_M3:
        return [reading._replace(refusal=Refusal.SENTINEL, detail=str(reading.register_m3))]
    return [reading]


def _quality(*texts: object) -> int:
    """Quality of the words that a meter reports, which are joined by spaces or commas."""
    joined = " ".join(text for text in texts if isinstance(text, str))
    words = set(joined.upper().replace(",", " ").split()) - _QUIET
    quality = Quality.CLOCK_ASSUMED
    if words & _BATTERY:
        quality |= Quality.LOW_BATTERY
    if words & _EMPTY:
        quality |= Quality.EMPTY_PIPE
    if words - _BATTERY:
        quality |= Quality.DEVICE_ALARM
    return int(quality)
