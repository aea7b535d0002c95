"""Billing reads beside our volumes, over HTTP: periods that can't be answered break nothing."""

import contextlib
import sqlite3
from datetime import date

import pytest

from api import billing
from api.pages.billing import PAGE_ROWS, order_rows

V1 = "/api/v1"


def test_a_bill_whose_last_day_is_far_off_is_listed_as_incomplete(open_api_city, tmp_path):
    client = open_api_city().client("north")
    with contextlib.closing(sqlite3.connect(tmp_path / "registry-0.db")) as registry, registry:
        registry.execute("UPDATE billing_read SET last = '9999-12-31'")
    answer = client.get(f"{V1}/billing", params={"first": "2026-09-13", "last": "2026-09-13"})
    assert answer.status_code == 200
    assert {row["state"] for row in answer.json()["items"]} == {"incomplete"}


def test_bills_are_compared_some_meters_at_a_time(api_city, monkeypatch):
    days = {"first": "2026-09-13", "last": "2026-09-13"}
    client = api_city.client("utility")
    at_once = client.get(f"{V1}/billing", params=days).json()["items"]
    monkeypatch.setattr(billing, "METERS", 1)
    assert len(at_once) > 1
    assert client.get(f"{V1}/billing", params=days).json()["items"] == at_once


@pytest.mark.parametrize("path", ["billing", "ingest/suppliers/north/scorecard"])
def test_local_days_are_asked_for_a_year_at_most(api_city, path):
    days = {"first": "2025-09-13", "last": "2026-09-15"}
    answer = api_city.client("north").get(f"{V1}/{path}", params=days)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "last is 367 days after first: 0 to 366"


def test_the_page_shows_what_is_beyond_the_tolerance_first():
    rows = [
        {"meter_id": f"m{n}", "first": date(2026, 1, 1), "state": state}
        for n, state in enumerate(["within"] * PAGE_ROWS + ["incomplete", "beyond"])
    ]
    shown = [row["state"] for row in order_rows(rows)[:PAGE_ROWS]]
    assert shown == ["beyond", "incomplete"] + ["within"] * (PAGE_ROWS - 2)
