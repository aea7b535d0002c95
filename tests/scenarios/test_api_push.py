"""Pushing readings by HTTP: a real door, journal and store behind the API."""

import errno
import gzip

import pytest

from ingest.journal import writer
from water.accounting import sum_readings

PUSH = "/api/v1/readings"
AT = "2026-09-15T08:00:00+08:00"


@pytest.fixture
def city(open_api_city, door):
    return open_api_city(door=door)


def reading(meter="meter-north-0", register=12.5, at=AT):
    return {"meter": meter, "at": at, "register_m3": register}


def test_a_batch_is_acknowledged_once_it_is_kept(city, door):
    answer = city.client("north").post(PUSH, json={"readings": [reading()]})
    assert answer.status_code == 202
    body = answer.json()
    assert (body["state"], body["supplier"]) == ("journalled", "north")
    assert door._group.newest_entry == 1


def test_who_waits_is_told_what_became_of_each_reading(city, door):
    client = city.client("north")
    url = f"{PUSH}?wait=loaded"
    batch = [reading(), reading(at="2026-09-15T08:15:00+08:00"), reading("meter-south-0")]
    answer = client.post(url, json=batch)
    assert answer.status_code == 200
    said = answer.json()
    assert (said["state"], said["stored"], said["duplicate"]) == ("loaded", 2, 0)
    assert said["refused"] == [{"part": 2, "reason": "other_suppliers_meter"}]
    again = client.post(url, json=batch).json()
    assert again["receipt"] == said["receipt"]
    assert (again["stored"], again["duplicate"]) == (0, 2)
    other = client.post(url, json=[reading(register=13)]).json()
    assert (other["stored"], other["conflict"]) == (0, 1)
    assert client.post(url, content=b"{").json()["undecodable"] == "malformed"
    assert client.post(url, json=[]).json()["set_aside"] == "empty"
    sums = sum_readings(door.readings.tallies())["north"]
    assert (sums.stored, sums.duplicate, sums.conflict, sums.quarantined) == (2, 2, 1, 2)
    assert sums.balanced


def test_another_dialect_is_pushed_as_it_is(city):
    url = f"{PUSH}?dialect=wmbusmeters&path=a/b&wait=loaded"
    telegram = {"id": "12345678", "total_m3": 4.5, "timestamp": "2026-09-15T00:00:00Z"}
    said = city.client("north").post(url, json=telegram).json()
    assert said["refused"] == [{"part": 0, "reason": "unknown_meter"}]
    unknown = city.client("north").post(f"{PUSH}?dialect=klingon&wait=loaded", json={})
    assert unknown.json()["undecodable"] == "unknown_dialect"


def test_an_administrator_pushes_for_the_supplier_that_it_names(city):
    client = city.client("administrator")
    answer = client.post(f"{PUSH}?supplier=south&wait=loaded", json=[reading("meter-south-0")])
    assert (answer.json()["supplier"], answer.json()["stored"]) == ("south", 1)
    assert client.post(PUSH, json=[]).status_code == 422
    assert "nobody" in client.post(f"{PUSH}?supplier=nobody", json=[]).json()["detail"]


def test_an_administrator_who_is_logged_in_pushes_nothing(city, door):
    once = city.accounts.create_account("zhao", "zhao", "administrator", None, "tests")
    city.accounts.change_password("zhao", once, "correct horse battery staple")
    client = city.client()
    body = {"login": "zhao", "password": "correct horse battery staple"}
    assert client.post("/api/v1/session", json=body).status_code == 200
    answer = client.post(f"{PUSH}?supplier=south", json=[reading("meter-south-0")])
    assert (answer.status_code, "API key" in answer.json()["detail"]) == (403, True)
    assert door._group.newest_entry == 0


def test_a_body_beyond_the_limit_is_refused_and_not_kept(city, door):
    client = city.client("north")
    answer = client.post(PUSH, content=b" " * (door.payload_bytes + 1))
    assert answer.status_code == 413
    assert str(door.payload_bytes) in answer.json()["detail"]
    squeezed = client.post(PUSH, content=gzip.compress(b"[]"), headers={"Content-Encoding": "gzip"})
    assert squeezed.status_code == 415
    assert client.post(PUSH, content=b" " * door.payload_bytes).status_code == 202


def test_without_room_on_the_disk_nothing_is_acknowledged(city, monkeypatch):
    client = city.client("north")
    write = writer.os.pwrite

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer.os, "pwrite", full)
    answer = client.post(PUSH, json=[reading()])
    assert answer.status_code == 503
    assert "No space left" in answer.json()["detail"]
    assert answer.headers["retry-after"] == "10"
    monkeypatch.setattr(writer.os, "pwrite", write)
    assert client.post(PUSH, json=[reading()]).status_code == 202


def test_a_supplier_that_crowds_the_door_is_told_when_to_come_again(city, door, monkeypatch):
    monkeypatch.setitem(door._backlog, "north", 1 << 40)
    answer = city.client("north").post(PUSH, json=[reading()])
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
    south = city.client("south").post(PUSH, json=[reading("meter-south-0")])
    assert south.status_code == 202


def test_where_pushing_is_off_nothing_is_taken(open_api_city):
    answer = open_api_city().client("north").post(PUSH, json=[reading()])
    assert answer.status_code == 503
    assert "api.push" in answer.json()["detail"]
