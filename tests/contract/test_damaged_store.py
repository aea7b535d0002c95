"""A damaged file of the embedded store is an outage: no reading is blamed, none is put aside."""

import sqlite3
import threading
from contextlib import closing

import pytest

from ingest.batch import Rules
from ingest.checks import make_directory
from ingest.journal import JournalReader, Message, open_journal
from ingest.loader import Loader
from ingest.settings import Limits
from storage.errors import StoreUnavailableError
from water.loading import Position
from water.meters import KnownMeter
from water.policy import Policy

pytestmark = pytest.mark.embedded

METER = KnownMeter("m1", "north", None, None, None, None)
DIRECTORY = make_directory(1, frozenset({"north"}), {("north", "jieshui", "m1"): METER})


def damage_table(path):
    """Overwrite the first bytes of the readings' root page, as one bad sector would."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'readings'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * 64)


def load_through_the_loader(store, folder, reading):
    """Try for a second to load a message with a reading of m1."""
    journal = open_journal(folder, 1 << 20)
    payload = b'{"at":%d,"register_m3":7}' % reading.at
    topic = "water/v1/north/jieshui/m1/reading"
    journal.append([Message("north", topic, payload, reading.received_at * 1000)])
    reader = JournalReader(folder, journal.marker, journal.committed)
    loader = Loader(
        "ingest", reader, journal.received, store, lambda: Rules((), Policy(), DIRECTORY),
        Limits(), lambda *_: None,
    )  # fmt: skip
    stop = threading.Event()
    threading.Timer(2, stop.set).start()
    assert not loader.load_next(stop)
    assert store.position("ingest") == Position()
    assert store.tallies() == {}
    assert store.quarantine_depth() == {}
    journal.close()


def test_a_damaged_page_is_an_outage(store, open_store, load, reading, tmp_path):
    load(store, [reading("m1", 1, hour / 60, register_m3=hour) for hour in range(600)])
    store.close()
    damage_table(tmp_path / "readings" / "readings.sqlite")
    damaged = open_store()
    late = reading("m1", 1, 5.005, register_m3=7)
    with pytest.raises(StoreUnavailableError, match="malformed"):
        load(damaged, [late])
    load_through_the_loader(damaged, tmp_path / "journal", late)


@pytest.mark.parametrize("part", ["footer", "rows"])
def test_a_damaged_file_of_a_closed_day_is_an_outage(store, load, reading, instant, tmp_path, part):
    load(store, [reading("m1", 1, hour / 60, register_m3=hour) for hour in range(600)])
    store.compact(instant(1, 2).date())
    (file,) = (tmp_path / "readings" / "readings").iterdir()
    written = bytearray(file.read_bytes())
    footer = len(written) - 8 - int.from_bytes(written[-8:-4], "little")
    damaged = slice(footer, -8) if part == "footer" else slice(4, footer)
    written[damaged] = b"\xff" * len(written[damaged])
    file.write_bytes(written)
    late = reading("m1", 1, 5.005, register_m3=7)
    with pytest.raises(StoreUnavailableError, match="closed files"):
        load(store, [late])
    load_through_the_loader(store, tmp_path / "journal", late)


def test_what_was_asked_wrongly_is_no_outage(store, reading):
    with pytest.raises(sqlite3.IntegrityError), store.load() as transaction:
        transaction.add_readings([reading("m1", 1, register_m3="seven")])
