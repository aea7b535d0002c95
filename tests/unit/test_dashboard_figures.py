"""How figures are written, and what a CSV file of the dashboard holds."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from api.pages import figures
from api.pages.details import write_detail, write_event_detail
from api.pages.meter_forms import name_open
from api.pages.tables import Column, fetch_all, number, write_csv
from api.pages.texts import Texts
from api.pages.visit import local_path
from water.limits import check_quantities
from water.pages import Page


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (figures.write_number(1234567.8), "1,234,568"),
        (figures.write_number(0.25, 2), "0.25"),
        (figures.write_number(None), "–"),
        (figures.write_number(float("nan")), "–"),
        (figures.write_percent(0.0853), "8.5 %"),
        (figures.write_percent(None), "–"),
        (figures.write_day(date(2026, 9, 15)), "2026-09-15"),
        (figures.write_day(None), "–"),
        (figures.write_evidence("used_m3", 25887.5), "25,887.5 m³"),
        (figures.write_evidence("rise_m3_h", 13.4), "13.40 m³/h"),
        (figures.write_evidence("use_rate", 1.548), "154.8 %"),
        (figures.write_evidence("stopped_h", 48.0), "48 h"),
        (figures.write_evidence("decoded", 1200.0), "1,200"),
        (figures.write_evidence("baseline_m3_h", None), "–"),
    ],
)
def test_a_figure_is_written_with_separators_and_unit(written, expected):
    assert written == expected


def test_an_instant_is_written_on_the_citys_clock():
    at = datetime(2026, 9, 14, 16, 5, tzinfo=UTC)
    assert figures.write_instant(at, ZoneInfo("Asia/Shanghai")) == "2026-09-15 00:05"
    sent = datetime(2026, 9, 14, 16, 5, 37, 900_000, tzinfo=UTC)
    assert figures.write_instant(sent, ZoneInfo("Asia/Shanghai")) == "2026-09-15 00:05:37"
    assert figures.write_instant(pd.NaT, ZoneInfo("Asia/Shanghai")) == "–"


@pytest.mark.parametrize(
    ("reason", "detail", "said"),
    [
        ("future", "93560821 s ahead", "读数时间晚于接收时间 1,082.9 d"),
        ("too_old", "400 days", "读数时间早于接收时间 400 天"),
        ("beyond_dial", "register_m3 2000000.0, dial ends at 100000.0",
         "表底数 2,000,000.000 m³，表盘模数 100,000.000 m³"),
        ("out_of_range", "flow_m3_h -7.5", "流量（m³/h） -7.500"),
        ("out_of_range", "flow_m3_h abc", "flow_m3_h abc"),
        ("unknown_meter", "400 days", "400 days"),
        ("not_a_number", "/Mesage not found", "/Mesage not found"),
    ],
)  # fmt: skip
def test_a_detail_of_our_own_checks_is_said_in_the_pages_language(reason, detail, said):
    assert write_detail(Texts("zh"), reason, detail) == said


@pytest.mark.parametrize(
    ("reason", "detail", "said"),
    [
        ("negative_register", "old_final_m3: register_m3 -4.0",
         "旧表止码（m³）: 表底数（m³） -4.000"),
        ("no_time", "new_initial_m3", "新表起码（m³）"),
        ("unknown_meter", "old_final_m3: 400 days", "旧表止码（m³）: 400 days"),
        ("malformed", "line 1 column 2", "line 1 column 2"),
    ],
)  # fmt: skip
def test_a_refused_meter_change_names_the_index_in_the_pages_language(reason, detail, said):
    assert write_event_detail(Texts("zh"), reason, detail) == said


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_refusal_of_a_value_has_a_detail_in_words(language):
    texts = Texts(language)
    for register, flow, pressure, level in (
        (-1.0, None, None, None), (2e6, None, None, None), (None, 1e9, None, None),
        (None, None, 99.0, None), (None, None, None, 1e6),
    ):  # fmt: skip
        reason, detail = check_quantities(register, 1e5, flow, pressure, level)
        assert write_detail(texts, reason, detail) != detail


def test_a_csv_file_holds_raw_numbers_under_the_headings_of_the_table():
    columns = [
        Column("name", "户名"),
        number("used_m3", "累计用水（m³）"),
        Column("pick", "", on_file=False),  # a button's
    ]
    content = write_csv(columns, [{"name": "=1+1", "used_m3": 1234.5}, {"name": "b"}])
    assert content == "\ufeff户名,累计用水（m³）\r\n'=1+1,1234.5\r\nb,\r\n".encode()


def test_a_csv_file_holds_the_rows_of_every_page():
    pages = {None: Page([{"id": 1}], "2"), "2": Page([{"id": 2}], "3"), "3": Page([{"id": 3}])}
    assert fetch_all(pages.__getitem__) == [{"id": 1}, {"id": 2}, {"id": 3}]


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example", "/\\evil", ""])
def test_the_log_in_never_sends_on_to_another_host(wanted):
    assert local_path(wanted) == "/"


def test_the_log_in_sends_on_to_the_page_that_was_wanted():
    assert local_path("/users/U003?a=1") == "/users/U003?a=1"


def test_a_choice_among_conflicts_names_the_quantity_and_leaves_decided_ones_out():
    row = {"at": datetime(2026, 9, 14, 16, 5, tzinfo=UTC), "kept": 1.5, "offered": 2.0}
    conflicts = [
        row | {"quantity": "register_m3", "decision": "keep"},
        row | {"quantity": "flow_m3_h", "decision": None},
    ]
    named = name_open(Texts("zh"), ZoneInfo("Asia/Shanghai"), conflicts)
    assert named == {1: "2026-09-15 00:05 · 流量（m³/h） · 保留 1.500 · 后到 2.000"}
