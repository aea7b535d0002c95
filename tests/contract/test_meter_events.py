"""Meter changes that suppliers send: decoded, checked, handed to the real registry once."""

import re
import shutil
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from wrapped_store import WrappedStore

from ingest.batch import Batch, Rules
from ingest.checks import make_directory
from ingest.events import list_events
from ingest.journal import JournalReader, Message, open_journal
from ingest.loader import Loader
from ingest.settings import Limits
from registry.meter_changes import MeterChanges
from storage.readings import open_readings
from storage.registry.edits import EditStore
from storage.registry.engine import open_registry
from storage.registry.store import RegistryStore
from water.accounting import sum_messages
from water.city_time import CityTime
from water.clock import SystemClock
from water.loading import Tally
from water.meters import Meter, MeterChange, MeterRole
from water.policy import Policy

NOW = 1_767_200_000
AT = NOW - 3600
CHANGE = b'{"event":"meter_change","at":%d,"old_final_m3":98.5,"new_initial_m3":"0.25","reason":"\xe5\x88\xb0\xe6\x9c\x9f"}' % AT  # fmt: skip  # noqa: E501 (as it is sent)
READING = b'{"at":%d,"register_m3":1}' % AT


class Intake:
    """A journal, its loader, the readings store and the registry, all real."""

    def __init__(self, folder, registry_file):
        self.engine = open_registry(f"sqlite:///{shutil.copy(registry_file, folder)}")
        self.registry = RegistryStore(self.engine, SystemClock())
        with self.registry.transaction() as rows:
            rows.put("suppliers", [{"id": "north", "name": "N"}, {"id": "south", "name": "S"}])
            for meter_id, owner in (("m1", "north"), ("m2", "south")):
                meter = Meter(meter_id, owner, MeterRole.PLANT_OUTLET, modulus_m3=1000.0)
                rows.put("meters", [asdict(meter)])
        self.events = MeterChanges(EditStore(self.engine, SystemClock()), SystemClock())
        self.store = open_readings(folder / "store", CityTime(ZoneInfo("UTC")), SystemClock())
        self.journal = open_journal(folder / "journal", 1 << 20)
        directory = make_directory(1, self.registry.suppliers(), self.registry.devices())
        self.rules = Rules((), Policy(), directory)

    def send(self, *payloads, topic="water/v1/north/jieshui/m1/event"):
        supplier = topic.split("/")[2]
        self.journal.append([Message(supplier, topic, each, NOW * 1000) for each in payloads])

    def loader(self, sink=None, events=None):
        reader = JournalReader(self.journal._folder, self.journal.marker, self.journal.committed)
        return Loader(
            "ingest", reader, self.journal.received, sink or self.store, lambda: self.rules,
            Limits(), lambda *_: None, events or self.events,
        )  # fmt: skip

    def load(self, **parts):
        stop, loader = threading.Event(), self.loader(**parts)
        while loader.load_next(stop):
            pass

    def decoded(self):
        reader = JournalReader(self.journal._folder, self.journal.marker, self.journal.committed)
        entries, _ = reader.read(self.store.position("ingest"))
        batch = Batch(self.rules)
        batch.take(deque(entries))
        return list_events(batch)

    def read(self, query):
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    def close(self):
        self.journal.close()
        self.store.close()
        self.engine.dispose()


@pytest.fixture
def intake(tmp_path, migrated_file):
    made = Intake(tmp_path, migrated_file)
    yield made
    made.close()


def test_a_meter_change_is_registered_and_the_message_counted_as_set_aside(intake):
    intake.send(READING, topic="water/v1/north/jieshui/m1/reading")
    intake.send(CHANGE)
    intake.load()
    at = datetime.fromtimestamp(AT, UTC)
    assert intake.registry.meter_changes() == [MeterChange("m1", at, 98.5, 0.25, "到期")]
    tallies = intake.store.tallies()
    assert tallies[Tally("north", "messages", "set_aside", "event")] == 1
    assert sum_messages(tallies)["north"].balanced
    assert intake.read("SELECT actor FROM audit") == [("supplier north",)]


@pytest.mark.parametrize(
    ("topic", "payload", "refusal"),
    [
        ("north/jieshui/m9/event", CHANGE, "unknown_meter"),
        ("north/jieshui/m2/event", CHANGE, "other_suppliers_meter"),
        ("north/jieshui/m1/event", b"{", "malformed"),
        ("north/jieshui/m1/event", b"\xff\xfe{}", "not_utf8"),
        ("north/jieshui/m1/event", CHANGE.replace(b"98.5", b"1000"), "beyond_dial"),
        ("north/jieshui/m1/event", CHANGE.replace(b"98.5", b"-1"), "negative_register"),
        ("north/jieshui/m1/event", CHANGE.replace(b"98.5", b"NaN"), "not_finite"),
        ("north/jieshui/m1/event", CHANGE.replace(b"98.5", b"null"), "not_a_number"),
        ("north/jieshui/m1/event", CHANGE.replace(b"%d" % AT, b"null"), "no_time"),
        ("north/jieshui/m1/event", CHANGE.replace(b"%d" % AT, b"%d" % (NOW + 999)), "future"),
        ("north/jieshui/m1/event", CHANGE.replace(b"%d" % AT, b'"2026-01-01T00:00:00"'),
         "time_without_zone"),
    ],
    ids=lambda value: value if isinstance(value, str) and "/" not in value else "",
)  # fmt: skip
def test_an_event_that_can_not_be_used_is_counted_with_its_reason(intake, topic, payload, refusal):
    intake.send(payload, payload, topic=f"water/v1/{topic}")
    intake.load()
    assert intake.registry.meter_changes() == []
    found = intake.read("SELECT supplier_id, state, refusal, count FROM meter_event")
    assert found == [("north", "refused", refusal, 2)]
    assert intake.store.tallies()[Tally("north", "messages", "set_aside", "event")] == 2


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("north/jieshui/m1/event", b'{"event":"valve_closed"}'),
        ("north/jieshui/m1/event", b"{}"),
        ("north/jieshui/m1/reading", READING),
        ("nobody/jieshui/m1/event", CHANGE),
        ("north/alink/sys/p/d/thing/event/alarm/post", CHANGE),
    ],
    ids=["another event", "no event", "a reading", "an unknown supplier", "another dialect"],
)
def test_other_messages_are_no_meter_changes(intake, topic, payload):
    intake.send(payload, topic=f"water/v1/{topic}")
    assert intake.decoded() == []


def test_words_that_no_database_holds_are_made_harmless(intake):
    intake.send(CHANGE.replace(b'"reason":"', b'"reason":"\\u0000\\ud800' + b"x" * 9000))
    intake.load()
    ((reason,),) = intake.read("SELECT reason FROM meter_change")
    assert (reason[:2], len(reason)) == ("␀?", 500)


class Failing:
    """A store or a registry of which the first calls fail."""

    def __init__(self, inner, name, times=1):
        self._inner, self._name, self.left = inner, name, times

    def __getattr__(self, name):
        inner = getattr(self._inner, name)
        if name != self._name:
            return inner

        def call(*arguments):
            if self.left:
                self.left -= 1
                raise OSError("away")
            return inner(*arguments)

        return call


class Broken(WrappedStore):
    """A store whose first load breaks off at its end: nothing of it is kept."""

    def __init__(self, store):
        super().__init__(store)
        self.left = 1

    @contextmanager
    def wrap(self, load):
        with load() as load:
            yield load
            if self.left:
                self.left -= 1
                raise OSError("killed")


def test_a_load_that_breaks_off_after_the_event_was_taken_takes_it_once(intake):
    intake.send(CHANGE)
    broken = Broken(intake.store)
    intake.load(sink=broken)
    assert broken.left == 0
    assert intake.read("SELECT state, count FROM meter_event") == [("applied", 1)]
    assert sum_messages(intake.store.tallies())["north"].balanced


def test_a_new_journal_under_the_old_name_has_its_events_taken(intake, tmp_path):
    intake.send(CHANGE)
    intake.load()
    intake.journal.close()
    intake.store.close()
    intake.journal = open_journal(tmp_path / "journal-2", 1 << 20)
    intake.store = open_readings(tmp_path / "store-2", CityTime(ZoneInfo("UTC")), SystemClock())
    intake.send(CHANGE.replace(b"%d" % AT, b"%d" % (AT - 200_000)))
    intake.load()
    assert len(intake.registry.meter_changes()) == 2


def test_while_the_registry_is_away_the_event_waits_in_the_journal(intake):
    intake.send(CHANGE)
    away = Failing(intake.events, "take", times=4)
    intake.load(events=away)
    assert away.left == 0
    assert len(intake.registry.meter_changes()) == 1
    assert intake.store.tallies()[Tally("north", "messages", "set_aside", "event")] == 1


def test_the_event_that_the_page_for_suppliers_shows_is_taken(intake):
    page = (Path(__file__).parents[2] / "docs/connecting.md").read_text(encoding="utf-8")
    shown = re.search(r"^## Meter changes.*?```json\n(.*?)```", page, re.DOTALL | re.MULTILINE)[1]
    at = datetime.fromtimestamp(AT, UTC).isoformat()
    intake.send(shown.replace("2026-09-15T10:30:00+08:00", at).replace("98211.4", "982.4").encode())
    intake.load()
    (change,) = intake.registry.meter_changes()
    assert (change.old_final_m3, change.new_initial_m3, change.reason) == (982.4, 0.2, "到期轮换")
