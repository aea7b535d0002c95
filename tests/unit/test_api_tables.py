"""Rows on their way out of the house, and cursors on their way in."""

import math
from datetime import UTC, date, datetime

import pandas as pd
import pytest

from api.models import PlanStatus
from api.paging import cut, decode_cursor, encode_cursor
from api.problems import ProblemError
from api.routes.ingest import RERUN_QUARANTINE
from api.settings import ApiSettings
from api.tables import _columns, cell, cleaned, rows_of
from ingest.replays import rerun

AT = datetime(2026, 9, 14, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param("=1+1", "'=1+1", id="formula"),
        pytest.param("+8613800000000", "'+8613800000000", id="plus"),
        pytest.param("-cmd", "'-cmd", id="minus"),
        pytest.param("@SUM(A1)", "'@SUM(A1)", id="at"),
        pytest.param("\t=1", "'\t=1", id="tab"),
        pytest.param("＝1", "'＝1", id="full-width"),
        pytest.param("a=b", "a=b", id="plain-text"),
        pytest.param(-1.5, -1.5, id="a-negative-number-is-no-formula"),
        pytest.param(math.nan, "", id="not-a-number"),
        pytest.param(None, "", id="nothing"),
        pytest.param(True, "true", id="truth"),
        pytest.param(AT, "2026-09-14T16:00:00+00:00", id="instant"),
        pytest.param(date(2026, 9, 14), "2026-09-14", id="day"),
        pytest.param({"水": [math.inf]}, '{"水": [null]}', id="nested"),
    ],
)
def test_a_cell_is_written_as(value, written):
    assert cell(value) == written


def test_nan_becomes_null_at_any_depth():
    assert cleaned({"a": [1.0, math.nan], "b": {"c": -math.inf}}) == {
        "a": [1.0, None], "b": {"c": None}
    }  # fmt: skip


def test_a_frame_becomes_rows_with_aware_instants_and_plain_days():
    frame = pd.DataFrame(
        {
            "at": pd.to_datetime([AT], utc=True).as_unit("s"),
            "day": pd.to_datetime(["2026-09-15"]).as_unit("s"),
            "start": pd.to_datetime([None], utc=True),
            "flow_m3_h": [math.nan],
            "quality": [3],
        }
    )
    assert rows_of(frame) == [
        {"at": AT, "day": date(2026, 9, 15), "start": None, "flow_m3_h": None, "quality": 3}
    ]


def test_a_download_names_its_row_first_and_ends_with_the_shares():
    columns = _columns(PlanStatus)
    assert columns[:3] == ["id", "name", "sector"]
    assert columns[-3:] == ["measured_share", "estimated_share", "missing_share"]


def test_pages_cut_from_whole_rows_hold_every_row_once():
    rows = [{"day": date(2026, 9, day), "meter_id": m} for m in "ba" for day in (2, 1, 10)]
    key, seen, cursor = ("day", "meter_id"), [], None
    while True:
        page = cut(rows, key, cursor, 2)
        seen += [(row["day"].day, row["meter_id"]) for row in page.rows]
        cursor = page.next
        if cursor is None:
            break
    assert seen == [(1, "a"), (1, "b"), (2, "a"), (2, "b"), (10, "a"), (10, "b")]


def test_a_list_that_ends_with_its_page_has_no_next():
    assert cut([{"id": "a"}, {"id": "b"}], ("id",), None, 2).next is None


@pytest.mark.parametrize(
    "cursor", ["", "x", "é", "bnVsbA", "WzFd", "W1siZGF5Il0sWzFdXQ", "W1siZGF5Il0sIjEiLDJd"]
)
def test_a_cursor_of_anybody_else_is_refused(cursor):
    with pytest.raises(ProblemError, match="bad-cursor"):
        decode_cursor(cursor, ("day",))


def test_a_cursor_of_another_list_is_refused():
    cursor = encode_cursor(("id",), {"id": "a"})
    assert decode_cursor(cursor, ("id",)) == ["a"]
    with pytest.raises(ProblemError, match="bad-cursor"):
        decode_cursor(cursor, ("login",))


def test_a_secret_that_could_be_guessed_is_refused_and_none_is_printed():
    with pytest.raises(ValueError, match="32"):
        ApiSettings(secret="short")
    assert "s" * 32 not in repr(ApiSettings(secret="s" * 32))


def test_the_api_asks_for_the_job_that_ingest_takes():
    assert RERUN_QUARANTINE == rerun.RERUN_QUARANTINE
