import random
from collections import Counter, deque

import pytest

from ingest.accounting import count_journal, find_loaded
from ingest.batch import Batch, Rules
from ingest.checks import make_directory
from ingest.journal import OVERSIZE, RETAINED, Entry
from ingest.quota import Quota
from ingest.settings import Limits, Source
from ingest.topics import NOBODY, attribute
from water.accounting import MessageSum, sum_messages, sum_readings
from water.loading import Outcome, Tally
from water.meters import KnownMeter
from water.policy import Policy
from water.refusals import Refusal, SetAside, Undecodable

NOW = 1_767_200_000
DIRECTORY = make_directory(
    1,
    frozenset({"north", "south"}),
    {("north", "jieshui", "m1"): KnownMeter("m1", "north", None, None, None, None)},
)
SOURCES = (Source("spbv/+/up", "wmbusmeters", "south"),)
RULES = Rules(SOURCES, Policy(), DIRECTORY)
GOOD = b'{"at":%d,"register_m3":1}' % NOW
NEGATIVE = b'{"at":%d,"register_m3":-1}' % NOW


def entry(number, topic="water/v1/north/jieshui/m1/reading", payload=GOOD, flags=0):
    supplier = attribute(topic, SOURCES, DIRECTORY.suppliers)
    return Entry(1, number * 100, number * 100 + 90, number, number, supplier, topic, payload,
                 NOW * 1000, flags)  # fmt: skip


def judge(*entries):
    batch = Batch(RULES)
    batch.take(deque(entries))
    return batch


ENDS = [
    ("no topic of ours", {"topic": "home/sensor"}, NOBODY, "undecodable",
     Undecodable.UNKNOWN_TOPIC),
    ("too short a topic", {"topic": "water/v1/north/jieshui"}, NOBODY, "undecodable",
     Undecodable.UNKNOWN_TOPIC),
    ("unregistered supplier", {"topic": "water/v1/east/jieshui/m1/reading"}, NOBODY, "undecodable",
     Undecodable.UNKNOWN_SUPPLIER),
    ("unknown dialect", {"topic": "water/v1/north/klingon/m1"}, "north", "undecodable",
     Undecodable.UNKNOWN_DIALECT),
    ("too large", {"flags": OVERSIZE}, "north", "undecodable", Undecodable.TOO_LARGE),
    ("garbage", {"payload": b"\xde\xad\xbe\xef"}, "north", "undecodable", Undecodable.NOT_UTF8),
    ("retained", {"flags": RETAINED}, "north", "set_aside", SetAside.RETAINED),
    ("empty", {"payload": b" \n"}, "north", "set_aside", SetAside.EMPTY),
    ("last will", {"payload": b"Offline"}, "north", "set_aside", SetAside.LAST_WILL),
    ("last will on a status topic",
     {"topic": "water/v1/north/jieshui/m1/status", "payload": b'"offline"'}, "north", "set_aside",
     SetAside.LAST_WILL),
    ("status", {"topic": "water/v1/north/jieshui/m1/status", "payload": b'{"battery":3}'}, "north",
     "set_aside", SetAside.STATUS),
    ("a source's platform", {"topic": "spbv/7/up", "payload": b"offline"}, "south", "set_aside",
     SetAside.LAST_WILL),
]  # fmt: skip


@pytest.mark.parametrize(
    ("_", "given", "supplier", "account", "reason"), ENDS, ids=[row[0] for row in ENDS]
)
def test_a_message_without_readings_ends_with_its_own_reason(_, given, supplier, account, reason):
    tallies = judge(entry(1, **given)).settle(None)
    assert tallies == {Tally(supplier, "messages", account, reason.value): 1}


def test_both_sums_add_up_whatever_arrives_and_whatever_the_store_says():
    chance = random.Random(7)
    payloads = [GOOD, NEGATIVE, b"[" + GOOD + b"," + NEGATIVE + b"]", b"garbage", b"", b"offline"]
    entries = [
        entry(n, payload=chance.choice(payloads), flags=chance.choice([0, 0, 0, RETAINED]))
        for n in range(1, 500)
    ]
    batch = judge(*entries)
    outcomes = [chance.choice(list(Outcome)) for _ in batch.readings]
    tallies = batch.settle(outcomes)
    tallies.update(count_journal("ingest", tallies, {"north": 520}, batch.newest))
    messages, readings = sum_messages(tallies)["north"], sum_readings(tallies)["north"]
    assert messages.balanced
    assert (messages.received, messages.waiting) == (520, 21)
    assert readings.balanced
    assert readings.conflict
    assert readings.quarantined


def test_messages_that_damage_took_are_counted_with_the_next_one():
    batch = judge(entry(8)._replace(lost=3), entry(9))
    lost = Tally("north", "messages", "undecodable", "journal_lost")
    assert batch.settle(None)[lost] == 3


def test_the_counts_follow_the_journal_even_if_the_store_was_behind():
    received, waiting = (Tally("north", "messages", name) for name in ("received", "waiting"))
    kept = {received: 90, waiting: 30}
    assert find_loaded("ingest", kept) == {"north": 60}
    grown = count_journal("ingest", kept, {"north": 100, "south": 0}, {"north": 95})
    assert grown == {received: 10, waiting: -25}


def test_a_refused_reading_knows_its_place():
    (refused,) = judge(entry(3, payload=b"[" + GOOD + b"," + NEGATIVE + b"]")).refused
    assert (refused.segment, refused.offset, refused.part) == (1, 300, 1)
    assert (refused.supplier, refused.reason) == ("north", Refusal.NEGATIVE_REGISTER)
    assert (refused.at, refused.address) == (NOW, "m1")


def test_beyond_the_quota_reasons_are_counted_and_a_sample_is_kept():
    quota = Quota(Limits(quarantine_quota=10, quarantine_sample=50))
    kept, told = 0, 0
    for first in (1, 101, 201):
        batch = judge(*(entry(n, payload=NEGATIVE) for n in range(first, min(first + 100, 211))))
        told += batch.settle(None)[Tally("north", "readings", "quarantined", "negative_register")]
        rows, quota = quota.admit(batch.refused)
        kept += len(rows)
    assert told == 210
    assert kept == 10 + 4
    assert quota.held == {"north": kept}


def test_an_instant_beyond_the_store_is_kept_without_it():
    (refused,) = judge(entry(1, payload=b'{"at":9e10,"register_m3":-1}')).refused
    assert refused.at == 90_000_000_000


def test_each_journal_counts_for_itself_and_the_sum_is_of_all():
    tallies = Counter({Tally("north", "messages", "decoded"): 150})
    tallies.update(count_journal("ingest", tallies, {"north": 100}, {"north": 90}))
    tallies.update(count_journal("ingest-2", tallies, {"north": 70}, {"north": 60}))
    assert find_loaded("ingest", tallies) == {"north": 90}
    assert find_loaded("ingest-2", tallies) == {"north": 60}
    messages = sum_messages(tallies)["north"]
    assert (messages.received, messages.waiting) == (170, 20)
    assert messages.balanced


def test_a_sum_in_which_fewer_than_none_wait_is_not_balanced():
    assert MessageSum(received=7, decoded=7).balanced
    assert not MessageSum(received=7, decoded=7, undecodable=23, waiting=-23).balanced
