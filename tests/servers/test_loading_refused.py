"""The loader over a real InfluxDB whose bucket doesn't take everything."""

import threading
import time
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from msgspec import to_builtins

from ingest.batch import Rules
from ingest.broker.receipts import describe_loaded
from ingest.checks import make_directory
from ingest.journal import JournalReader, Message, open_journal
from ingest.loader import Loader
from ingest.replays.rerun import rerun_quarantine
from ingest.settings import Limits
from storage.influx import InfluxSettings, open_readings
from storage.registry.engine import migrate, open_registry
from water.accounting import sum_messages, sum_readings
from water.city_time import CityTime
from water.loading import Position
from water.meters import KnownMeter
from water.policy import Policy
from water.refusals import Refusal

DAY = 86_400
NOW = int(time.time())
METER = KnownMeter("m1", "north", None, None, None, None)
RULES = Rules(
    (), Policy(), make_directory(1, frozenset({"north"}), {("north", "jieshui", "m1"): METER})
)


@pytest.fixture
def store(influxdb, tmp_path):
    """Readings of the last week only; anything older is beyond the bucket's retention."""
    engine = open_registry(f"sqlite:///{tmp_path / 'registry.db'}")
    migrate(engine)
    settings = InfluxSettings(influxdb.url, influxdb.token, influxdb.organisation)
    settings = replace(settings, bucket=influxdb.make_bucket(retention_s=7 * DAY))
    store = open_readings(settings, engine, CityTime(ZoneInfo("Asia/Shanghai")))
    yield store
    store.close()
    engine.dispose()


def test_what_lies_beyond_the_buckets_retention_is_quarantined_and_the_rest_is_stored(
    store, tmp_path
):
    ages = [1, 30 * DAY, 900, 31 * DAY, 1800]
    items = (b'{"at":%d,"register_m3":%d}' % (NOW - age, 10 - n) for n, age in enumerate(ages))
    message = Message(
        "north", "water/v1/north/jieshui/m1/reading", b"[%s]" % b",".join(items), NOW * 1000
    )
    journal = open_journal(tmp_path / "journal", 1 << 20, after=Position(), received={})
    journal.append([message])
    reader = JournalReader(tmp_path / "journal", journal.marker, journal.committed)
    told = []
    loader = Loader(
        "ingest", reader, journal.received, store, lambda: RULES, Limits(),
        lambda *about: told.append(to_builtins(describe_loaded(*about))),
    )  # fmt: skip
    assert loader.load_next(threading.Event())
    tallies = store.tallies()
    messages, readings = sum_messages(tallies)["north"], sum_readings(tallies)["north"]
    assert messages.balanced
    assert (readings.decoded, readings.stored, readings.quarantined) == (5, 3, 2)
    rows = store.page_refused().rows
    assert sorted(row["part"] for row in rows) == [1, 3]
    assert {row["reason"] for row in rows} == {Refusal.STORE_REFUSED.value}
    assert all("retention" in row["detail"] for row in rows)
    (item,) = told[0]["north"]
    assert (item["stored"], item["refused"]) == (3, [(1, "store_refused"), (3, "store_refused")])
    again = rerun_quarantine({}, "ingest", reader, store, RULES).describe()
    journal.close()
    assert again == {"passed": 0, "refused": 2, "unmatched": 0, "gone": 0}
    assert sum_readings(store.tallies())["north"] == readings
    assert len(store.page_refused().rows) == 2
