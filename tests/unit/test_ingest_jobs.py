"""The re-run of quarantine over several workers: everyone does the rows of its own journal."""

import errno
import threading
from zoneinfo import ZoneInfo

import pytest

from ingest.batch import Rules
from ingest.checks import make_directory
from ingest.journal import JournalReader, Message, open_journal
from ingest.journal.segments import SegmentFiles
from ingest.loader import Loader
from ingest.replays.jobs import IngestJobs
from ingest.settings import Limits
from storage.readings import open_readings
from storage.registry.engine import migrate, open_registry
from storage.registry.jobs import JobStore
from water.accounting import sum_readings
from water.city_time import CityTime
from water.clock import SystemClock
from water.loading import Tally
from water.meters import KnownMeter
from water.policy import Policy

NOW = 1_767_200_000
SUPPLIERS = frozenset({"north"})
NOBODY_KNOWN = Rules((), Policy(), make_directory(1, SUPPLIERS, {}))
REGISTERED = make_directory(
    2,
    SUPPLIERS,
    {("north", "jieshui", "m1"): KnownMeter("m1", "north", None, None, None, None)},
)


@pytest.fixture
def store(tmp_path):
    opened = open_readings(tmp_path, CityTime(ZoneInfo("Asia/Shanghai")), SystemClock())
    yield opened
    opened.close()


@pytest.fixture
def queue(tmp_path):
    engine = open_registry(f"sqlite:///{tmp_path / 'registry.sqlite'}")
    migrate(engine)
    yield JobStore(engine, SystemClock())
    engine.dispose()


@pytest.fixture
def worker(tmp_path, store, queue):
    """Call with a number: a worker whose journal holds one reading of a meter nobody knew."""
    journals = []

    def start(number):
        name = f"ingest-{number}"
        journal = open_journal(tmp_path / name, 1 << 20)
        journals.append(journal)
        payload = b'{"at":%d,"register_m3":%d}' % (NOW - 60 * number, number)
        topic = "water/v1/north/jieshui/m1/reading"
        journal.append([Message("north", topic, payload, NOW * 1000)])
        reader = JournalReader(tmp_path / name, journal.marker, journal.committed)
        loader = Loader(
            name, reader, journal.received, store, lambda: NOBODY_KNOWN, Limits(), lambda *_: None
        )
        assert loader.load_next(threading.Event())
        today = Rules((), Policy(), REGISTERED)
        return IngestJobs(
            queue, name, reader, store, lambda: today, Limits(), lambda: loader.position
        )

    yield start
    for journal in journals:
        journal.close()


def outcome_of(queue, job):
    found = queue.job(job)
    return found["state"], found["outcome"]


def test_rows_of_other_journals_are_handed_on_to_their_workers(worker, queue, store):
    first, second = worker(1), worker(2)
    job = queue.ask("rerun_quarantine", {"supplier": "north"}, "bureau")
    assert first.do_next()
    state, outcome = outcome_of(queue, job)
    handed = outcome["handed_on"]["ingest-2"]
    done = {"passed": 1, "refused": 0, "unmatched": 0, "gone": 0, "stored": 1}
    assert (state, outcome) == ("done", {**done, "handed_on": {"ingest-2": handed}})
    assert store.quarantine_depth() == {"north": 1}
    assert not first.do_next(), "only the second can do it"
    assert second.do_next()
    assert outcome_of(queue, handed) == ("done", done)
    assert store.quarantine_depth() == {}
    readings = sum_readings(store.tallies())["north"]
    assert readings.balanced
    assert readings.stored == 2


def test_a_job_that_a_dead_worker_left_running_is_done_by_whoever_starts(worker, queue, store):
    first = worker(1)
    job = queue.ask("rerun_quarantine", {}, "bureau")
    queue.take(["rerun_quarantine"])
    assert not first.do_next()
    first.release()
    assert first.do_next()
    assert outcome_of(queue, job)[0] == "done"
    assert store.quarantine_depth() == {}


def test_a_segment_is_kept_for_the_rows_of_its_own_journal_only(worker, store):
    worker(1)
    assert store.oldest_refused_segment("ingest-1") == 1
    assert store.oldest_refused_segment("ingest-2") is None


def test_a_replay_is_handed_on_to_the_other_workers_but_not_to_imports(worker, queue, store):
    first, second = worker(1), worker(2)
    with store.load() as load:
        load.add_tallies({Tally("north", "messages", "received", "ingest-import"): 1})
    span = {"from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
    for kind, left in (("replay", {"north": 2}), ("adopt_replay", {})):
        job = queue.ask(kind, span, "bureau")
        assert first.do_next()
        while first.under_way:
            first.step()
        state, outcome = outcome_of(queue, job)
        assert (state, outcome["from_quarantine"]) == ("done", 1)
        assert outcome["handed_on"].keys() == {"ingest-2"}
        assert not first.do_next()
        assert second.do_next()
        while second.under_way:
            second.step()
        state, outcome = outcome_of(queue, outcome["handed_on"]["ingest-2"])
        assert (state, outcome["from_quarantine"]) == ("done", 1)
        assert "handed_on" not in outcome
        assert store.quarantine_depth() == left
    readings = sum_readings(store.tallies())["north"]
    assert readings.balanced
    assert (readings.decoded, readings.stored) == (2, 2)


def test_a_replay_whose_store_is_away_waits_and_goes_on(worker, queue, store, monkeypatch):
    first = worker(1)
    job = queue.ask(
        "replay", {"from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}, "bureau"
    )
    assert first.do_next()
    with monkeypatch.context() as patch:
        patch.setattr(store, "page_refused", away)
        assert not first.step()
    assert not first.under_way, "it pauses"
    assert not first.do_next(), "one replay at a time"
    first._resume_at = 0.0
    while first.under_way:
        first.step()
    assert outcome_of(queue, job)[0] == "done"


def test_a_replay_of_a_journal_that_its_disk_does_not_give_fails_and_names_the_file(
    worker, queue, monkeypatch
):
    first = worker(1)
    span = {"from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
    job = queue.ask("replay", span, "bureau")
    assert first.do_next()

    def bad_sector(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(SegmentFiles, "_read", bad_sector)
    while first.under_way:
        first.step()
    state, outcome = outcome_of(queue, job)
    assert state == "failed"
    assert "000000000001.journal: can't be read: Input/output error" in outcome["error"]


def test_a_replay_that_cannot_be_says_why(worker, queue):
    first = worker(1)
    job = queue.ask("replay", {"from": "2000-01-01T00:00:00", "to": "x"}, "bureau")
    first.do_next()
    state, outcome = outcome_of(queue, job)
    assert state == "failed"
    assert "from and to are instants" in outcome["error"]
    assert not first.under_way


def away(**_):
    raise OSError("the store is away")
