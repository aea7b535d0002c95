"""Meter changes that suppliers send in our own dialect, held against the registry. Pure.

Topic `…/{meter}/event`, payload `{"event": "meter_change", "at": …, "old_final_m3": …,
"new_initial_m3": …, "reason": …}`. Other events are set aside and nothing more.
"""

from typing import Any

import msgspec

from ingest.batch import Batch, Rules
from ingest.checks import check
from ingest.decoders import Unreadable
from ingest.decoders.decoded import decode_reading, read_json
from ingest.journal import Entry
from ingest.signatures import unwrap
from water.dialects import Dialect
from water.meters import MeterEvent
from water.readings import Reading
from water.refusals import SetAside
from water.texts import storable

EVENT = f"set_aside/{SetAside.EVENT.value}"
"""What a message with an event is counted as."""
_METER_CHANGE = "meter_change"
_LONGEST = 500
"""Characters of a supplier's words that are kept."""


class _Event(msgspec.Struct):
    event: Any = None
    at: Any = None
    old_final_m3: Any = None
    new_initial_m3: Any = None
    reason: Any = None


_DECODER = msgspec.json.Decoder(_Event)


def list_events(batch: Batch) -> list[MeterEvent]:
    """The meter changes among the messages of a batch, in its order, refused ones too."""
    numbers = {number for number, counted in batch.undecoded if counted == EVENT}
    if not numbers:
        return []
    found = (read_event(entry, batch.rules) for entry in batch.entries if entry.entry in numbers)
    return [event for event in found if event is not None]


def read_event(entry: Entry, rules: Rules) -> MeterEvent | None:
    """The meter change that a message tells, or why it can't be used; None: it tells none."""
    route = rules.find_route(entry.topic)
    if route is None or route[1] != Dialect.JIESHUI:
        return None
    address = route[2].rpartition("/")[0]
    received_at = entry.received_ms // 1000
    refused = MeterEvent(entry.entry, entry.supplier, received_at)
    payload = entry.payload
    if signing := rules.agreements.signatures.get(entry.supplier):
        signed = unwrap(signing, entry.topic, payload, entry.received_ms)
        if not isinstance(signed, bytes):
            return None
        payload = signed
    try:
        told = read_json(payload, _DECODER)
    except Unreadable as unreadable:
        return refused._replace(refusal=unreadable.reason.value, detail=_clean(unreadable.detail))
    if told.event != _METER_CHANGE:
        return None
    checked: list[Reading] = []
    for name in ("old_final_m3", "new_initial_m3"):
        judged = check(
            decode_reading(address, told.at, (getattr(told, name), None, None, None)),
            entry.supplier, Dialect.JIESHUI, received_at, rules.directory, rules.policy,
        )  # fmt: skip
        if not isinstance(judged, Reading):
            said = f"{name}: {judged[1]}" if judged[1] else name
            return refused._replace(refusal=judged[0].value, detail=_clean(said))
        checked.append(judged)
    old, new = checked
    return refused._replace(
        meter_id=old.meter_id, at=old.at, old_final_m3=old.register_m3,
        new_initial_m3=new.register_m3,
        reason=_clean(told.reason) if isinstance(told.reason, str) else "",
    )  # fmt: skip


def _clean(text: str) -> str:
    """Words as the registry can hold them."""
    return storable(text[:_LONGEST])
