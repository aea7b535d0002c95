"""Edits over HTTP: who may make one count, conflicts decided, meter changes entered."""

from datetime import UTC, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from api.pages.forms import read_local_time, read_words
from storage.registry.edits import EditTransaction
from water.edits import RefusedEditError

V1 = "/api/v1"
METER = "meter-north-0"
AT = "2026-09-13T16:00:00Z"
PASSWORD = "correct horse battery staple"
CONFLICT = {
    "meter_id": METER, "at": AT, "quantity": "register_m3", "offered": 2.5, "reason": "现场核对"
}  # fmt: skip


class House:
    """A city of its own, with clients of people who are logged in."""

    def __init__(self, city):
        self.city = city

    def person(self, login, role="bureau"):
        once = self.city.accounts.create_account(login, login, role, None, "tests")
        self.city.accounts.change_password(login, once, PASSWORD)
        client = self.city.client()
        body = {"login": login, "password": PASSWORD}
        assert client.post(f"{V1}/session", json=body).status_code == 200
        return client

    def edit(self, client, meter=METER, **body):
        body = {"at": AT, "kind": "correction", "register_m3": 1.25, "reason": "读错"} | body
        return client.post(f"{V1}/meters/{meter}/edits", json=body)


@pytest.fixture
def house(open_api_city):
    return House(open_api_city())


def test_a_correction_is_made_by_one_person_and_approved_by_another(house):
    li, wang = house.person("li", "utility"), house.person("wang")
    made = house.edit(li, evidence="工单 17")
    assert made.status_code == 201
    edit = made.json()
    assert (edit["state"], edit["author"], edit["register_m3"]) == ("proposed", "li", 1.25)
    path = f"{V1}/edits/{edit['id']}"
    refused = li.post(f"{path}/approve")
    assert (refused.status_code, "somebody else" in refused.json()["detail"]) == (409, True)
    approved = wang.post(f"{path}/approve").json()
    assert (approved["state"], approved["approver"]) == ("approved", "wang")
    withdrawn = li.post(f"{path}/withdraw", json={"reason": "误判"}).json()
    assert (withdrawn["state"], withdrawn["withdrawn_reason"]) == ("withdrawn", "误判")
    newest = li.get(f"{V1}/edits?meter_id={METER}").json()["items"][0]
    assert newest == withdrawn


def test_a_key_brings_manual_readings_and_nothing_that_needs_two_people(house):
    keys = house.city.client("utility")
    later = {"at": "2026-09-14T01:00:00+08:00", "kind": "manual"}
    made = house.edit(keys, **later).json()
    assert (made["state"], made["author"].startswith("key ")) == ("approved", True)
    for path, body in (
        (f"meters/{METER}/edits", {"at": AT, "kind": "void", "reason": "x"}),
        ("edits/1/approve", None),
        ("conflicts/decide", CONFLICT | {"decision": "keep"}),
        ("meter-events/1/decide", {"decision": "keep", "reason": "x"}),
    ):
        assert keys.post(f"{V1}/{path}", json=body).status_code == 403


@pytest.mark.parametrize("role", ["north", "user"])
def test_suppliers_and_users_edit_nothing_and_see_what_was_edited(house, role):
    client = house.city.client(role)
    change = {"at": AT, "old_final_m3": 1, "new_initial_m3": 0, "reason": "x"}
    for answer in (
        house.edit(client),
        client.post(f"{V1}/edits/1/withdraw", json={"reason": "x"}),
        client.post(f"{V1}/meters/{METER}/changes", json=change),
        client.post(f"{V1}/conflicts/decide", json=CONFLICT | {"decision": "take"}),
    ):
        assert answer.status_code == 403
    assert {row["meter_id"] for row in client.get(f"{V1}/edits").json()["items"]} >= {METER}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"reason": ""}, 422),
        ({"register_m3": "NaN"}, 422),
        ({"kind": "guess"}, 422),
        ({"at": "2026-09-13T16:00:00"}, 422),
        ({"at": "2027-01-01T00:00:00Z"}, 409),
        ({"at": "2026-09-13T16:30:00Z"}, 409),
        ({"kind": "estimate"}, 409),
        ({"kind": "void"}, 409),
        ({"register_m3": -1}, 409),
    ],
    ids=[
        "no reason", "not a number", "an unknown kind", "no zone", "in the future",
        "a correction where nothing was sent", "an estimate where something was measured",
        "a void with a value", "a negative register",
    ],
)  # fmt: skip
def test_what_can_not_be_is_refused_with_a_sentence(house, body, status):
    answer = house.edit(house.person("li"), **body)
    assert (answer.status_code, bool(answer.json()["detail"])) == (status, True)


def test_edits_of_what_there_is_not_are_not_found(house):
    client = house.person("li")
    assert house.edit(client, meter="nowhere").status_code == 404
    assert client.post(f"{V1}/edits/999/approve").status_code == 404
    wrong = CONFLICT | {"offered": 9.0, "decision": "keep"}
    assert client.post(f"{V1}/conflicts/decide", json=wrong).status_code == 404


def test_a_conflict_is_decided_and_its_correction_shown(house):
    client = house.person("li")
    taken = client.post(f"{V1}/conflicts/decide", json=CONFLICT | {"decision": "take"}).json()
    assert (taken["decision"], taken["decided_by"], taken["kept"]) == ("take", "li", 1.5)
    edit = client.get(f"{V1}/edits/{taken['edit_id']}").json()
    assert (edit["kind"], edit["state"], edit["register_m3"]) == ("correction", "approved", 2.5)
    span = {"start": "2026-09-13T16:00:00Z", "end": "2026-09-13T16:00:01Z"}
    rows = client.get(f"{V1}/conflicts", params=span).json()["items"]
    assert {row["meter_id"]: row["decision"] for row in rows}[METER] == "take"
    again = client.post(f"{V1}/conflicts/decide", json=CONFLICT | {"decision": "take"})
    assert again.status_code == 409
    client.post(f"{V1}/edits/{taken['edit_id']}/withdraw", json={"reason": "x"})
    rows = client.get(f"{V1}/conflicts", params=span).json()["items"]
    assert {row["meter_id"]: row["decision"] for row in rows}[METER] is None


def test_a_bug_in_the_rules_is_no_record_that_is_not_found(house, monkeypatch):
    client = house.person("li")

    def broken(*_):
        raise KeyError("a column")

    monkeypatch.setattr(EditTransaction, "edits_at", broken)
    with pytest.raises(KeyError, match="a column"):
        house.edit(client, kind="manual")


def test_an_estimate_over_a_measured_value_waits_for_its_void(house):
    li, wang = house.person("li"), house.person("wang")
    void = house.edit(li, kind="void", register_m3=None).json()["id"]
    estimate = house.edit(li, kind="estimate").json()["id"]
    early = wang.post(f"{V1}/edits/{estimate}/approve")
    assert (early.status_code, "was measured" in early.json()["detail"]) == (409, True)
    for edit in (void, estimate):
        assert wang.post(f"{V1}/edits/{edit}/approve").json()["state"] == "approved"
    under = li.post(f"{V1}/edits/{void}/withdraw", json={"reason": "x"})
    assert (under.status_code, "rests on this void" in under.json()["detail"]) == (409, True)


@pytest.mark.parametrize("typed", ["0001-01-01T00:00:00", "9999-12-31 23:59", "yesterday", ""])
def test_a_page_takes_no_instant_that_the_api_would_not(typed):
    visit = SimpleNamespace(zone=ZoneInfo("Asia/Shanghai"))
    assert read_local_time(visit, typed) is None
    assert read_local_time(visit, "2026-09-14 00:00") == datetime(2026, 9, 13, 16, tzinfo=UTC)


def test_a_page_says_why_it_takes_no_such_words():
    assert read_words(None) == ""
    for typed in ("a\x00b", "x" * 2001):
        with pytest.raises(RefusedEditError):
            read_words(typed)


def test_what_was_billed_is_held_against_our_volumes(house):
    client = house.city.client("north")
    days = {"first": "2026-09-13", "last": "2026-09-13"}
    rows = client.get(f"{V1}/billing", params=days).json()["items"]
    assert rows[0] == {
        "meter_id": METER, "first": "2026-09-13", "last": "2026-09-13", "billed_m3": 9.0,
        "note": "", "volume_m3": 2.0, "difference_m3": -7.0, "difference_share": -7 / 9,
        "estimated_share": 0.0, "missing_share": 0.0, "state": "beyond",
    }  # fmt: skip
    within = client.get(f"{V1}/billing", params=days | {"state": "within"}).json()["items"]
    assert (len(rows), within) == (2, [])
    wrong = client.get(f"{V1}/billing", params={"first": "2026-09-13", "last": "2026-09-12"})
    assert wrong.status_code == 422


def test_a_meter_change_is_entered_and_a_sent_one_decided(house):
    client = house.person("li")
    body = {
        "at": "2026-09-14T16:00:00Z",
        "old_final_m3": 1.5,
        "new_initial_m3": 0.25,
        "reason": "到期轮换",
    }
    answer = client.post(f"{V1}/meters/{METER}/changes", json=body)
    assert answer.status_code == 201
    assert answer.json()["changes"] == [body]
    assert client.post(f"{V1}/meters/{METER}/changes", json=body).status_code == 201
    other = client.post(f"{V1}/meters/{METER}/changes", json=body | {"old_final_m3": 7})
    assert (other.status_code, "contradicts" in other.json()["detail"]) == (409, True)
    (event,) = [
        row
        for row in client.get(f"{V1}/meter-events?state=open").json()["items"]
        if row["meter_id"] == METER
    ]
    path = f"{V1}/meter-events/{event['id']}/decide"
    assert client.post(path, json={"decision": "take", "reason": "核对"}).status_code == 204
    assert client.post(path, json={"decision": "keep", "reason": "核对"}).status_code == 409
    stands = client.get(f"{V1}/meters/{METER}").json()["changes"]
    assert [change["old_final_m3"] for change in stands] == [event["old_final_m3"]]
