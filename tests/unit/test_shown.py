"""How commands show tables and instants."""

import io
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from jieshui.commands.shown import make_table, show_instant
from jieshui.commands.status import MESSAGES, READINGS

NEWLY = ("read", "decoded", "undecodable", "set_aside", "newly_decoded", "no_longer_decoded")


def shown(headings, row):
    out = Console(file=io.StringIO(), width=80)
    table = make_table(*headings)
    table.add_row(*row)
    out.print(table)
    return out.file.getvalue()


@pytest.mark.parametrize(
    "headings",
    [
        ("messages", *MESSAGES, "balanced"),
        ("readings", *READINGS, "balanced"),
        ("messages", *NEWLY),
    ],
    ids=["status-messages", "status-readings", "replay"],
)
def test_every_heading_and_millions_stand_whole_in_80_columns(headings):
    text = shown(
        headings, ["suxi-water", "3,412,345", "3,412,345", *["1,234"] * (len(headings) - 3)]
    )
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    for word in " ".join(headings).replace("_", " ").split():
        assert word in text
    assert text.count("3,412,345") == 2


def test_what_is_too_long_for_the_screen_is_wrapped():
    text = shown(["name", "what"], ["a" * 100, "b"])
    assert (text.count("a") - "name".count("a") - "what".count("a"), text.count("…")) == (100, 0)


@pytest.mark.parametrize("text", [True, False])
def test_an_instant_is_shown_to_the_second_by_the_clocks_of_the_city(text):
    at = datetime(2026, 11, 24, 3, 16, 51, 890_513, tzinfo=UTC)
    said = show_instant(at.isoformat() if text else at, ZoneInfo("Asia/Shanghai"))
    assert said == "2026-11-24 11:16:51 +0800"
