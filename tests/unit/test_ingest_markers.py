"""A worker's journal is opened only where the store knows its folder."""

import shutil
import threading
from contextlib import ExitStack, closing
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from tenacity import RetryError

from ingest.errors import JournalError, JournalUnwritableError
from ingest.journal import JournalWriter, Message
from ingest.loader import begin_after
from ingest.markers import forget
from ingest.opening import open_own_journal
from ingest.settings import JournalSettings
from storage.readings import open_readings
from water.accounting import sum_messages
from water.city_time import CityTime
from water.clock import SystemClock
from water.loading import Position, Tally


@pytest.fixture
def open_embedded(tmp_path):
    """Open an embedded store of a name; closed at the end."""
    with ExitStack() as stores:

        def open_embedded(name="store"):
            city = CityTime(ZoneInfo("Asia/Shanghai"))
            store = open_readings(tmp_path / name, city, SystemClock())
            return stores.enter_context(closing(store))

        yield open_embedded


@pytest.fixture
def sink(open_embedded):
    return open_embedded()


@pytest.fixture
def own(tmp_path):
    return JournalSettings(tmp_path / "journal")


@pytest.fixture
def opened(sink, tmp_path):
    """Open the journal in a folder as a process does, and let go of it; what it stood at."""

    def opened(folder="journal", messages=0):
        stop = threading.Event()
        journal, _ = open_own_journal(JournalSettings(tmp_path / folder), sink, stop)
        try:
            if messages:
                journal.append([Message("north", "t", b"1", 1)] * messages)
            return journal.marker.hex(), journal.committed()
        finally:
            journal.close()

    return opened


def load_all(sink, position):
    with sink.load() as load:
        load.set_position("ingest", position)


def test_the_store_knows_a_folder_from_its_first_opening_on(sink, opened):
    marker, _ = opened()
    assert sink.marker("ingest") == marker
    assert opened() == opened(), "and it is the same one each time, without a message too"


def test_a_load_leaves_the_marker_and_the_marker_leaves_the_position(sink, opened):
    marker, end = opened(messages=3)
    load_all(sink, end)
    assert (sink.marker("ingest"), sink.position("ingest")) == (marker, end)


@pytest.mark.parametrize("there", [0, 1, 9], ids=["empty", "shorter", "longer"])
def test_a_folder_that_another_machine_wrote_is_refused(sink, opened, tmp_path, there):
    marker, end = opened(messages=5)
    load_all(sink, end)
    if there:
        stranger = JournalSettings(tmp_path / "other", name="other")
        journal, _ = open_own_journal(stranger, sink, threading.Event())
        journal.append([Message("north", "t", b"1", 1)] * there)
        journal.close()
    with pytest.raises(JournalError, match=f"'ingest' by the marker {marker}, and .*other"):
        opened("other")
    assert opened() == (marker, end), "the right one goes on"


def test_an_empty_folder_that_is_refused_stays_empty(opened, tmp_path):
    opened(messages=1)
    with pytest.raises(JournalError, match="jieshui journal forget ingest"):
        opened("other")
    assert list((tmp_path / "other").glob("*.journal")) == []


def test_a_journal_of_before_the_markers_is_taken_as_it_is_once(sink, opened):
    marker, end = opened(messages=2)
    load_all(sink, end)
    sink.swap_marker("ingest", marker, "")
    assert opened() == (marker, end)
    assert sink.marker("ingest") == marker


def test_of_two_that_claim_a_name_at_once_one_is_refused(sink, opened, monkeypatch):
    claim = sink.swap_marker

    def claim_second(name, known, marker):
        claim(name, known, "0123456789abcdef")
        return claim(name, known, marker)

    monkeypatch.setattr(sink, "swap_marker", claim_second)
    with pytest.raises(JournalError, match="0123456789abcdef"):
        opened()


def test_a_folder_that_is_gone_for_good_is_forgotten_and_an_empty_one_goes_on(
    sink, own, opened, tmp_path
):
    old, end = opened(messages=4)
    load_all(sink, end)
    (tmp_path / "journal").rename(tmp_path / "away")
    assert forget(sink, own, "ingest") == {}
    new, begun = opened("new")
    assert new != old
    assert begun.entry == end.entry, "its entries are counted on, so that places never repeat"
    assert begun.segment > end.segment
    with pytest.raises(JournalError, match=new):
        opened("away")


def test_what_waited_in_a_forgotten_journal_stays_in_the_sum_as_lost(sink, own, opened, tmp_path):
    opened(messages=10)
    shutil.rmtree(tmp_path / "journal")
    with sink.load() as load:
        load.set_position("ingest", Position(1, 100, 4))
        load.add_tallies(
            {
                Tally("north", "messages", "received"): 10,
                Tally("north", "messages", "decoded"): 4,
                Tally("north", "messages", "waiting"): 6,
                Tally("north", "messages", "waiting", "ingest-2"): 3,
            }
        )
    assert forget(sink, own, "ingest") == {"north": 6}
    tallies = sink.tallies()
    north = sum_messages(tallies)["north"]
    assert (north.received, north.decoded, north.undecodable, north.waiting) == (10, 4, 6, 3)
    assert tallies[Tally("north", "messages", "undecodable", "journal_lost")] == 6
    assert begin_after(sink, "ingest")[1] == {"north": 10}, "the next one numbers on"
    assert forget(sink, own, "ingest") is None


def test_a_journal_that_a_process_has_open_is_not_forgotten(sink, own):
    journal, _ = open_own_journal(own, sink, threading.Event())
    with closing(journal), pytest.raises(JournalError, match="not gone: a process has it open"):
        forget(sink, own, "ingest")
    assert sink.marker("ingest") == journal.marker.hex()


def test_a_journal_that_is_still_there_is_not_forgotten(sink, own, opened):
    marker, end = opened(messages=10)
    load_all(sink, end._replace(entry=4))
    with pytest.raises(JournalError, match=r"not gone: .* 6 of its messages are not loaded"):
        forget(sink, own, "ingest")
    assert sink.marker("ingest") == marker


def test_a_strangers_folder_is_not_in_the_way_of_forgetting(sink, own, opened, tmp_path):
    opened(messages=1)
    (tmp_path / "journal").rename(tmp_path / "away")
    stranger, _ = open_own_journal(replace(own, name="other"), sink, threading.Event())
    stranger.close()
    assert forget(sink, own, "ingest") == {}


def test_the_folder_of_a_place_is_looked_for_beside_the_own_one(sink, own, tmp_path):
    place = replace(own, folder=tmp_path / "journal-2", name="ingest-2")
    journal, _ = open_own_journal(place, sink, threading.Event())
    with closing(journal), pytest.raises(JournalError, match="journal-2 is not gone"):
        forget(sink, own, "ingest-2")


def test_what_the_store_does_not_know_is_not_forgotten(sink, own):
    assert forget(sink, own, "nobody") is None
    assert sink.marker("nobody") == ""


def test_a_forgotten_journal_begins_in_no_folder_that_holds_something(sink, own, opened, tmp_path):
    opened(messages=4)
    (tmp_path / "journal").rename(tmp_path / "away")
    forget(sink, own, "ingest")
    (tmp_path / "away").rename(tmp_path / "journal")
    with pytest.raises(JournalError, match="holds segments, but journal 'ingest' was said to be"):
        opened()


def test_a_folder_restored_with_its_store_is_known(sink, opened, open_embedded, tmp_path):
    marker, end = opened(messages=2)
    load_all(sink, end)
    rows = list(sink.dump_ledger())
    shutil.copytree(tmp_path / "journal", tmp_path / "restored")
    other = open_embedded("other-store")
    other.restore_ledger(rows)
    journal, _ = open_own_journal(JournalSettings(tmp_path / "restored"), other, threading.Event())
    assert (journal.marker.hex(), journal.committed()) == (marker, end)
    journal.close()


def test_a_backup_of_before_the_markers_is_restored_with_none(sink, open_embedded):
    rows = [("position", {"journal": "ingest", **Position(1, 2, 3)._asdict()})]
    sink.restore_ledger(rows)
    assert (sink.position("ingest"), sink.marker("ingest")) == (Position(1, 2, 3), "")


def test_a_disk_that_is_full_at_the_first_start_is_waited_for(sink, opened, monkeypatch):
    append, tries = JournalWriter.append, []

    def full_once(self, messages):
        tries.append(messages)
        if len(tries) == 1:
            raise JournalUnwritableError("no space left on device")
        append(self, messages)

    monkeypatch.setattr(JournalWriter, "append", full_once)
    marker, _ = opened()
    assert (len(tries), sink.marker("ingest")) == (2, marker)
    assert begin_after(sink, "ingest")[0] == Position()


def test_a_stop_ends_the_waiting_and_lets_go_of_the_folder(sink, tmp_path, opened, monkeypatch):
    stop = threading.Event()

    def away(name):
        stop.set()
        raise OSError("away")

    with monkeypatch.context() as patched:
        patched.setattr(sink, "marker", away)
        with pytest.raises(RetryError):
            open_own_journal(JournalSettings(tmp_path / "journal"), sink, stop)
    opened()
