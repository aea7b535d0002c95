"""The short way of a plain message says the same of it as the long way."""

import json
from collections import deque

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.agreements import Agreements
from ingest.batch import Batch, Rules
from ingest.checks import make_directory
from ingest.journal import OVERSIZE, REPEATED, RETAINED, Entry
from ingest.signatures import Signing
from ingest.topics import NOBODY
from water.meters import KnownMeter
from water.policy import Policy
from water.refusals import SetAside, Undecodable

NOW = 1_767_200_000
TOPIC = "water/v1/north/jieshui/m1/reading"
POLICY = Policy()


def meter(name, supplier="north", modulus=None, begins=None, ends=None):
    return KnownMeter(name, supplier, modulus, None, begins, ends)


DIRECTORY = make_directory(
    1,
    frozenset({"north", "south"}),
    {
        ("north", "senml", "s1"): meter("m1"),
        ("north", "jieshui", "dial"): meter("m2", modulus=1000.0),
        ("north", "jieshui", "huge"): meter("m3", modulus=1e13),
        ("north", "jieshui", "served"): meter("m4", begins=NOW - 100, ends=NOW - 50),
        ("north", "jieshui", "x" * 130): meter("m5"),
        ("south", "jieshui", "theirs"): meter("m6", "south"),
        ("north", "jieshui", "lent"): meter("m6", "south"),
    },
)
RULES = Rules((), POLICY, DIRECTORY)
NUMBERS = st.one_of(
    st.none(), st.floats(), st.integers(), st.integers(-(10**400), 10**400), st.text(max_size=6),
    st.booleans(), st.sampled_from(["1.5", "nan", {"v": 1}, [1], 1e308, -0.0]),
)  # fmt: skip
INSTANTS = st.one_of(
    st.sampled_from(
        ["2026-01-01T00:15:00+08:00", "2026-01-01T00:15:00Z", "2026-01-01T00:15:00", "20260101",
         "1767197700", "never", "", None, True, 1767197700, 1767197700900, 1767197700.9]
    ),
    NUMBERS,
)  # fmt: skip
FIELDS = {
    "at": INSTANTS,
    "register_m3": NUMBERS,
    "flow_m3_h": NUMBERS,
    "pressure_mpa": NUMBERS,
    "level_m": NUMBERS,
    "meter": st.one_of(
        st.sampled_from(["m1", "dial", "theirs"]),
        st.text(max_size=130),
        st.integers(),
        st.none(),
        st.just("表" * 130),
    ),
    "simulated": st.sampled_from([True, False, None, "yes", 1]),
    "other": NUMBERS,
}
PLAIN = {
    "at": st.sampled_from(["2026-01-01T00:15:00+08:00", "2026-01-01T00:15:00Z"]),
    "register_m3": st.floats(allow_nan=False, allow_infinity=False),
    "flow_m3_h": st.integers(-100, 100),
}
READINGS = st.one_of(
    st.fixed_dictionaries({}, optional=FIELDS),
    st.builds(
        lambda plain, odd: plain | odd,
        st.fixed_dictionaries(PLAIN),
        st.fixed_dictionaries({}, optional=FIELDS),
    ),
    st.fixed_dictionaries(PLAIN),
)
LISTS = st.lists(READINGS, max_size=4)
MESSAGES = st.one_of(
    READINGS,
    LISTS,
    st.builds(lambda fields, readings: {**fields, "readings": readings}, READINGS,
              st.one_of(LISTS, st.none(), st.integers())),
)  # fmt: skip


TOPICS = st.sampled_from(
    [f"water/v1/north/jieshui/{rest}"
     for rest in ("m1/reading", "-/reading", "dial/reading", "m1/status", "m1", "/reading")]
    + ["water/v1/south/jieshui/m1/reading", "water/v1/north/senml/m1/reading", "elsewhere/reading"]
)  # fmt: skip


def make_entry(payload, topic="water/v1/north/jieshui/m1/reading", supplier="north", flags=0):
    return Entry(1, 0, 90, 1, 1, supplier, topic, payload, NOW * 1000, flags)


def judge(take, entry):
    """All that a batch says of one message."""
    batch = Batch(RULES)
    take(batch, entry)
    judgements = [(*one[:3], list(one.refused), one.reason) for one in batch.judgements]
    return repr((batch.readings, batch.refused, judgements, batch.settle(None), batch.undecoded))


def by_either_way(entry):
    def take(batch, entry):
        batch.take(deque([entry]))

    return judge(take, entry), judge(Batch._take_long_way, entry)


@given(MESSAGES, st.sampled_from(["", " ", "\n\t"]), st.integers(0, 60), st.integers(0, 30), TOPICS)
@example([], "", 0, 0, TOPIC)
@example({"readings": [], "simulated": True}, "", 0, 0, TOPIC)
@example({"readings": [{"at": 1, "register_m3": 1}], "simulated": True}, "", 0, 0, TOPIC)
@example({"readings": None, "at": "2026-01-01T00:15:00Z", "level_m": 1}, "", 0, 0, TOPIC)
@example([{"at": "2026-01-01T00:15:00Z", "register_m3": float("nan")}], "", 0, 0, TOPIC)
@example([{"at": "2026-01-01T00:15:00Z", "register_m3": "\ud800"}], "", 0, 0, TOPIC)
def test_the_short_way_and_the_long_way_agree(message, before, at, cut, topic):
    payload = (before + json.dumps(message)).encode()
    for sent in (payload, payload[:at] + payload[at + cut :]):
        short, long = by_either_way(make_entry(sent, topic))
        assert short == long


def reading(quantity="register_m3", value=1.0, at=NOW, meter="m1"):
    return json.dumps({"at": at, quantity: value, "meter": meter}).encode()


EDGES = {
    "one second too far ahead": reading(at=NOW + POLICY.future_tolerance_s + 1),
    "as far ahead as may be": reading(at=NOW + POLICY.future_tolerance_s),
    "one second too old": reading(at=NOW - POLICY.oldest_days * 86_400 - 1),
    "as old as may be": reading(at=NOW - POLICY.oldest_days * 86_400),
    "milliseconds": reading(at=NOW * 1000 + 999),
    "the end of the dial": reading(value=1000.0, meter="dial"),
    "just before it": reading(value=999.999, meter="dial"),
    "a dial beyond all registers": reading(value=2e12, meter="huge"),
    "the highest register": reading(value=1e12),
    "one beyond": reading(value=1000000000000.001),
    "negative": reading(value=-0.001),
    "minus nothing": reading(value=-0.0),
    "the fastest flow": reading("flow_m3_h", -1e6),
    "a faster one": reading("flow_m3_h", -1000000.1),
    "the highest pressure": reading("pressure_mpa", 10),
    "a higher one": reading("pressure_mpa", 10.01),
    "the lowest level": reading("level_m", -100),
    "a lower one": reading("level_m", -100.5),
    "before its service": reading(at=NOW - 101, meter="served"),
    "its first second": reading(at=NOW - 100, meter="served"),
    "its last second": reading(at=NOW - 50, meter="served"),
    "after its service": reading(at=NOW - 49, meter="served"),
    "another supplier's meter": reading(meter="theirs"),
    "our device, another's meter": reading(meter="lent"),
    "an unknown meter": reading(meter="m9"),
    "an address that is cut": reading(meter="x" * 130),
    "simulated": b'{"at":%d,"register_m3":1,"simulated":true}' % NOW,
    "one of two simulated": b'[%b,{"at":%d,"register_m3":1,"simulated":true}]' % (reading(), NOW),
    "a simulated list": b'{"readings":[%b],"simulated":true}' % reading(),
    "a quantity beside readings": b'{"level_m":0,"readings":[%b]}' % reading(),
    "an instant beside readings": b'{"at":1,"readings":[%b]}' % reading(),
    "no quantity": b'{"at":%d}' % NOW,
    "one of two refused": b"[" + reading() + b"," + reading(value=-1) + b"]",
}


@pytest.mark.parametrize("payload", EDGES.values(), ids=EDGES)
def test_at_the_edges_of_what_is_accepted_both_ways_agree(payload):
    short, long = by_either_way(make_entry(payload))
    assert short == long


@pytest.mark.parametrize("flags", [RETAINED, OVERSIZE, REPEATED])
@pytest.mark.parametrize("supplier", ["north", "south", NOBODY])
def test_what_stands_on_the_envelope_counts_on_both_ways(flags, supplier):
    short, long = by_either_way(make_entry(reading(), flags=flags, supplier=supplier))
    assert short == long


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b'{"at":"2026-01-01T00:15:00+08:00","register_m3":1,"register_m3":"2"}',
        b'{"at":"2026-01-01T00:15:00+08:00","register_m3":"1","register_m3":2}',
        b'{"at":"2026-01-01T00:15:00+08:00","register_m3":1}{}',
        b'{"at":"2026-01-01T00:15:00+08:00","register_m3":1e999}',
        b'{"at":"2026-01-01T00:15:00+08:00","register_m3":' + b"9" * 5_000 + b"}",
        b'{"at":"2026-01-01T00:15:00+08:00","register_m3":1,"x":"\xff"}',
        b'{"at":"2026-01-01T00:15:00+08:00","register_m3":1,"x":' + b"[" * 5_000,
        b'[{"at":"2026-01-01T00:15:00+08:00","register_m3":1},[]]',
        b'{"at":1767197700.0,"register_m3":1}',
        b'{"at":1767197700.5,"register_m3":1}',
        b'{"at":' + b"9" * 400 + b',"register_m3":1}',
        b"\xef\xbb\xbf{}",
    ],
)  # fmt: skip
def test_payloads_that_no_encoder_writes_are_the_same_on_either_way(payload):
    short, long = by_either_way(make_entry(payload))
    assert short == long


def test_a_plain_message_goes_the_short_way():
    one = b'{"at":"2026-01-01T00:15:00+08:00","register_m3":123,"simulated":false}'
    two = b'{"at":1767197700,"flow_m3_h":1.5,"meter":"dial"}'
    for payload in (one, two, b"[" + one + b"," + two + b"]", b'{"readings":[' + one + b"]}"):
        assert RULES.plain_way.judge("north", TOPIC, payload, NOW, [])


def test_what_goes_the_long_way_leaves_nothing_behind():
    good, bad = b'{"at":1767197700,"register_m3":1}', b'{"at":1767197700,"register_m3":-1}'
    before = [object()]
    for payload in (b"[" + good + b"," + bad + b"]", b"[" + good + b"," + b"5]", b"[]"):
        into = [*before]
        assert not RULES.plain_way.judge("north", TOPIC, payload, NOW, into)
        assert into == before


@pytest.mark.parametrize(
    "agreements",
    [
        Agreements(signatures={"north": Signing((b"k" * 32,))}),
        Agreements(form=lambda *_: SetAside.EMPTY),
    ],
    ids=["signed", "of another form"],
)
def test_who_has_agreed_on_another_way_goes_no_short_one(agreements):
    rules = Rules((), POLICY, DIRECTORY, agreements)
    batch = Batch(rules)
    batch.take(deque([make_entry(reading())]))
    assert not batch.readings
    assert batch.judgement(0).reason in {Undecodable.UNSIGNED, SetAside.EMPTY}


def test_more_topics_than_are_remembered_are_judged_all_the_same(monkeypatch):
    monkeypatch.setattr("ingest.plain._TOPICS", 2)
    rules = Rules((), POLICY, DIRECTORY)
    for meter in ("m1", "dial", "served", "m1", "lent", "dial"):
        topic = f"water/v1/north/jieshui/{meter}/reading"
        payload = b'{"at":%d,"register_m3":1}' % (NOW - 60)
        judged = rules.plain_way.judge("north", topic, payload, NOW, [])
        assert judged == (meter != "lent")
