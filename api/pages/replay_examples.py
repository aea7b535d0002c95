"""Examples of what a replay found: readings that differ, and messages that give none."""

from collections.abc import Mapping
from datetime import datetime

from nicegui import ui

from api.pages.edits import meter_address
from api.pages.figures import write_number
from api.pages.tables import Column, instant, show_table, supplier, word
from api.pages.visit import Visit
from water.pages import Page, Row

READINGS = ("new", "completed", "changed", "known_conflict")
MESSAGES = ("gone", "undecodable")

_SHOWN = 5
"""Examples of each kind of reading; the API gives more."""


def draw_examples(visit: Visit, sample: Mapping[str, list[Row]]) -> None:
    """The sample of a replay (`api.replays`), as far as there is any."""
    texts = visit.texts
    readings = [
        row | {"kind": kind, "at": datetime.fromisoformat(row["at"])}
        for kind in READINGS
        for row in sample.get(kind, ())[:_SHOWN]
    ]
    if readings:
        ui.label(texts["example_readings"]).classes("js-note")
        columns = [
            word("kind", texts["found"], "replay", visit),
            Column("meter_id", texts["meter_id"], href=meter_address),
            instant("at", texts["measured_at"], visit),
            Column("stored", texts["stored_now"], lambda row: _write(visit, row.get("stored"))),
            Column("now", texts["decoded_now"], lambda row: _write(visit, row["now"])),
        ]
        show_table(visit, "replay_readings", columns, Page(readings))
    messages = [
        row | {"kind": kind, "received_at": datetime.fromisoformat(row["received_at"])}
        for kind in MESSAGES
        for row in sample.get(kind, ())
    ]
    if messages:
        ui.label(texts["example_messages"]).classes("js-note")
        columns = [
            word("kind", texts["found"], "replay", visit),
            supplier("supplier", visit),
            Column("counts_as", texts["reason"], lambda row: _write_label(visit, row["counts_as"])),
            Column("detail", texts["detail"], wrap=True),
            Column("topic", texts["topic"], wrap=True),
            instant("received_at", texts["received_at"], visit),
            Column("payload", texts["payload"], wrap=True),
        ]
        show_table(visit, "replay_messages", columns, Page(messages))


def _write(visit: Visit, values: Mapping[str, float] | None) -> str:
    """Quantities with their names: 表底数（m³） 12.300."""
    said = ((visit.texts.word("quantity", name), value) for name, value in (values or {}).items())
    return "; ".join(f"{name} {write_number(value, 3)}" for name, value in said)


def _write_label(visit: Visit, label: str) -> str:
    """What a message counts as, in words: undecodable/malformed → 格式错误."""
    reason = label.partition("/")[2]
    return visit.texts.word("reason", reason) if reason else visit.texts["decoded_otherwise"]
