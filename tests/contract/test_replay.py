"""A window of the journal judged anew, over any readings store: what is shown, what is adopted."""

import threading
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wrapped_store import WrappedStore

from ingest.batch import Rules
from ingest.checks import make_directory
from ingest.decoders import DIALECTS
from ingest.journal import JournalReader, Message, open_journal
from ingest.journal.segments import list_segments, segment_path
from ingest.loader import Loader
from ingest.replays.job import Replay
from ingest.replays.rerun import rerun_quarantine
from ingest.settings import Limits
from storage.readings import open_readings
from water.accounting import sum_messages, sum_readings
from water.city_time import CityTime
from water.clock import SystemClock
from water.jobs import ADOPT_REPLAY, REPLAY, Job
from water.loading import Tally
from water.meters import KnownMeter
from water.policy import Policy
from water.readings import Quality

NOW = 1_767_200_000
METERS = {
    (supplier, dialect, meter): KnownMeter(meter, supplier, None, None, None, None)
    for supplier, meters in (("north", ("m1", "m2")), ("south", ("s1",)))
    for meter in meters
    for dialect in ("jieshui", "late")
}


def rules(*suppliers, without=()):
    devices = {key: m for key, m in METERS.items() if key[0] in suppliers and key[2] not in without}
    return Rules((), Policy(), make_directory(1, frozenset(suppliers), devices))


def iso(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat()


class Plant:
    """A journal, its loader and the store; `rules` is what messages are judged by."""

    def __init__(self, folder, store):
        self.folder, self.store, self.rules = folder, store, rules("north")
        self.journal = open_journal(folder, 1_200)
        self.reader = JournalReader(folder, self.journal.marker, self.journal.committed)
        self.loader = Loader(
            "ingest", self.reader, self.journal.received, store, lambda: self.rules,
            Limits(batch_readings=7), lambda *_: None,
        )  # fmt: skip
        self.jobs = 0

    def send(self, *messages, at=NOW):
        """(supplier as counted, topic, payload) each."""
        for n, message in enumerate(messages):
            self.journal.append([Message(*message, (at + n) * 1000)])

    def load(self):
        while self.loader.load_next(threading.Event()):
            pass

    def begin(
        self, kind, sink=None, job=None, start=NOW - 1000, end=NOW + 10_000, events=None, **more
    ):
        self.jobs += 1
        arguments = {"from": iso(start), "to": iso(end), **more}
        return Replay(
            Job(job or self.jobs, kind, arguments), "ingest", self.reader, self.loader.position,
            sink or self.store, Limits(), events,
        )  # fmt: skip

    def run(self, kind=REPLAY, **about):
        replay = self.begin(kind, **about)
        while replay.step(self.rules):
            pass
        return replay.describe()

    def sums(self, supplier="north"):
        tallies = self.store.tallies()
        messages, readings = sum_messages(tallies), sum_readings(tallies)
        assert all(one.balanced for one in (*messages.values(), *readings.values()))
        assert all(count >= 0 for count in tallies.values())
        return messages.get(supplier), readings.get(supplier)

    def registers(self, *meters):
        start, end = datetime.fromtimestamp(NOW - 86_400, UTC), datetime.fromtimestamp(NOW + 1, UTC)
        frame = self.store.load_readings(meters or ["m1", "m2", "s1"], start, end)
        return list(zip(frame["meter_id"], frame["register_m3"], strict=True))


@pytest.fixture
def plant(store, tmp_path):
    made = Plant(tmp_path / "journal", store)
    yield made
    made.journal.close()


@pytest.fixture
def mended(monkeypatch):
    """Call: the dialect "late" is known from now on, and reads what `read` makes of a reading."""
    decode = DIALECTS["jieshui"]

    def mend(read=lambda decoded: decoded):
        monkeypatch.setitem(DIALECTS, "late", lambda *about: [read(d) for d in decode(*about)])

    return mend


def ours(meter, register, minutes=0, dialect="jieshui", supplier="north"):
    payload = b'{"at":%d,"register_m3":%s}' % (NOW - 60 * minutes, str(register).encode())
    return supplier, f"water/v1/{supplier}/{dialect}/{meter}/reading", payload


def nobodys(*about, **more):
    return "?", *ours(*about, **more)[1:]


@pytest.mark.embedded
def test_an_unchanged_window_has_no_difference_and_adopting_it_changes_nothing(plant):
    plant.send(
        *(ours("m1", n, n) for n in range(30)), ("north", "water/v1/north/jieshui/x/y", b"{")
    )
    plant.load()
    before = plant.store.tallies()
    said = plant.run()
    assert said["messages"] | said["readings"] == {
        "read": 31, "decoded": 30, "undecodable": 1, "set_aside": 0,
        "newly_decoded": 0, "no_longer_decoded": 0,
        "new": 0, "completed": 0, "changed": 0, "known_conflict": 0, "unchanged": 30, "refused": 0,
    }  # fmt: skip
    plant.run(ADOPT_REPLAY)
    assert plant.store.tallies() == before


def test_a_message_of_a_dialect_that_is_known_by_now_moves_to_decoded(plant, mended):
    plant.send(ours("m1", 1), ours("m1", 2, 1, "late"), ours("m3", 3, 2, "late"))
    plant.load()
    assert plant.sums()[0].undecodable == 2
    mended()
    before = plant.store.tallies()
    said = plant.run()
    assert said["messages"]["newly_decoded"] == 2
    assert said["moved"] == [{"from": "undecodable/unknown_dialect", "to": "decoded", "count": 2}]
    assert (said["readings"]["new"], said["readings"]["refused"]) == (1, 1)
    assert said["sample"]["new"] == [
        {"meter_id": "m1", "at": iso(NOW - 60), "now": {"register_m3": 2.0}}
    ]
    assert plant.store.tallies() == before, "nothing changes until it is adopted"
    assert plant.registers() == [("m1", 1.0)]
    assert plant.run(ADOPT_REPLAY)["became"] == {"stored": 1}
    messages, readings = plant.sums()
    assert (messages.received, messages.decoded, messages.undecodable) == (3, 3, 0)
    assert (readings.decoded, readings.stored, readings.quarantined) == (3, 2, 1)
    assert plant.registers() == [("m1", 2.0), ("m1", 1.0)]
    (row,) = plant.store.page_refused().rows
    assert (row["reason"], row["address"]) == ("unknown_meter", "m3")


@pytest.mark.embedded
def test_adopting_twice_counts_once(plant, mended):
    plant.send(*(ours("m1", n, n, "late") for n in range(20)), ours("m3", 3, 2, "late"))
    plant.load()
    mended()
    plant.run(ADOPT_REPLAY)
    after = plant.store.tallies()
    said = plant.run(ADOPT_REPLAY)
    assert said["messages"]["newly_decoded"] == 0
    assert {t: n for t, n in plant.store.tallies().items() if n} == {
        t: n for t, n in after.items() if n
    }
    assert len(plant.store.page_refused().rows) == 1


def test_another_value_becomes_a_conflict_and_the_first_stays(plant, mended):
    mended()
    plant.send(ours("m1", 1, dialect="late"), ours("m2", 7, dialect="late"))
    plant.load()
    mended(lambda decoded: decoded._replace(register_m3=10 * decoded.register_m3))
    said = plant.run()
    assert said["readings"]["changed"] == 2
    assert said["sample"]["changed"][0] == {
        "meter_id": "m1", "at": iso(NOW),
        "stored": {"register_m3": 1.0}, "now": {"register_m3": 10.0},
    }  # fmt: skip
    assert plant.run(ADOPT_REPLAY)["became"] == {"conflict": 2}
    assert plant.registers() == [("m1", 1.0), ("m2", 7.0)]
    _, readings = plant.sums()
    assert (readings.decoded, readings.stored, readings.conflict) == (4, 2, 2)
    again = plant.run(ADOPT_REPLAY)
    assert (again["readings"]["changed"], again["readings"]["known_conflict"]) == (0, 2)
    assert plant.sums()[1].conflict == 2


@pytest.mark.embedded
def test_a_quantity_more_completes_a_reading(plant, mended):
    mended()
    plant.send(ours("m1", 1, dialect="late"))
    plant.load()
    mended(lambda decoded: decoded._replace(pressure_mpa=0.3))
    assert plant.run()["readings"]["completed"] == 1
    assert plant.run(ADOPT_REPLAY)["became"] == {"stored": 1}
    assert plant.run()["readings"]["unchanged"] == 1


@pytest.mark.embedded
def test_a_bit_of_quality_completes_a_reading_but_that_of_a_file_does_not(plant, mended):
    mended()
    plant.send(ours("m1", 1, dialect="late"))
    plant.load()
    for quality, change in ((Quality.HISTORY, "unchanged"), (Quality.LOW_BATTERY, "completed")):
        mended(lambda decoded, quality=quality: decoded._replace(quality=int(quality)))
        assert plant.run()["readings"][change] == 1
    plant.run(ADOPT_REPLAY)
    assert plant.run()["readings"]["unchanged"] == 1


@pytest.mark.embedded
def test_a_message_that_was_nobodys_keeps_its_name_and_its_readings_are_its_suppliers(plant):
    plant.send(
        ours("m1", 1), nobodys("s1", 5, supplier="south"), nobodys("s9", 6, supplier="south")
    )
    plant.load()
    plant.rules = rules("north", "south")
    assert plant.run(supplier="south", undecodable=True)["messages"]["newly_decoded"] == 2
    plant.run(ADOPT_REPLAY, undecodable=True)
    messages, readings = plant.sums("?")
    assert (messages.received, messages.decoded, messages.undecodable) == (2, 2, 0)
    assert readings is None
    messages, readings = plant.sums("south")
    assert messages is None
    assert (readings.decoded, readings.stored, readings.quarantined) == (2, 1, 1)
    assert plant.registers("s1") == [("s1", 5.0)]


@pytest.mark.embedded
def test_a_refused_reading_of_nobodys_message_is_run_again_like_any_other(plant):
    plant.send(nobodys("s1", 5, supplier="south"))
    plant.load()
    plant.rules = rules("south", without={"s1"})
    plant.run(ADOPT_REPLAY)
    assert plant.sums("south")[1].quarantined == 1
    today = rules("south")
    assert rerun_quarantine({}, "ingest", plant.reader, plant.store, today).passed == 1
    assert plant.sums("south")[1].stored == 1


@pytest.mark.embedded
def test_a_reading_that_passes_by_now_leaves_quarantine(plant):
    plant.rules = rules("north", without={"m2"})
    plant.send(ours("m1", 1), ours("m2", 2), ours("m9", 3))
    plant.load()
    plant.rules = rules("north")
    said = plant.run()
    assert (said["readings"]["new"], said["from_quarantine"]) == (1, 1)
    plant.run(ADOPT_REPLAY)
    _, readings = plant.sums()
    assert (readings.decoded, readings.stored, readings.quarantined) == (3, 2, 1)
    assert [row["address"] for row in plant.store.page_refused().rows] == ["m9"]


def many(*readings):
    """A message of the dialect "late" with these readings: meter, minutes ago, register."""
    written = ",".join(
        f'{{"meter":"{meter}","at":{NOW - 60 * minutes},"register_m3":{register}}}'
        for meter, minutes, register in readings
    )
    return "north", "water/v1/north/late/-/reading", f"[{written}]".encode()


@pytest.mark.embedded
@pytest.mark.parametrize("way", ["rerun", "replay"])
def test_a_reading_leaves_quarantine_though_a_mended_decoder_numbers_it_otherwise(
    plant, monkeypatch, way
):
    decode = DIALECTS["jieshui"]
    monkeypatch.setitem(DIALECTS, "late", lambda *about: decode(*about)[1:])
    plant.rules = rules("north", without={"m2"})
    plant.send(many(("m1", 2, 1), ("m1", 1, 2), ("m2", 1, 9)))
    plant.load()
    assert plant.store.page_refused().rows[0]["part"] == 1
    plant.rules = rules("north")
    monkeypatch.setitem(DIALECTS, "late", decode)
    if way == "rerun":
        said = rerun_quarantine({}, "ingest", plant.reader, plant.store, plant.rules).describe()
        assert said == {"passed": 1, "refused": 0, "unmatched": 0, "gone": 0, "stored": 1}
    else:
        said = plant.run(ADOPT_REPLAY)
        assert (said["from_quarantine"], said["unmatched"]) == (1, 0)
        assert said["became"] == {"stored": 2}
    assert ("m2", 9.0) in plant.registers()
    assert not plant.store.page_refused().rows
    plant.run(ADOPT_REPLAY)
    _, readings = plant.sums()
    assert (readings.decoded, readings.stored, readings.quarantined) == (3, 3, 0)


@pytest.mark.embedded
def test_a_row_whose_reading_is_given_no_more_stays_and_is_said(plant, monkeypatch):
    decode = DIALECTS["jieshui"]
    monkeypatch.setitem(DIALECTS, "late", decode)
    plant.rules = rules("north", without={"m2"})
    plant.send(many(("m1", 2, 1), ("m2", 1, 9), ("m1", 1, 2)))
    plant.load()
    plant.rules = rules("north")
    monkeypatch.setitem(DIALECTS, "late", lambda *about: [d for d in decode(*about)
                                                          if d.address != "m2"])  # fmt: skip
    rerun = rerun_quarantine({}, "ingest", plant.reader, plant.store, plant.rules)
    assert rerun.describe() == {"passed": 0, "refused": 0, "unmatched": 1, "gone": 0}
    said = plant.run(ADOPT_REPLAY)
    assert (said["from_quarantine"], said["unmatched"]) == (0, 1)
    assert [row["address"] for row in plant.store.page_refused().rows] == ["m2"]
    _, readings = plant.sums()
    assert (readings.decoded, readings.stored, readings.quarantined) == (3, 2, 1)


@pytest.mark.embedded
def test_what_is_no_longer_decoded_is_said_and_stays(plant):
    plant.send(ours("m1", 1), ours("m2", 2))
    plant.load()
    plant.rules = rules()
    said = plant.run(ADOPT_REPLAY)
    assert said["messages"]["no_longer_decoded"] == 2
    shown = said["sample"]["gone"][0]
    assert shown["topic"] == ours("m1", 1)[1]
    assert shown["counts_as"] == "undecodable/unknown_supplier"
    assert said["gone"] == [
        {"supplier": "north", "now": "undecodable/unknown_supplier", "messages": 2}
    ]
    assert plant.sums()[0].decoded == 2
    assert len(plant.registers()) == 2


@pytest.mark.embedded
def test_the_newest_few_messages_that_stay_undecodable_are_shown_with_what_fails(plant):
    topic = ours("m1", 1)[1]
    plant.send(*(("north", topic, b'{"at":%d}' % n) for n in range(20)))
    plant.send(ours("m1", 1), ("north", topic, "表\x00\n{".encode() + b"\xff" * 500))
    plant.send(("north", "water/v1/north/jieshui/m1/nonsense", b"?"))
    plant.load()
    said = plant.run(undecodable=True)
    assert said["messages"]["undecodable"] == 22
    elsewhere = [row for row in said["sample"]["undecodable"] if row["payload"] == "?"]
    assert "nonsense" in elsewhere[0]["detail"]
    malformed = [row for row in said["sample"]["undecodable"] if row["payload"][0] == "表"]
    assert len(malformed[0]["payload"]) == 120
    assert malformed[0]["payload"].startswith("表\\x00\\n{\\xff")
    others = [row for row in said["sample"]["undecodable"] if row["payload"].startswith("{")]
    assert [row["payload"] for row in others] == ['{"at":19}', '{"at":18}', '{"at":17}']
    assert others[0] | {"detail": ""} == {
        "supplier": "north", "topic": topic, "received_at": iso(NOW + 19),
        "payload": '{"at":19}', "counts_as": "undecodable/no_quantity", "detail": "",
    }  # fmt: skip


def test_a_message_that_gives_another_instant_today_is_said_to_give_its_old_reading_no_more(
    plant, mended
):
    mended()
    plant.rules = rules("north", without={"m2"})
    plant.send(ours("m1", 1, 0, "late"), ours("m1", 2, 5), ours("m2", 3), ours("m1", 4, 9, "new"))
    plant.load()
    mended(lambda decoded: decoded._replace(at=decoded.at - 7200))
    plant.rules = rules("north")
    said = plant.run()
    assert (said["readings"]["new"], said["from_quarantine"]) == (2, 1)
    assert said["gone"] == [{"supplier": "north", "now": "decoded", "messages": 1}]
    plant.run(ADOPT_REPLAY)
    assert plant.registers("m1") == [("m1", 1.0), ("m1", 2.0), ("m1", 1.0)]
    assert plant.run()["gone"] == []


@pytest.mark.embedded
def test_only_the_window_and_the_supplier_are_replayed(plant, mended):
    plant.send(*(ours("m1", n, n, "late") for n in range(30)))
    plant.send(ours("m2", 1), at=NOW + 20)
    plant.load()
    mended()
    said = plant.run(start=NOW + 5, end=NOW + 10)
    assert said["messages"]["read"] == 5
    assert "kept_from" not in said
    assert plant.run(supplier="south")["messages"]["read"] == 0
    assert plant.run(undecodable=True)["messages"]["read"] == 30
    plant.run(ADOPT_REPLAY, start=NOW + 5, end=NOW + 10)
    messages, _ = plant.sums()
    assert (messages.decoded, messages.undecodable) == (6, 25)


@pytest.mark.embedded
def test_a_reading_that_came_twice_is_new_once(plant, mended):
    plant.send(*[ours("m1", 1, 0, "late")] * 40)
    plant.load()
    mended()
    said = plant.run()
    assert (said["readings"]["new"], said["readings"]["unchanged"]) == (1, 39)
    assert plant.run(ADOPT_REPLAY)["became"] == {"stored": 1, "duplicate": 39}


@pytest.mark.embedded
def test_a_replay_reads_compressed_segments_and_says_from_when_messages_are_kept(plant, mended):
    plant.send(*(ours("m1", n, n, "late") for n in range(30)))
    plant.load()
    while plant.journal.compress_loaded(plant.loader.position, -1):
        pass
    segment_path(plant.folder, 1).with_suffix(".journal.zst").unlink()
    mended()
    said = plant.run(ADOPT_REPLAY)
    gone = 30 - said["messages"]["newly_decoded"]
    assert 0 < gone < 30
    assert said["kept_from"] == iso(NOW + gone)
    assert len(list_segments(plant.folder)) > 1
    assert plant.sums()[0].undecodable == gone


@pytest.mark.embedded
def test_a_young_journal_that_dropped_nothing_does_not_say_from_when_messages_are_kept(plant):
    plant.send(ours("m1", 1))
    plant.load()
    said = plant.run(start=NOW - 86_400)
    assert said["messages"]["read"] == 1
    assert "kept_from" not in said


class Crash(BaseException):
    """The process ends here."""


class Failing(WrappedStore):
    """The store; the load numbered `at` fails: before it, in it, or after it was kept."""

    def __init__(self, store, at, when, error):
        super().__init__(store)
        self.left, self.when, self.error = at, when, error

    @contextmanager
    def wrap(self, load):
        self.left -= 1
        failing = self.left == 0
        if failing and self.when == "before":
            raise self.error("away")
        with load() as load:
            yield load
            if failing and self.when == "within":
                raise self.error("away")
        if failing and self.when == "after":
            raise self.error("away")


@pytest.mark.parametrize("when", ["before", "within", "after"])
@pytest.mark.parametrize("error", [Crash, OSError], ids=["crash", "outage"])
@pytest.mark.embedded
def test_an_adoption_that_breaks_off_goes_on_and_counts_once(plant, mended, when, error):
    adopt_and_break_off(plant, mended, when, error)


def test_an_adoption_whose_process_dies_within_a_load_counts_once(plant, mended):
    adopt_and_break_off(plant, mended, "within", Crash)


def adopt_and_break_off(plant, mended, when, error):
    plant.rules = rules("north", without={"m2"})
    plant.send(
        *(ours(("m1", "m2")[n % 2], n, n, ("late", "jieshui")[n % 3 == 0]) for n in range(60))
    )
    plant.load()
    plant.rules = rules("north")
    mended()
    sink = Failing(plant.store, 2, when, error)
    replay = plant.begin(ADOPT_REPLAY, sink=sink, job=77)
    more = True
    while more:
        try:
            more = replay.step(plant.rules)
        except Crash:
            replay = plant.begin(ADOPT_REPLAY, job=77)
        except OSError:
            continue
    assert sink.left <= 0
    assert replay.describe().get("resumed", False) == (error is Crash)
    messages, readings = plant.sums()
    assert (messages.decoded, messages.undecodable) == (60, 0)
    assert (readings.decoded, readings.stored, readings.quarantined) == (60, 60, 0)
    assert len(plant.registers()) == 60
    assert plant.run()["messages"]["newly_decoded"] == 0


@pytest.mark.embedded
def test_an_adoption_goes_on_with_nothing_of_another_that_had_its_id_before_a_restore(
    plant, mended
):
    plant.send(ours("m1", 1, 1, "late"), ours("m2", 2, 2, "late"))
    plant.load()
    mended()
    assert plant.run(ADOPT_REPLAY, job=5, mark="a")["became"] == {"stored": 2}
    assert plant.run(ADOPT_REPLAY, job=5, mark="a")["resumed"]
    assert "resumed" not in plant.run(ADOPT_REPLAY, job=5, mark="b")


@pytest.mark.embedded
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_meter_change_of_nobodys_is_handed_over_under_the_mark_of_its_replay(plant, when):
    change = b'{"event":"meter_change","at":%d,"old_final_m3":9,"new_initial_m3":0}' % NOW
    topic = "water/v1/{}/jieshui/{}/event"
    plant.send(
        ("?", topic.format("south", "s1"), change),
        ("north", topic.format("north", "m1"), change),
    )
    plant.load()
    plant.rules = rules("north", "south")
    events = Events()
    sink = Failing(plant.store, 1, when, OSError)
    replay, more = plant.begin(ADOPT_REPLAY, sink=sink, events=events, job=5), True
    while more:
        with suppress(OSError):
            more = replay.step(plant.rules)
    assert {(mark, event.meter_id, event.entry) for mark, event in events} == {
        ("replay/5/ingest", "s1", 1)
    }
    messages, _ = plant.sums("?")
    assert (messages.set_aside, messages.undecodable) == (1, 0)


class Events(list):
    """Where meter changes go, with the name under which they came."""

    def take(self, journal, events):
        self.extend((journal, event) for event in events)


@pytest.mark.embedded
def test_live_messages_are_loaded_between_the_pages_of_a_replay(plant, mended):
    plant.send(*(ours("m1", n, n, "late") for n in range(60)))
    plant.load()
    mended()
    replay, pages = plant.begin(ADOPT_REPLAY), 0
    while replay.step(plant.rules):
        pages += 1
        plant.send(ours("m2", pages, pages), at=NOW + 100)
        plant.load()
    assert pages > 3
    messages, readings = plant.sums()
    assert (messages.decoded, readings.stored) == (60 + pages, 60 + pages)


@pytest.mark.embedded
def test_what_a_replay_moves_is_what_the_loader_would_have_counted(plant, mended):
    mixed = [
        ours("m1", 1, 1, "late"), ours("m1", 1, 1, "late"), ours("m1", 2, 1, "late"),
        ours("m9", 3, 2, "late"), ("north", "water/v1/north/late/m1/reading", b"{"),
        ("north", "water/v1/north/late/m1/reading", b'[{"at":1}]'), ours("m2", -5, 3, "late"),
    ]  # fmt: skip
    plant.send(*mixed)
    plant.load()
    mended()
    plant.run(ADOPT_REPLAY)
    replayed = {t: n for t, n in plant.store.tallies().items() if n}
    # The same messages again, as the loader counts them by today's rules: all repeats.
    plant.send(*mixed, at=NOW + 50)
    plant.load()
    loaded = {t: n - replayed.get(t, 0) for t, n in plant.store.tallies().items() if n}
    assert Tally("north", "messages", "undecodable", "unknown_dialect") not in replayed
    for tally, count in replayed.items():
        if tally.ledger == "messages" or tally.account in {"decoded", "quarantined"}:
            assert count == loaded[tally], tally
    assert plant.sums()[1].quarantined == 2 * sum(
        n for t, n in replayed.items() if t.account == "quarantined"
    )


@pytest.mark.embedded
def test_a_known_conflict_that_brings_a_quantity_more_is_loaded_once(plant, mended):
    mended()
    plant.send(ours("m1", 1, dialect="late"), ours("m1", 2, dialect="late"))
    plant.load()
    mended(lambda d: d._replace(pressure_mpa=0.3 if d.register_m3 == 2 else None))
    assert plant.run()["readings"]["changed"] == 1
    assert plant.run(ADOPT_REPLAY)["became"] == {"conflict": 1}
    assert plant.run()["readings"]["known_conflict"] == 1


SENT = st.lists(
    st.tuples(
        st.sampled_from(["m1", "m2", "m9"]),
        st.integers(0, 4),
        st.sampled_from(["jieshui", "late", "unheard-of"]),
        st.booleans(),
    ),
    max_size=40,
)


def write(meter, minutes, dialect, whole):
    supplier, topic, payload = ours(meter, minutes, minutes, dialect)
    return supplier, topic, payload if whole else payload[:-3]


@pytest.mark.embedded
@given(sent=SENT, known=st.booleans(), strangers=st.sets(st.sampled_from(["m1", "m2"])),
       dies=st.integers(1, 9), when=st.sampled_from(["before", "within", "after"]))  # fmt: skip
@settings(max_examples=10, deadline=None, derandomize=True, database=None)
def test_an_adopted_window_counts_as_if_today_had_always_been(sent, known, strangers, dies, when):
    ours_decoder = {"late": DIALECTS["jieshui"]}
    messages = [write(*one) for one in sent]
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        then, ever = (stack.enter_context(made()) for _ in range(2))
        then.send(*messages)
        ever.send(*messages)
        then.rules = rules("north", without=strangers)
        if known:
            patch.setattr("ingest.messages.DIALECTS", {**DIALECTS, **ours_decoder})
        then.load()
        patch.setattr("ingest.messages.DIALECTS", {**DIALECTS, **ours_decoder})
        ever.load()
        then.rules = ever.rules
        replay = then.begin(ADOPT_REPLAY, sink=Failing(then.store, dies, when, Crash), job=1)
        more = True
        while more:
            try:
                more = replay.step(then.rules)
            except Crash:
                replay = then.begin(ADOPT_REPLAY, job=1)
        assert counts_of(then) == counts_of(ever)
        assert then.registers() == ever.registers()


def counts_of(plant):
    plant.sums()
    return {tally: count for tally, count in plant.store.tallies().items() if count}


@contextmanager
def made():
    with TemporaryDirectory() as folder:
        city = CityTime(ZoneInfo("Asia/Shanghai"))
        store = open_readings(Path(folder) / "store", city, SystemClock())
        plant = Plant(Path(folder) / "journal", store)
        yield plant
        plant.journal.close()
        store.close()
