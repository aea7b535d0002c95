"""Whatever text a supplier sends, loading goes on and says why: over every kind of store."""

import json
import threading
from contextlib import contextmanager
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wrapped_store import WrappedStore

from ingest.agreements import Agreements
from ingest.batch import Rules
from ingest.checks import make_directory
from ingest.decoders.tasmota import Counters, make_decoder
from ingest.journal import JournalReader, Message, open_journal
from ingest.loader import Loader
from ingest.settings import Limits
from water.accounting import sum_messages, sum_readings
from water.loading import Refused, Tally
from water.meters import KnownMeter
from water.policy import Policy

NOW = 1_767_200_000
METER = KnownMeter("m1", "north", None, None, None, None)
DIRECTORY = make_directory(
    1,
    frozenset({"north", "south"}),
    {("south", "jieshui", "m1"): METER._replace(supplier_id="south")},
)
TASMOTA = make_decoder(Counters(ZoneInfo("Asia/Shanghai"), {}))
RULES = Rules((), Policy(), DIRECTORY, Agreements(decoders={("north", "tasmota"): TASMOTA}))

texts = st.text(st.characters(), max_size=40) | st.sampled_from(
    ["\ud800", "a\0b", "\udfff水表", "x" * 10_000, "表\ud83d" * 5_000]
)
"""`characters()` gives halves of surrogate pairs too."""


def messages(text):
    """The text as address, as instant and as value, in three dialects, and as a whole payload."""
    escaped = json.dumps(text)
    for rest, payload in (
        ("senml/x", f'[{{"n":{escaped},"u":"m3","t":{NOW},"v":1}}]'),
        ("senml/x", f'[{{"n":"a","u":"m3","t":{escaped},"v":{escaped}}}]'),
        ("jieshui/m1/reading", f'{{"at":{escaped},"register_m3":1}}'),
        ("jieshui/m1/reading", f'{{"at":{NOW},"meter":{escaped},"register_m3":{escaped}}}'),
        ("jieshui/m1/event", f'{{"event":"meter_change","at":{escaped},"reason":{escaped}}}'),
        ("tasmota/tele/d/SENSOR", f'{{"Time":{escaped},"COUNTER":{{{escaped}:{escaped}}}}}'),
        ("jieshui/m1/reading", text),
    ):
        yield Message(
            "north", f"water/v1/north/{rest}", payload.encode(errors="replace"), NOW * 1000
        )


def good(number):
    payload = b'{"at":%d,"register_m3":%d}' % (NOW - number, number)
    return Message("south", "water/v1/south/jieshui/m1/reading", payload, NOW * 1000)


class Line:
    """A journal and its loader."""

    def __init__(self, folder, sink):
        self.sink, self.sent = sink, 0
        self.journal = open_journal(folder, 1 << 22)
        reader = JournalReader(folder, self.journal.marker, self.journal.committed)
        self.loader = Loader(
            "ingest", reader, self.journal.received, sink, lambda: RULES, Limits(), lambda *_: None
        )

    def pass_on(self, *sent):
        """Load messages between two good ones: all of it within a few seconds, or it hangs."""
        self.journal.append([good(self.sent), *sent, good(self.sent + 1)])
        self.sent += 2
        stop = threading.Event()
        giving_up = threading.Timer(20, stop.set)
        giving_up.start()
        while self.loader.load_next(stop):
            pass
        giving_up.cancel()
        assert self.loader.position.entry == self.journal.committed().entry
        tallies = self.sink.tallies()
        assert tallies[Tally("south", "readings", "stored")] == self.sent
        assert all(one.balanced for one in sum_messages(tallies).values())
        assert all(one.balanced for one in sum_readings(tallies).values())
        return tallies


@pytest.fixture
def line(store, tmp_path):
    made = Line(tmp_path / "journal", store)
    yield made
    made.journal.close()


def test_no_text_stops_the_loading_or_is_blamed_on_the_store(line):
    @given(texts)
    @settings(
        max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    def pass_any(text):
        tallies = line.pass_on(*messages(text))
        assert Tally("north", "readings", "quarantined", "store_refused") not in tallies

    pass_any()


@given(texts, texts, st.none() | st.integers())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_refused_row_is_kept(store, address, detail, at):
    row = Refused("north", "unknown_meter", detail, "senml", address, at, NOW, 0, 0, 0)
    before = store.quarantine_depth().get("north", 0)
    with store.load() as load:
        load.add_refused([row])
    assert store.quarantine_depth()["north"] == before + 1
    kept = store.page_refused(limit=1).rows[0]
    assert len(kept["address"]) == len(address)


class Unwilling(WrappedStore):
    """The real store, but for messages of the north: it takes neither their readings nor rows."""

    @contextmanager
    def wrap(self, load):
        with load() as load:
            load.add_refused = self._refuse
            yield load

    def _refuse(self, rows):
        raise UnicodeEncodeError("utf-8", rows[0].address, 0, 1, "whatever")


@pytest.mark.embedded
def test_a_message_of_which_the_store_takes_no_row_is_counted_and_passed(store, tmp_path):
    line = Line(tmp_path / "journal", Unwilling(store))
    sent = b'[{"n":"a","u":"m3","t":%d,"v":1}]' % NOW
    tallies = line.pass_on(Message("north", "water/v1/north/senml/x", sent, NOW * 1000))
    assert tallies[Tally("north", "readings", "quarantined", "store_refused")] == 1
    assert store.quarantine_depth() == line.loader.quota.held == {}
    line.journal.close()
