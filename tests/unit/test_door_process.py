"""The door as the API process opens it."""

import json
import threading
import time

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy.orm import Session

from ingest.door import Door
from jieshui.config import load_settings
from jieshui.door import open_door
from jieshui.wiring import open_stores
from storage.registry.models import MeterRow, SupplierRow
from water.accounting import sum_readings
from water.doors import DoorClosedError

NOW = int(time.time())
BROKER_FILES = ("password_file", "ca_file", "certificate_file", "key_file")


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "jieshui.toml"
    path.write_text('[store]\nfolder = "var"\n', encoding="utf-8")
    return load_settings(path)


@pytest.fixture
def stores(settings):
    with open_stores(settings) as opened:
        with Session(opened.engine) as session:
            session.add(SupplierRow(id="north", name="north"))
            session.flush()
            session.add(MeterRow(id="m1", supplier_id="north", role="customer"))
            session.commit()
        yield opened


def wait_until(holds):
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_open(door):
    try:
        door.require_open()
    except DoorClosedError:
        return False
    return True


def push(door, register):
    payload = json.dumps({"meter": "m1", "at": NOW, "register_m3": register}).encode()
    return door.offer("north", "jieshui", "-/reading", payload, follow=True)


def test_what_is_pushed_is_stored_and_counted_on_metrics(settings, stores):
    metrics, stop = CollectorRegistry(), threading.Event()
    with open_door(settings, stores, metrics, stop) as door:
        wait_until(lambda: is_open(door))
        assert push(door, 1).loaded.result(10)["stored"] == 1
        page = generate_latest(metrics).decode()
    assert sum_readings(stores.readings.tallies())["north"].stored == 1
    assert 'jieshui_ingest_worker_info{journal="ingest-http-1"} 1.0' in page
    assert '{account="stored",reason="",supplier="north"} 1.0' in page
    assert not stop.is_set()


def test_the_door_opens_where_the_files_for_the_broker_are_not_at_hand(tmp_path):
    path = tmp_path / "jieshui.toml"
    files = "".join(f'{name} = "absent"\n' for name in BROKER_FILES)
    path.write_text(f'[store]\nfolder = "var"\n[mqtt]\n{files}', encoding="utf-8")
    own, stop = load_settings(path), threading.Event()
    with open_stores(own) as stores, open_door(own, stores, CollectorRegistry(), stop) as door:
        wait_until(lambda: is_open(door))


def test_a_folder_that_is_no_journal_of_ours_shuts_the_door_and_nothing_else(settings, stores):
    folder = settings.store.folder / "journal-http-1"
    with open_door(settings, stores, CollectorRegistry(), threading.Event()) as door:
        wait_until(lambda: is_open(door))
        push(door, 1).loaded.result(10)
    for segment in folder.glob("*.journal"):
        segment.unlink()
    stop = threading.Event()
    with open_door(settings, stores, CollectorRegistry(), stop) as door:
        wait_until(lambda: "not open yet" not in str(door.health()["trouble"]))
        with pytest.raises(DoorClosedError, match="journal-http-1"):
            push(door, 2)
    assert not stop.is_set()


def test_a_bug_in_the_door_ends_the_process(settings, stores, monkeypatch):
    def break_down(*_):
        raise ZeroDivisionError

    stop = threading.Event()
    monkeypatch.setattr(Door, "_gather", break_down)
    with (
        pytest.raises(ZeroDivisionError),
        open_door(settings, stores, CollectorRegistry(), stop),
    ):
        assert stop.wait(10)


def test_where_pushing_is_off_no_journal_is_made(settings, stores):
    off = settings.model_copy(update={"api": settings.api.model_copy(update={"push": False})})
    with open_door(off, stores, CollectorRegistry(), threading.Event()) as door:
        assert door is None
    assert not list(settings.store.folder.glob("journal*"))
