"""The loader over the real store: outages, messages that the store can't take, damage."""

import threading
from collections import Counter, deque
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from wrapped_store import WrappedStore

from ingest.batch import Batch, Rules
from ingest.checks import make_directory
from ingest.history.intake import History
from ingest.journal import JournalReader, Message, open_journal
from ingest.journal.segments import segment_path
from ingest.loader import Loader, begin_after
from ingest.replays.rerun import rerun_quarantine
from ingest.settings import Limits
from storage.queries import IngestQueries
from storage.readings import open_readings
from water.accounting import sum_messages, sum_readings
from water.city_time import CityTime
from water.clock import SystemClock
from water.loading import Outcome, Position, Tally
from water.meters import KnownMeter
from water.policy import Policy
from water.refusals import Refusal
from water.viewer import Role, Viewer

NOW = 1_767_200_000
METER = KnownMeter("m1", "north", None, None, None, None)
DIRECTORY = make_directory(1, frozenset({"north"}), {("north", "jieshui", "m1"): METER})


class Fussy(WrappedStore):
    """The real store, away for a while (`away` loads fail), or unable to take one register.

    `poison`: a register that makes the load fail; `refused`: one that its server won't have;
    `mute`: so many loads are kept, and a failure is all that is heard;
    `failing`: the kind of failure.
    """

    def __init__(self, store):
        super().__init__(store)
        self.away, self.poison, self.loads = 0, None, 0
        self.refused, self.mute, self.failing = None, 0, OSError

    @contextmanager
    def wrap(self, load):
        self.loads += 1
        if self.away:
            self.away -= 1
            raise self.failing("the store is away")
        with load() as load:
            yield (load := _FussyLoad(load, self.poison, self.refused))
        if self.mute and load.counted:
            self.mute -= 1
            raise self.failing("the answer got lost")


class _FussyLoad:
    def __init__(self, load, poison, refused):
        self._load, self._poison, self._refused = load, poison, refused
        self._refusals = {}
        self.counted = False

    def __getattr__(self, name):
        return getattr(self._load, name)

    def add_readings(self, readings):
        if self._poison is not None and any(r.register_m3 == self._poison for r in readings):
            raise OverflowError("Python int too large")
        taken = [r for r in readings if r.register_m3 != self._refused]
        if len(taken) == len(readings):
            return self._load.add_readings(readings)
        said = iter(self._load.add_readings(taken) or [Outcome.STORED] * len(taken))
        outcomes = [
            Outcome.REFUSED if r.register_m3 == self._refused else next(said) for r in readings
        ]
        self._refusals = {
            n: "field type conflict" for n, o in enumerate(outcomes) if o is Outcome.REFUSED
        }
        return outcomes

    def refusals(self):
        return self._refusals

    def set_position(self, journal, position):
        self.counted = True
        self._load.set_position(journal, position)


@pytest.fixture
def sink(tmp_path):
    city = CityTime(ZoneInfo("Asia/Shanghai"))
    store = open_readings(tmp_path / "store", city, SystemClock())
    yield Fussy(store)
    store.close()


@pytest.fixture
def journal(tmp_path, sink):
    after, received, _ = begin_after(sink, "ingest")
    writer = open_journal(tmp_path / "journal", 1 << 20, after=after, received=received)
    yield writer
    writer.close()


def append(journal, *registers, first=0, received=NOW):
    journal.append(
        [
            Message("north", "water/v1/north/jieshui/m1/reading",
                    b'{"at":%d,"register_m3":%d}' % (NOW - 60 * number, register), received * 1000)
            for number, register in enumerate(registers, first)
        ]
    )  # fmt: skip


def judge_by(directory):
    return Rules((), Policy(), directory)


def make_loader(
    journal, sink, settled=lambda *_: None, rules=lambda: judge_by(DIRECTORY), **limits
):
    reader = JournalReader(journal._folder, journal.marker, journal.committed)
    limits = Limits(**limits)
    return Loader("ingest", reader, journal.received, sink, rules, limits, settled)


def load_all(loader):
    stop, batches = threading.Event(), 0
    while loader.load_next(stop):
        batches += 1
    return batches


def sums(sink):
    tallies = sink.tallies()
    return sum_messages(tallies)["north"], sum_readings(tallies)["north"]


def test_refused_readings_fill_a_load_as_stored_ones_do(journal, sink):
    bad = b"[" + b",".join([b'{"at":%d,"register_m3":-1}' % NOW] * 10) + b"]"
    topic = "water/v1/north/jieshui/m1/reading"
    journal.append([Message("north", topic, bad, NOW * 1000)] * 12)
    assert load_all(make_loader(journal, sink, batch_readings=20)) == 6
    assert sink.tallies()[Tally("north", "readings", "quarantined", "negative_register")] == 120


def test_batches_hold_about_as_many_readings_as_they_may(journal, sink):
    append(journal, *range(95))
    assert load_all(make_loader(journal, sink, batch_readings=10)) == 10
    assert sums(sink)[1].stored == 95


@pytest.mark.parametrize(("away", "mute"), [(0, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize("failing", [OSError, ValueError])
def test_a_load_that_was_kept_without_an_answer_is_counted_once(journal, sink, away, mute, failing):
    append(journal, *range(20))
    sink.away, sink.mute, sink.failing = away, mute, failing
    loader = make_loader(journal, sink)
    load_all(loader)
    append(journal, 20, first=20)
    load_all(loader)
    tallies = {tally[1:3]: count for tally, count in sink.tallies().items() if count}
    assert tallies == {
        ("messages", "received"): 21, ("messages", "decoded"): 21,
        ("readings", "decoded"): 21, ("readings", "stored"): 21,
    }  # fmt: skip
    assert loader.totals == Counter(sink.tallies())
    assert loader.position.entry == 21


def test_an_import_goes_on_after_a_load_of_which_nobody_heard_what_became(journal, sink):
    append(journal, *range(10))
    history = History(None)
    reader = JournalReader(journal._folder, journal.marker, journal.committed)
    loader = Loader(
        "ingest", reader, journal.received, sink, lambda: judge_by(DIRECTORY),
        Limits(batch_readings=4), history.loaded, passed=history.passed,
    )  # fmt: skip
    sink.mute = 1
    load_all(loader)
    assert (history.tale.untold, history.tale.counts["stored"]) == (4, 6)
    assert history._newest_loaded == 10


def test_a_store_that_is_away_is_tried_until_it_is_back(journal, sink):
    append(journal, *range(20))
    loader = make_loader(journal, sink)
    sink.away = 5
    assert load_all(loader) == 1
    messages, readings = sums(sink)
    assert (messages.decoded, readings.stored, readings.quarantined) == (20, 20, 0)


def test_a_stop_ends_the_waiting_for_a_store_and_nothing_is_lost(journal, sink):
    append(journal, *range(5))
    loader, stop = make_loader(journal, sink), threading.Event()
    sink.away = 10_000
    threading.Timer(0.3, stop.set).start()
    assert not loader.load_next(stop)
    sink.away = 0
    assert load_all(loader) == 1
    assert sums(sink)[1].stored == 5


def test_a_message_that_the_store_cannot_take_goes_to_quarantine_and_the_rest_is_stored(
    journal, sink
):
    told = []
    append(journal, *range(40))
    sink.poison = 17
    load_all(make_loader(journal, sink, lambda *about: told.append(about[0])))
    append(journal, 99, first=99)
    load_all(make_loader(journal, sink))
    messages, readings = sums(sink)
    assert messages.balanced
    assert readings.balanced
    assert (readings.decoded, readings.stored, readings.quarantined) == (41, 40, 1)
    refused = Tally("north", "readings", "quarantined", Refusal.STORE_REFUSED.value)
    assert sink.tallies()[refused] == 1
    assert sum(len(batch.entries) for batch in told) == 40


class Server(WrappedStore):
    """The real store, as slow as a server: notes what is begun and what is committed, in order.

    `away_at`: the commit at which it is away once.
    """

    def __init__(self, store):
        super().__init__(store)
        self.told, self.commits, self.away_at, self.sessions = [], 0, None, 0

    @contextmanager
    def loading(self):
        self.sessions += 1
        with super().loading() as loading:
            begin = loading.begin_readings
            loading.begin_readings = lambda readings: self._note_begun(readings) or begin(readings)
            yield loading

    def _note_begun(self, readings):
        self.told.append(("begun", int(readings[-1].register_m3)))

    @contextmanager
    def wrap(self, load):
        self.commits += 1
        if self.commits == self.away_at:
            self.told.append("away")
            raise OSError("the store is away")
        with load() as load:
            yield load
        self.told.append("committed")


@pytest.fixture
def server(sink):
    return Server(sink.store)


def test_batches_are_begun_while_the_store_takes_those_before_them(journal, server):
    append(journal, *range(235))
    assert load_all(make_loader(journal, server, batch_readings=80, batches=10)) == 1
    assert server.told == [
        ("begun", 9), ("begun", 29), ("begun", 69), "committed",
        ("begun", 149), "committed", ("begun", 229), "committed", ("begun", 234),
        "committed", "committed", "committed",
    ]  # fmt: skip
    assert sums(server)[1].stored == 235


def test_a_loader_lets_others_load_after_so_many_batches(journal, server):
    append(journal, *range(70))
    loader = make_loader(journal, server, batch_readings=80, batches=2)
    entries = [loader.position.entry for _ in range(4) if loader.load_next(threading.Event())]
    assert entries == [30, 60, 70]
    assert server.sessions == 3


def test_batches_do_not_overlap_while_the_receiver_is_in_a_hurry(journal, server):
    append(journal, *range(30))
    loader = make_loader(journal, server, batch_readings=80, batches=10)
    assert loader.load_next(threading.Event(), goes_on=lambda: False)
    assert server.told == [("begun", 9), "committed"]


def test_batches_do_not_overlap_once_a_stop_is_asked(journal, server):
    append(journal, *range(30))
    loader, stop = make_loader(journal, server, batch_readings=80, batches=10), threading.Event()
    stop.set()
    assert loader.load_next(stop)
    assert loader.position.entry == 10


def test_an_outage_amid_batches_repeats_only_what_was_not_committed(journal, server):
    append(journal, *range(235))
    server.away_at = 3
    loader = make_loader(journal, server, batch_readings=80, batches=10)
    told = []
    loader._settled = lambda batch, _: told.append(batch.entries[-1].number)
    assert load_all(loader) == 1
    assert told == [10, 30, 70, 150, 230, 235]
    assert server.told[server.told.index("away") + 1] == ("begun", 69)
    messages, readings = sums(server)
    assert (messages.waiting, readings.stored, readings.duplicate) == (0, 235, 0)


def test_a_commit_amid_batches_of_which_nobody_heard_is_counted_once(journal, sink):
    append(journal, *range(55))
    sink.mute = 1
    loader = make_loader(journal, sink, batch_readings=10, batches=10)
    load_all(loader)
    messages, readings = sums(sink)
    assert messages.balanced
    assert (readings.stored, readings.duplicate) == (55, 0)
    assert loader.totals == Counter(sink.tallies())


def test_a_message_that_the_store_cannot_take_is_found_with_few_loads(journal, sink):
    append(journal, *range(500))
    sink.poison = 317
    load_all(make_loader(journal, sink))
    assert sink.loads < 50
    _, readings = sums(sink)
    assert (readings.stored, readings.quarantined) == (499, 1)


def test_what_waits_behind_a_refused_message_is_judged_by_the_directory_of_its_turn(journal, sink):
    append(journal, *range(30))
    nobody = make_directory(1, frozenset({"north"}), {})
    directories, sink.poison = [DIRECTORY], 4
    loader = make_loader(
        journal, sink, rules=lambda: judge_by(directories[0]), batch_readings=80, batches=3
    )
    assert loader.load_next(threading.Event())
    assert loader.position.entry == 10
    directories[0] = nobody
    load_all(loader)
    messages, readings = sums(sink)
    assert messages.balanced
    assert readings.balanced
    assert (readings.stored, readings.quarantined) == (9, 21)


def test_a_stop_gives_back_the_batch_that_waits_in_its_turn(journal, sink):
    append(journal, *range(35))
    loader, stop = make_loader(journal, sink, batch_readings=40, batches=3), threading.Event()
    sink.away = 10_000
    threading.Timer(0.3, stop.set).start()
    assert not loader.load_next(stop)
    sink.away, numbers = 0, []
    loader._settled = lambda batch, _: numbers.extend(entry.number for entry in batch.entries)
    load_all(loader)
    assert numbers == list(range(1, 36))
    messages, readings = sums(sink)
    assert messages.balanced
    assert (messages.undecodable, readings.stored) == (0, 35)


def append_batch(journal, *registers):
    items = (b'{"at":%d,"register_m3":%d}' % (NOW - 60 * r, r) for r in registers)
    topic = "water/v1/north/jieshui/m1/reading"
    journal.append([Message("north", topic, b"[%s]" % b",".join(items), NOW * 1000)])


def test_a_reading_that_the_server_refuses_goes_to_quarantine_in_its_place(journal, sink):
    append_batch(journal, 0, 1, 2)
    append_batch(journal, 3, -4, 5, 6)
    sink.refused = 5
    load_all(make_loader(journal, sink))
    messages, readings = sums(sink)
    assert messages.balanced
    assert readings.balanced
    assert (readings.decoded, readings.stored, readings.quarantined) == (7, 5, 2)
    rows = {row["reason"]: row for row in sink.page_refused().rows}
    row = rows[Refusal.STORE_REFUSED.value]
    entry = JournalReader(journal._folder, journal.marker, journal.committed).read(Position())[0][1]
    assert (row["segment"], row["offset"], row["part"]) == (entry.segment, entry.offset, 2)
    assert (row["supplier"], row["dialect"], row["address"]) == ("north", "jieshui", "m1")
    assert (row["detail"], row["at"]) == ("field type conflict", NOW - 300)


def rerun(journal, sink):
    reader = JournalReader(journal._folder, journal.marker, journal.committed)
    return rerun_quarantine({}, "ingest", reader, sink, Rules((), Policy(), DIRECTORY)).describe()


def test_a_rerun_stores_what_the_server_takes_now_and_keeps_what_it_refuses_again(journal, sink):
    append_batch(journal, 0, 1, 2)
    sink.refused = 1
    load_all(make_loader(journal, sink))
    assert rerun(journal, sink) == {"passed": 0, "refused": 1, "unmatched": 0, "gone": 0}
    _, readings = sums(sink)
    assert readings.balanced
    assert (readings.stored, readings.quarantined) == (2, 1)
    sink.refused = None
    assert rerun(journal, sink) == {
        "passed": 1,
        "refused": 0,
        "unmatched": 0,
        "gone": 0,
        "stored": 1,
    }
    _, readings = sums(sink)
    assert readings.balanced
    assert (readings.stored, readings.quarantined) == (3, 0)
    assert not sink.page_refused().rows


def test_what_the_server_refuses_is_held_against_the_quota_once(journal, sink):
    append(journal, *range(20))
    sink.refused, sink.away = 3, 2
    loader = make_loader(journal, sink, quarantine_quota=1)
    load_all(loader)
    assert loader.quota.held == {"north": 1}


def test_a_second_loader_goes_on_where_the_first_stopped(journal, sink):
    append(journal, *range(10))
    load_all(make_loader(journal, sink))
    append(journal, *range(10, 15), first=10)
    load_all(make_loader(journal, sink))
    messages, readings = sums(sink)
    assert (messages.received, messages.decoded) == (15, 15)
    assert (readings.stored, readings.duplicate) == (15, 0)


def test_the_sums_hold_when_damage_took_messages(journal, sink, tmp_path):
    append(journal, *range(30))
    path = segment_path(tmp_path / "journal", 1)
    damaged = bytearray(path.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 300] = b"\x00" * 300
    path.write_bytes(damaged)
    loader = make_loader(journal, sink)
    load_all(loader)
    messages, readings = sums(sink)
    assert messages.balanced
    assert (messages.received, messages.waiting) == (30, 0)
    assert 1 <= messages.undecodable <= 5
    assert readings.stored == 30 - messages.undecodable
    assert loader.damaged_bytes >= 300


SOUTHS = Message("south", "t", b"x", NOW * 1000)


@pytest.mark.parametrize("follows", [[], [SOUTHS]], ids=["nothing", "another supplier's message"])
def test_damage_at_the_end_of_a_closed_segment_is_counted_though_its_supplier_is_silent(
    sink, tmp_path, follows
):
    with closing(open_journal(tmp_path / "journal", segment_bytes=1)) as journal:
        append(journal, *range(20))
        path = segment_path(tmp_path / "journal", 1)
        path.write_bytes(path.read_bytes()[:-200])
        journal.append(follows)
        loader = make_loader(journal, sink)
        load_all(loader)
        assert loader.position.entry == journal.committed().entry
        assert loader.loaded == journal.received()
    messages, readings = sums(sink)
    assert messages.balanced
    assert (messages.received, messages.undecodable, messages.waiting) == (20, 2, 0)
    assert sink.tallies()[Tally("north", "messages", "undecodable", "journal_lost")] == 2
    assert readings.stored == 18


def test_what_damage_took_is_counted_though_the_process_ended_amid_it(sink, tmp_path):
    with closing(open_journal(tmp_path / "journal", segment_bytes=1)) as journal:
        journal.append([SOUTHS, SOUTHS._replace(supplier="north")])
        path = segment_path(tmp_path / "journal", 1)
        content = path.read_bytes()
        path.write_bytes(content[: content.index(journal.marker, 1)])
        journal.append([])
        assert make_loader(journal, sink, batch_readings=1).load_next(threading.Event())
        assert sum(begin_after(sink, "ingest")[2].values()) == 1
        load_all(make_loader(journal, sink))
        assert begin_after(sink, "ingest")[2] == journal.received() == {"north": 1, "south": 1}
        assert not make_loader(journal, sink).load_next(threading.Event()), "none counts twice"


def test_a_journal_begun_anew_keeps_the_sums_going(journal, sink, tmp_path):
    append(journal, *range(10))
    load_all(make_loader(journal, sink))
    after, received, _ = begin_after(sink, "ingest")
    fresh = open_journal(tmp_path / "fresh", 1 << 20, after=after, received=received)
    append(fresh, *range(10, 13), first=10)
    load_all(make_loader(fresh, sink))
    fresh.close()
    messages, readings = sums(sink)
    assert (messages.received, messages.decoded, readings.stored) == (13, 13, 13)


@pytest.mark.parametrize("place", ["judging", "reading ahead", "the newest"])
def test_a_message_that_the_loader_loses_is_missed(journal, sink, monkeypatch, place):
    append(journal, *range(40))
    loader = make_loader(journal, sink, batch_readings=15)
    if place == "reading ahead":
        loader._ahead = Leaky(17)
    else:
        number = 17 if place == "judging" else 40
        take = Batch.take

        def lose_and_take(batch, waiting):
            for lost in [entry for entry in waiting if entry.number == number]:
                waiting.remove(lost)
            take(batch, waiting)

        monkeypatch.setattr(Batch, "take", lose_and_take)
    load_all(loader)
    monkeypatch.undo()
    append(journal, 40, first=40)
    load_all(make_loader(journal, sink) if place == "judging" else loader)
    messages, readings = sums(sink)
    assert (messages.received, messages.decoded, messages.undecodable) == (41, 40, 0)
    assert messages.waiting == 0
    assert not messages.balanced
    assert readings.balanced
    (row,) = IngestQueries(sink.store).sums(Viewer("b", Role.BUREAU))
    assert not row["balanced"]


class Leaky(deque):
    """Loses the message of one number."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def extend(self, entries):
        super().extend(entry for entry in entries if entry.number != self.number)


def test_what_the_journal_holds_beyond_the_last_load_is_waiting(journal, sink):
    append(journal, *range(40))
    loader = make_loader(journal, sink, batch_readings=15)
    waited = []
    for _ in range(3):
        assert loader.load_next(threading.Event())
        messages, _ = sums(sink)
        assert messages.balanced
        waited.append(messages.waiting)
    assert waited == [25, 10, 0]


def test_damage_is_counted_once_when_the_message_after_it_goes_alone(journal, sink, tmp_path):
    append(journal, *range(30))
    path = segment_path(tmp_path / "journal", 1)
    damaged = bytearray(path.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 10] = b"\x00" * 10
    path.write_bytes(damaged)
    reader = JournalReader(journal._folder, journal.marker, journal.committed)
    numbers = [entry.number for entry in reader.read(Position())[0]]
    after = next(a for a, b in zip(numbers[1:], numbers, strict=False) if a - b == 2)
    sink.poison = after - 1
    load_all(make_loader(journal, sink))
    messages, readings = sums(sink)
    assert messages.balanced
    assert (messages.undecodable, readings.quarantined, messages.waiting) == (1, 1, 0)


def test_the_lag_is_the_age_of_the_oldest_message_that_waits(journal, sink):
    for number in range(3):
        append(journal, number, first=number, received=NOW + number * 100)
    before = make_loader(journal, sink, batch_readings=1)
    assert before.load_next(threading.Event())
    loader, stop = make_loader(journal, sink, batch_readings=1), threading.Event()
    at = datetime.fromtimestamp(NOW + 300, UTC)
    sink.away = 10_000
    threading.Timer(0.3, stop.set).start()
    assert not loader.load_next(stop)
    assert loader.lag_s(at) == 200
    assert loader.lag_s(at - timedelta(days=1)) == 0, "by a clock that was set back"
    sink.away = 0
    lags = [loader.lag_s(at) for _ in range(2) if loader.load_next(threading.Event())]
    assert lags == [100, 0]
