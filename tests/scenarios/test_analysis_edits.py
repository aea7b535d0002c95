"""Edits in the registry → jobs → figures, and the figures from before when they are withdrawn.

One meter M of 2 m³/h with hourly readings of ten local days and three hours from 2026-01-01, save
a gap from hour 99 to 130, a spike at hour 240 and another value sent for hour 200; and a meter N
that only people ever read.
"""

import contextlib
from datetime import UTC, date, timedelta

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from small_city import settings_of
from sqlalchemy import select

from jieshui.wiring import build_analysis, open_stores
from registry.edits import Edits
from storage.registry.edits import EditStore
from storage.registry.models import ArrivalRow, VerdictRow
from water.edits import Decision, EditKind, RefusedEditError
from water.readings import Reading

FIRST = date(2026, 1, 1)
SHARES = ["measured_share", "estimated_share", "missing_share"]


class City:
    """An installation on the embedded stores with two meters."""

    def __init__(self, configuration, stores):
        self.settings, self.stores = configuration, stores
        self.city = configuration.city_time()
        self.start = self.city.day_start(FIRST)
        self.service = build_analysis(configuration, stores, CollectorRegistry())
        assert self.service._turn.take()
        self.edits = Edits(EditStore(stores.engine, stores.clock), stores.clock)
        meter = {
            "supplier_id": "S", "role": "zone_inlet", "zone_id": "Z", "serial": "", "user_id": None,
            "modulus_m3": None, "q3_m3_h": None, "interval_s": 3600,
            "in_service_from": None, "in_service_to": None,
        }  # fmt: skip
        zone = dict.fromkeys(("parent_id", "mains_km", "connections", "pressure_mpa"))
        with stores.registry.transaction() as registry:
            registry.put("suppliers", [{"id": "S", "name": "S"}])
            registry.put("zones", [{"id": "Z", "name": "Z"} | zone])
            registry.put("meters", [{"id": "M"} | meter, {"id": "N"} | meter])
        self.load(*(self.reading(h) for h in range(243) if h not in {*range(100, 130), 240}))
        self.load(self.reading(240, 5_000.0), self.reading(200, 501.0))

    def reading(self, hour, register=None):
        at = int(self.at(hour).timestamp())
        return Reading("M", at, at + 30, 100 + 2.0 * hour if register is None else register)

    def at(self, hour):
        return (self.start + timedelta(hours=hour)).astimezone(UTC)

    def load(self, *readings):
        with self.stores.readings.load() as load:
            load.add_readings(readings)
        self.analyse()

    def analyse(self):
        while not self.service.run_once().idle:
            pass

    def edit(self, hour, kind, register=None, meter="M"):
        """An edit that counts, with the figures after it."""
        values = {} if register is None else {"register_m3": register}
        edit = self.propose(hour, kind, values, meter)
        if kind is not EditKind.MANUAL:
            self.approve(edit, hour, meter)
        self.analyse()
        return edit

    def propose(self, hour, kind, values, meter="M"):
        sent = self.sent(hour, meter)
        return self.edits.propose("li", meter, self.at(hour), kind, values, sent=sent, reason="r")

    def approve(self, edit, hour, meter="M"):
        self.edits.approve("wang", edit, sent=self.sent(hour, meter))

    def sent(self, hour, meter):
        at = self.at(hour)
        found = self.stores.readings.load_page(
            meter, at, at + timedelta(seconds=1), after=None, limit=1
        )
        return None if found.empty else {"register_m3": float(found["register_m3"].iloc[0])}

    def withdraw(self, edit):
        self.edits.withdraw("li", edit, "r")
        self.analyse()

    def decide(self, hour, kept, offered, decision):
        conflict = {
            "meter_id": "M", "at": self.at(hour), "quantity": "register_m3", "kept": kept,
            "offered": offered,
        }  # fmt: skip
        self.edits.decide("wang", conflict, decision, "r")
        self.analyse()

    def days(self, meter="M"):
        """Local day → (volume, measured, estimated, missing share), rounded."""
        last = date(2026, 2, 9)
        frame = self.stores.volumes.load_daily([meter], FIRST, last)
        return {
            row["day"].date(): tuple(
                None if pd.isna(row[name]) else round(row[name], 6)
                for name in ("volume_m3", *SHARES)
            )
            for _, row in frame.iterrows()
        }

    def known(self, meter="M"):
        """The days of which something is known."""
        return {day: told for day, told in self.days(meter).items() if told[3] < 1}

    def told(self):
        """Volumes, verdicts and the days of which readings were received."""
        received = [row for row in self.rows(ArrivalRow) if row[3]]
        return self.known(), self.known("N"), self.rows(VerdictRow), received

    def rows(self, table):
        with self.stores.engine.connect() as connection:
            names = list(table.__table__.c)[:5]
            return sorted(tuple(row) for row in connection.execute(select(*names)))


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    configuration = settings_of(tmp_path_factory.mktemp("edits") / "city")
    with open_stores(configuration) as stores:
        made = City(configuration, stores)
        yield made
        made.service._turn.release()


@pytest.fixture(autouse=True)
def _as_before(city):
    """Every test leaves the figures that it found."""
    before = city.told()
    yield
    assert city.told() == before


def test_a_manual_reading_in_a_gap_moves_water_between_days(city):
    # The gap holds 62 m³; 50 of them had passed when somebody looked at hour 110.
    fifth = FIRST + timedelta(days=4)
    assert city.days()[fifth] == (48.0, 0.125, 0.875, 0.0)
    edit = city.edit(110, EditKind.MANUAL, 348.0)
    volume = (99 - 96) * 2 + 50 + 10 * 12 / 20
    assert city.days()[fifth] == (round(volume, 6), 0.125, 0.875, 0.0)
    city.withdraw(edit)


def test_what_rests_on_an_estimate_is_estimated_though_readings_are_dense(city):
    void = city.edit(30, EditKind.VOID)
    second = FIRST + timedelta(days=1)
    assert city.days()[second] == (48.0, 1.0, 0.0, 0.0)
    estimate = city.edit(30, EditKind.ESTIMATE, 160.5)
    assert city.days()[second] == (48.0, round(22 / 24, 6), round(2 / 24, 6), 0.0)
    city.withdraw(estimate)
    city.withdraw(void)


def test_a_correction_takes_a_verdict_away_and_the_sent_value_stays_in_the_store(city):
    at = city.at(240)
    verdicts = {(row[1], row[2]) for row in city.rows(VerdictRow)}
    assert (at, "spike") in verdicts
    edit = city.edit(240, EditKind.CORRECTION, 580.0)
    assert (at, "spike") not in {(row[1], row[2]) for row in city.rows(VerdictRow)}
    sent = city.stores.readings.load_readings(["M"], at, at + timedelta(seconds=1))
    assert sent["register_m3"].tolist() == [5_000.0]
    city.withdraw(edit)


def test_a_reading_after_the_last_one_sent_counts_until_it_is_withdrawn(city):
    tenth, later = FIRST + timedelta(days=9), FIRST + timedelta(days=14)
    edit = city.edit(24 * 15, EditKind.MANUAL, 820.0)
    assert city.days()[later] == (48.0, 0.0, 1.0, 0.0)
    city.withdraw(edit)
    assert later not in city.known()
    assert tenth in city.known()


def test_a_meter_that_only_people_read_has_volumes(city):
    first = city.edit(0, EditKind.MANUAL, 10.0, meter="N")
    second = city.edit(48, EditKind.MANUAL, 34.0, meter="N")
    assert city.known("N") == {
        FIRST: (12.0, 0.0, 1.0, 0.0), FIRST + timedelta(days=1): (12.0, 0.0, 1.0, 0.0)
    }  # fmt: skip
    city.withdraw(first)
    city.withdraw(second)
    assert city.known("N") == {}


def test_what_people_entered_was_not_received_and_what_they_voided_not_valid(city):
    def counts(day):
        return next(row[2:5] for row in city.rows(ArrivalRow) if row[:2] == ("M", day))

    fifth, second = FIRST + timedelta(days=4), FIRST + timedelta(days=1)
    before = counts(fifth)
    manual, void = city.edit(110, EditKind.MANUAL, 330.0), city.edit(30, EditKind.VOID)
    assert counts(fifth) == before
    assert counts(second) == (24, 24, 23)
    city.withdraw(manual)
    city.withdraw(void)


def test_a_value_that_another_contradicts_counts_once_a_person_decided(city):
    at, ninth = city.at(200), FIRST + timedelta(days=8)

    def contested():
        return (at, "conflict") in {row[1:] for row in city.rows(VerdictRow)}

    assert contested()
    city.decide(200, 500.0, 501.0, Decision.KEEP)
    assert not contested()
    assert city.days()[ninth] == (48.0, 1.0, 0.0, 0.0)
    city.decide(200, 500.0, 501.0, Decision.TAKE)
    assert not contested()
    taken = next(edit for edit in city.stores.registry.edits() if edit.register_m3 == 501.0)
    assert (taken.at, taken.kind) == (at, EditKind.CORRECTION)
    city.withdraw(taken.id)
    assert contested()


HOURS = st.sampled_from([0, 30, 31, 99, 110, 120, 129, 200, 240, 242, 250, 300])
EDITS = st.lists(
    st.tuples(HOURS, st.sampled_from(list(EditKind)), st.floats(-50, 50)), min_size=1, max_size=4
)


@given(made=EDITS, data=st.data())
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
def test_withdrawing_edits_in_any_order_gives_the_figures_from_before(city, made, data):
    before, numbers = city.told(), []
    for hour, kind, off in made:
        values = {} if kind is EditKind.VOID else {"register_m3": 100 + 2 * hour + off}
        with contextlib.suppress(RefusedEditError):
            numbers.append(city.propose(hour, kind, values))
            if kind is not EditKind.MANUAL:
                city.approve(numbers[-1], hour)
    city.analyse()
    for edit in data.draw(st.permutations(numbers)):
        city.edits.withdraw("li", edit, "r")
    city.analyse()
    assert city.told() == before
