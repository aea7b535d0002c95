"""Damage at the end of a journal is told from a torn tail, and counted."""

import threading
from zoneinfo import ZoneInfo

import pytest

from ingest.batch import Rules
from ingest.checks import make_directory
from ingest.errors import JournalError
from ingest.journal import JournalReader, Message
from ingest.journal.segments import list_segments, segment_path
from ingest.loader import Loader
from ingest.opening import open_own_journal
from ingest.settings import JournalSettings, Limits
from ingest.topics import NOBODY
from storage.readings import open_readings
from water.accounting import sum_messages
from water.city_time import CityTime
from water.clock import SystemClock
from water.policy import Policy

NUMBER, SUPPLIER, TEXT = 8, 28, 40
"""Bytes of the body of an entry: of its number, its supplier's name, its topic."""
RULES = Rules((), Policy(), make_directory(1, frozenset({"north", "south"}), {}))


class Plant:
    """A journal and its store, opened and closed as a process does."""

    def __init__(self, folder):
        city = CityTime(ZoneInfo("Asia/Shanghai"))
        self.settings = JournalSettings(folder / "journal")
        self.store = open_readings(folder / "store", city, SystemClock())

    def run(self, *suppliers, load=True):
        """Open, take a message of each of these suppliers, load, close."""
        journal, loaded = open_own_journal(self.settings, self.store, threading.Event())
        try:
            if suppliers:
                journal.append([Message(one, "water/v1/t", b"payload", 1) for one in suppliers])
            reader = JournalReader(self.settings.folder, journal.marker, journal.committed)
            loader = Loader("ingest", reader, journal.received, self.store, lambda: RULES,
                            Limits(), lambda *_: None)  # fmt: skip
            assert loader.loaded == loaded.numbers
            while load and loader.load_next(threading.Event()):
                pass
            return [e.entry for e in reader.read(loader.position)[0]], journal.committed().entry
        finally:
            journal.close()

    @property
    def newest(self):
        return segment_path(self.settings.folder, list_segments(self.settings.folder)[-1])

    def damage(self, place):
        """Flip a bit of the last entry, at a byte of its body."""
        content = bytearray(self.newest.read_bytes())
        marker = content[:8]
        content[content.rindex(marker) + 16 + place] ^= 1
        self.newest.write_bytes(content)
        return content

    def sums(self):
        """Supplier: received, counted, lost, waiting."""
        tallies, sums = self.store.tallies(), {}
        for supplier, one in sum_messages(tallies).items():
            assert one.balanced
            lost = sum(n for t, n in tallies.items() if t[::3] == (supplier, "journal_lost"))
            sums[supplier] = one.received, one.decoded + one.undecodable, lost, one.waiting
        return sums


@pytest.fixture
def plant(tmp_path):
    plant = Plant(tmp_path)
    yield plant
    plant.store.close()


def test_a_damaged_message_at_the_end_that_nobody_had_loaded_is_counted_as_lost(plant):
    plant.run(*["north"] * 19)
    plant.run("north", load=False)
    damaged = plant.damage(TEXT)
    path = plant.newest
    assert plant.run() == ([], 20)
    assert plant.sums() == {"north": (20, 20, 1, 0)}
    assert path.read_bytes() == damaged, "for whoever wants to look"
    assert plant.run("north") == ([], 21)
    assert plant.sums() == {"north": (21, 21, 1, 0)}


def test_a_damaged_message_at_the_end_that_was_loaded_is_not_lost(plant):
    plant.run(*["north"] * 20)
    plant.damage(TEXT)
    for _ in range(2):
        assert plant.run() == ([], 20)
    assert plant.sums() == {"north": (20, 20, 0, 0)}
    assert plant.run("north", "south") == ([], 22)
    assert plant.sums() == {"north": (21, 21, 0, 0), "south": (1, 1, 0, 0)}


@pytest.mark.parametrize("place", [NUMBER, SUPPLIER], ids=["number", "supplier"])
def test_a_message_that_does_not_say_any_more_whose_it_was_is_lost_for_nobody(plant, place):
    plant.run(*["north"] * 20, load=False)
    plant.damage(place)
    plant.run()
    assert plant.sums() == {"north": (19, 19, 0, 0), NOBODY: (1, 1, 1, 0)}


def test_what_the_store_counted_as_received_tells_whose_it_was(plant):
    plant.run(*["north"] * 20)
    plant.damage(SUPPLIER)
    plant.run("south")
    assert plant.sums() == {"north": (20, 20, 0, 0), "south": (1, 1, 0, 0)}


def test_damage_that_took_a_suppliers_last_message_before_anothers_is_counted(plant):
    plant.run("north", "north", "south", load=False)
    content = bytearray(plant.newest.read_bytes())
    frames = content.split(content[:8])
    frames[-2][-1] ^= 1
    plant.newest.write_bytes(content[:8].join(frames))
    plant.run("north")
    assert plant.sums() == {
        "north": (2, 2, 0, 0), "south": (1, 1, 0, 0), NOBODY: (1, 1, 1, 0),
    }  # fmt: skip


@pytest.mark.parametrize("place", [-10, -6, -2], ids=["marker", "length", "checksum"])
@pytest.mark.parametrize("loaded", [True, False], ids=["loaded", "not loaded"])
def test_no_damage_to_its_frame_makes_a_message_look_torn(plant, place, loaded):
    plant.run(*["north"] * 20, load=loaded)
    damaged = plant.damage(place)
    path = plant.newest
    plant.run("north")
    assert plant.sums() == {"north": (21, 21, 0 if loaded else 1, 0)}
    assert path.read_bytes() == damaged


def test_bytes_that_no_write_leaves_are_not_cut(plant, capsys):
    plant.run("north")
    with plant.newest.open("ab") as file:
        file.write(b"something else")
    path, content = plant.newest, plant.newest.read_bytes()
    plant.run("north")
    assert plant.sums() == {"north": (2, 2, 0, 0)}
    assert path.read_bytes() == content
    assert "journal ends with damage" in capsys.readouterr().out


def test_a_shorter_copy_of_the_journal_is_still_refused(plant):
    plant.run(*["north"] * 20)
    path = plant.newest
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(JournalError, match="bring the right folder back"):
        plant.run()


def test_what_a_copy_of_the_journal_does_not_hold_any_more_and_nobody_loaded_is_lost(plant):
    plant.run(*["north"] * 10)
    path = plant.newest
    copy = path.read_bytes()
    plant.run(*["south"] * 5, load=False)
    with plant.store.load() as load:
        received = next(t for t in plant.store.tallies() if t.account == "received")
        south = received._replace(supplier="south")
        load.add_tallies({south: 5, south._replace(account="waiting"): 5})
    path.write_bytes(copy)
    plant.run()
    assert plant.sums() == {"north": (10, 10, 0, 0), "south": (5, 5, 5, 0)}
