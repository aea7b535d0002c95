"""Readings in the embedded stores → figures worked out by hand → an alert and its notice.

One zone: inlet Z1 with 13 m³/h; inside it user U1 with 10 m³/h and user U2 with 1 m³/h, so that
2 m³/h are lost day and night. Twenty local days of hourly readings from 2026-01-01.
"""

import random
import threading
import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select
from sqlalchemy.orm import Session

import runs.evaluation
import runs.jobs
from alerts.service import AlertService
from runs.service import AnalysisService
from runs.settings import RunSettings
from runs.turn import LostTurnError
from storage.readings import StoreUnavailableError, open_readings, open_volumes
from storage.registry.alerts import AlertStore
from storage.registry.engine import open_registry
from storage.registry.figures import FigureStore
from storage.registry.jobs import JobStore
from storage.registry.models import (
    AlertRow,
    ArrivalRow,
    Base,
    MeterRow,
    NoticeRow,
    PlanRow,
    PlanStatusRow,
    SupplierRow,
    TallyDayRow,
    UserRow,
    VerdictRow,
    ZoneDayRow,
    ZoneNightRow,
    ZoneRow,
)
from storage.registry.state import RunStateStore
from storage.registry.store import RegistryStore
from water.calendar import WeekdayCalendar
from water.city_time import CityTime
from water.loading import Tally
from water.policy import Policy
from water.readings import Reading

CITY = CityTime(ZoneInfo("Asia/Shanghai"))
FIRST, LAST = date(2026, 1, 1), date(2026, 1, 20)
NOW = CITY.day_start(date(2026, 1, 21)) + timedelta(minutes=5)
FLOWS = {"Z1": 13.0, "C1": 10.0, "C2": 1.0}


class Clock:
    def now(self):
        return NOW


class Ledger:
    def refused_counts(self):
        return {"S1": {"decoded": 1000, "undecodable": 0, "quarantined": 0, "stored": 1000}}

    def tallies(self):
        return {Tally("S1", "readings", "stored"): 1000}


class Crash(BaseException):
    """The process ends here."""


class Dying:
    """A store whose process ends before the so-many-th of these writes."""

    def __init__(self, store, writes, fuse):
        self._store, self._writes, self._fuse = store, writes, fuse

    def __getattr__(self, name):
        inner = getattr(self._store, name)
        if name not in self._writes:
            return inner

        def write(*args, **kwargs):
            self._fuse["left"] -= 1
            if self._fuse["left"] == 0:
                raise Crash
            return inner(*args, **kwargs)

        return write


class House:
    """The embedded stores of one installation in a folder."""

    def __init__(self, folder):
        self.readings = open_readings(folder / "readings", CITY, Clock())
        self.volumes = open_volumes(folder / "volumes", CITY, Clock())
        self.engine = open_registry(f"sqlite:///{folder / 'registry.sqlite'}")
        Base.metadata.create_all(self.engine)
        self.figures = FigureStore(self.engine)
        self.state = RunStateStore(self.engine)
        self.jobs = JobStore(self.engine, Clock())
        self.metrics = CollectorRegistry()
        self._register()

    def _register(self):
        month = [300.0] * 12
        groups = [
            [SupplierRow(id="S1", name="义乌水务"), ZoneRow(id="Z", name="北苑")],
            [UserRow(id="U1", name="甲厂", sector="textile")],
            [UserRow(id="U2", name="乙店", sector="market")],
            [
                MeterRow(id="Z1", supplier_id="S1", role="zone_inlet", zone_id="Z"),
                MeterRow(id="C1", supplier_id="S1", role="customer", user_id="U1", zone_id="Z"),
                MeterRow(id="C2", supplier_id="S1", role="customer", user_id="U2", zone_id="Z"),
                PlanRow(user_id="U1", year=2026, version=1, months_m3=month),
                PlanRow(user_id="U2", year=2026, version=1, months_m3=[2 * m for m in month]),
            ],
        ]
        with Session(self.engine) as session, session.begin():
            for group in groups:
                session.add_all(group)
                session.flush()

    def register(self, kind, **row):
        """Import a row; of a meter, what is not named stays."""
        with RegistryStore(self.engine, Clock()).transaction() as registry:
            if kind != "meter_changes":
                row = {**registry.rows(kind).get((row["id"],), {}), **row}
            registry.put(kind, [row])

    def row(self, kind, row_id):
        with RegistryStore(self.engine, Clock()).transaction() as registry:
            return registry.rows(kind)[row_id,]

    def load(self, readings):
        with self.readings.load() as load:
            load.add_readings(readings)

    def service(self, fuse=None, **parts):
        stores = {
            "readings": self.readings,
            "volumes": self.volumes,
            "figures": self.figures,
            "state": self.state,
        }
        if fuse is not None:
            stores = {
                "readings": self.readings,
                "volumes": Dying(self.volumes, {"save"}, fuse),
                "figures": Dying(self.figures, _FIGURE_WRITES, fuse),
                "state": Dying(self.state, {"set"}, fuse),
            }
        stores |= parts
        settings = RunSettings(evaluate_pause_s=0, evaluate_share=1, poll_s=0.01)
        self.metrics = CollectorRegistry()
        return AnalysisService(
            stores["readings"],
            stores["volumes"],
            RegistryStore(self.engine, Clock()),
            stores["figures"],
            stores["state"],
            Ledger(),
            AlertService(AlertStore(self.engine), Clock()),
            policy=parts.pop("policy", Policy()),
            city=CITY,
            calendar=WeekdayCalendar(),
            clock=Clock(),
            jobs=self.jobs,
            turn=parts.pop("turn", None),
            metrics=self.metrics,
            settings=parts.pop("settings", settings),
        )

    def rows(self, table):
        with Session(self.engine, expire_on_commit=False) as session:
            return list(session.scalars(select(table).order_by(*table.__table__.primary_key)))

    def figures_now(self):
        """Everything that was computed, as comparable values."""
        tables = (ZoneDayRow, ZoneNightRow, ArrivalRow, VerdictRow, PlanStatusRow)
        kept = {
            table.__tablename__: [
                tuple(_plain(getattr(row, c.name)) for c in table.__table__.c)
                for row in self.rows(table)
            ]
            for table in tables
        }
        kept["alerts"] = [(a.rule, a.subject_id, a.state) for a in self.rows(AlertRow)]
        kept["notices"] = [(n.audience, n.title) for n in self.rows(NoticeRow)]
        hours = self.volumes.load_hourly(None, CITY.day_start(FIRST - timedelta(days=3)), NOW)
        days = self.volumes.load_daily(None, FIRST - timedelta(days=3), LAST + timedelta(days=3))
        return kept, _rounded(hours), _rounded(days)

    def close(self):
        self.readings.close()
        self.volumes.close()
        self.engine.dispose()


_FIGURE_WRITES = {
    "save_zone_days", "save_zone_nights", "save_plan_status", "save_city_rates", "save_arrivals",
    "save_tallies", "replace_verdicts",
}  # fmt: skip


def _plain(value):
    return round(value, 6) if isinstance(value, float) else value


def _rounded(frame):
    numbers = frame.select_dtypes("float64").columns
    return frame.assign(**{n: frame[n].round(6) for n in numbers}).reset_index(drop=True)


def flowing(meter_ids=tuple(FLOWS), first=FIRST, last=LAST, hour_s=3600):
    """Readings at every full hour, the first at the first midnight, the last at the last one."""
    start = int(CITY.day_start(first).timestamp())
    end = int(CITY.day_start(last + timedelta(days=1)).timestamp())
    origin = int(CITY.day_start(FIRST).timestamp())
    return [
        Reading(m, at, at + 30, register_m3=1000 + FLOWS[m] * (at - origin) / 3600)
        for at in range(start, end + 1, hour_s)
        for m in meter_ids
    ]


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    house.close()


@pytest.fixture
def another_house(tmp_path):
    house = House(tmp_path / "another")
    yield house
    house.close()


def work_off(service, cycles=20):
    """Cycles until there is nothing left to do."""
    for _ in range(cycles):
        if service.run_once().idle:
            return
    pytest.fail("the analysis does not come to an end")


def test_volumes_nights_plans_and_the_alert_are_what_the_hand_says(house):
    house.load(flowing())
    service = house.service()
    report = service.run_once()
    work_off(service)
    assert report.meter_days == 3 * 21  # the last midnight touches the next day
    assert report.evaluated
    assert report.failed_detectors == ()

    daily = house.volumes.load_daily(None, FIRST, LAST)
    used = daily.groupby("meter_id")["volume_m3"].sum()
    assert used["C1"] == pytest.approx(20 * 240)
    assert used["Z1"] == pytest.approx(20 * 312)
    assert (daily["measured_share"] == 1).all()
    assert len(daily) == 3 * 20

    zone_days = [r for r in house.rows(ZoneDayRow) if r.day <= LAST]
    assert {(round(r.inflow_m3, 6), round(r.large_use_m3, 6)) for r in zone_days} == {(312, 264)}
    assert len(zone_days) == 20
    nights = [r for r in house.rows(ZoneNightRow) if r.day <= LAST]
    night = nights[10]
    assert (night.day, len(nights)) == (date(2026, 1, 11), 20)
    assert night.minimum_night_flow_m3_h == pytest.approx(13)
    assert night.night_use_m3_h == pytest.approx(11)
    assert night.net_night_flow_m3_h == pytest.approx(2)

    over, fine = house.rows(PlanStatusRow)
    assert (over.user_id, over.plan_m3, over.level) == ("U1", 3600, "red")
    assert over.used_m3 == pytest.approx(4800)  # 133 % of 3600 m³
    assert over.projected_rate is None or over.projected_rate > 1
    assert fine.used_m3 == pytest.approx(480)

    alerts = {(a.rule, a.subject_id): a for a in house.rows(AlertRow)}
    alert = alerts["over_plan", "U1"]
    assert (alert.state, alert.severity, alert.period) == ("firing", "red", "2026")
    assert alert.evidence["figures"]["used_m3"] == pytest.approx(4800)
    notices = [n for n in house.rows(NoticeRow) if n.alert_id == alert.id]
    assert [n.audience for n in notices] == ["bureau", "user:U1"]
    assert "4800 m³" in notices[0].body
    assert ("over_plan", "U2") not in alerts
    assert ("night_flow_rise", "Z") not in alerts


def test_arrivals_are_counted_and_the_silent_have_none(house):
    house.load(flowing(["C1", "Z1"]))
    work_off(house.service())
    arrivals = {(r.meter_id, r.day): r for r in house.rows(ArrivalRow)}
    full = arrivals["C1", LAST]
    assert (full.expected, full.received, full.valid) == (24, 24, 24)
    silent = arrivals["C2", LAST]
    assert (silent.expected, silent.received) == (24, 0)
    assert (full.least_delay_s, full.median_delay_s, full.most_delay_s) == (30, 30, 30)
    assert silent.p95_delay_s is None


def test_what_ingest_has_counted_is_kept_by_the_day_and_only_what_changed(house, monkeypatch):
    sent = {Tally("S1", "readings", "stored"): 5, Tally("S1", "readings", "duplicate"): 1}
    monkeypatch.setattr(Ledger, "tallies", lambda _: {t: n for t, n in sent.items() if n})
    now, saved, save = NOW, [], FigureStore.save_tallies
    monkeypatch.setattr(Clock, "now", lambda _: now)
    monkeypatch.setattr(
        FigureStore, "save_tallies",
        lambda store, day, tallies: (saved.append(len(tallies)), save(store, day, tallies)),
    )  # fmt: skip
    service = house.service()
    service.run_once()
    sent[Tally("S1", "readings", "stored")] = 7
    service._evaluate(now)
    service._evaluate(now)
    now += timedelta(days=1)
    sent[Tally("S1", "readings", "duplicate")] = 0
    service._evaluate(now)
    assert saved == [2, 1, 2]
    first, second = CITY.day_of(NOW), CITY.day_of(now)
    kept = [(row.day, row.account, row.count) for row in house.rows(TallyDayRow)]
    assert kept == [
        (first, "duplicate", 1), (first, "stored", 7),
        (second, "duplicate", 0), (second, "stored", 7),
    ]  # fmt: skip


def test_order_of_arrival_never_changes_a_figure(house, another_house):
    readings = flowing()
    spiked = [r for r in readings if r.meter_id == "C1"][300]
    readings[readings.index(spiked)] = spiked._replace(register_m3=900_000.0)
    house.load(readings)
    work_off(house.service())
    parts = list(readings)
    random.Random(7).shuffle(parts)
    service = another_house.service()
    for i in range(0, len(parts), 500):
        another_house.load(parts[i : i + 500])
        service.run_once()
    work_off(service)
    mine, hours, days = house.figures_now()
    theirs, their_hours, their_days = another_house.figures_now()
    assert house.rows(VerdictRow), "the spike is told"
    pd.testing.assert_frame_equal(hours, their_hours)
    pd.testing.assert_frame_equal(days, their_days)
    assert {t: mine[t] for t in _COMPUTED} == {t: theirs[t] for t in _COMPUTED}


_COMPUTED = ("zone_day", "zone_night", "arrival", "verdict", "plan_status")


def test_a_reading_after_an_outage_fills_the_days_between(house):
    readings = flowing(["C1"])
    quiet = (CITY.day_start(date(2026, 1, 5)), CITY.day_start(date(2026, 1, 10)))
    heard = [r for r in readings if not quiet[0].timestamp() < r.at < quiet[1].timestamp()]
    before = [r for r in heard if r.at <= quiet[0].timestamp()]
    service = house.service()
    house.load(before)
    work_off(service)
    assert len(house.volumes.load_daily(["C1"], date(2026, 1, 6), LAST)) == 0
    house.load(heard[len(before) :])
    work_off(service)
    daily = house.volumes.load_daily(["C1"], date(2026, 1, 5), date(2026, 1, 9))
    assert daily["volume_m3"].tolist() == pytest.approx([240] * 5)
    assert daily["estimated_share"].tolist() == pytest.approx([1] * 5)


def test_a_crash_between_any_two_writes_changes_nothing_in_the_end(house, another_house):
    readings = flowing(last=date(2026, 1, 4))
    house.load(readings)
    work_off(house.service())
    another_house.load(readings)
    crashes = 0
    for _ in range(2):  # the second time only the evaluation is left, all of whose writes crash
        for write in range(1, 100):
            try:
                another_house.service({"left": write}).run_once()
            except Crash:
                crashes += 1
                continue
            break
    assert crashes >= 10
    work_off(another_house.service())
    mine, hours, days = house.figures_now()
    theirs, their_hours, their_days = another_house.figures_now()
    pd.testing.assert_frame_equal(hours, their_hours)
    pd.testing.assert_frame_equal(days, their_days)
    assert mine == theirs


def test_the_mark_is_saved_after_everything_it_speaks_of(house):
    house.load(flowing())
    order = []

    class Told:
        def __init__(self, store):
            self._store = store

        def __getattr__(self, name):
            order.append(name)
            return getattr(self._store, name)

    house.service(
        volumes=Told(house.volumes), figures=Told(house.figures), state=Told(house.state)
    ).run_once()
    mark = order.index("set")
    for save in ("save", "replace_verdicts", "save_arrivals", "save_zone_nights", "save_zone_days"):
        assert order.index(save) < mark


def test_a_detector_that_fails_does_not_stop_the_others(house, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("a bug")

    monkeypatch.setattr(runs.evaluation, "compute_plan_status", fail)
    house.load(flowing())
    service = house.service()
    report = service.run_once()
    assert report.failed_detectors == ("plans",)
    assert service.health()["failed_detectors"] == ["plans"]
    labels = {"detector": "plans"}
    name = "jieshui_runs_detector_failures_total"
    assert house.metrics.get_sample_value(name, labels) == 1
    judged = {"night_flow_rise", "stopped_meter", "continuous_flow", "backward_register"}
    for kind in judged:
        assert house.metrics.get_sample_value("jieshui_runs_findings", {"kind": kind}) is not None


def test_a_job_computes_days_again_and_a_broken_one_fails_with_its_reason(house):
    house.load(flowing())
    service = house.service()
    work_off(service)
    with Session(house.engine) as session, session.begin():
        session.query(ZoneDayRow).delete()
    right = house.jobs.ask(
        "recompute", {"meter_id": "C1", "first": "2026-01-03", "last": "2026-01-03"}, "test"
    )
    wrong = house.jobs.ask("recompute", {"meter_id": "C1", "first": "yesterday"}, "test")
    assert service.run_once().jobs == 1
    assert service.run_once().jobs == 1
    assert house.jobs.job(right)["state"] == "done"
    assert date(2026, 1, 3) in {r.day for r in house.rows(ZoneDayRow)}
    job = house.jobs.job(wrong)
    assert job["state"] == "failed"
    assert "yesterday" in job["outcome"]["error"]


def test_past_days_are_computed_again_by_todays_rules_once_nothing_newer_waits(house):
    house.load(flowing())
    work_off(house.service())
    day = date(2026, 1, 10)
    start = CITY.day_start(day)
    hours = house.volumes.load_hourly(["C1"], start, start + timedelta(days=1))
    house.volumes.save(hours.assign(volume_m3=1.0), house.volumes.load_daily(["Z"], day, day))
    days = {"meter_ids": ["C1"], "first": day.isoformat(), "last": day.isoformat()}
    past = house.jobs.ask("recompute_past", days, "li")
    newer = house.jobs.ask("recompute", {"meter_ids": ["C2"]}, "import")
    service = house.service()
    assert service.run_once().jobs == 1
    assert [house.jobs.job(job)["state"] for job in (past, newer)] == ["waiting", "done"]
    assert service.run_once().jobs == 1
    again = house.volumes.load_hourly(["C1"], start, start + timedelta(days=1))
    assert again["volume_m3"].tolist() == pytest.approx([10.0] * 24)


def test_a_store_that_was_set_back_has_its_days_computed_anew(house):
    house.load(flowing())
    house.state.set("touched", {"mark": 1_000_000})
    work_off(house.service())
    start = CITY.day_start(date(2026, 1, 10))
    hours = house.volumes.load_hourly(["C1"], start, start + timedelta(days=1))
    assert hours["volume_m3"].tolist() == pytest.approx([10.0] * 24)


def test_a_store_that_is_away_is_tried_again(house):
    house.load(flowing())

    class Away:
        left = 2

        def __getattr__(self, name):
            if name == "touched_days" and Away.left:
                Away.left -= 1
                raise StoreUnavailableError("the disk is away")
            return getattr(house.readings, name)

    service = house.service(readings=Away())
    assert not service.health()["ready"]
    stop = threading.Event()
    worker = threading.Thread(target=service.run, args=[stop])
    worker.start()
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    while datetime.now(UTC) < deadline and not service.health().get("last_evaluation"):
        stop.wait(0.02)
    assert service.health()["ready"]
    stop.set()
    worker.join(timeout=20)
    assert not worker.is_alive()
    assert house.metrics.get_sample_value("jieshui_runs_outages_total") == 2
    assert len(house.rows(PlanStatusRow)) == 2
    assert service.health()["mark"] > 0
    assert not service.health()["ready"]


def test_the_analysis_is_ready_after_a_cycle_and_not_before_nor_after_an_outage(house):
    class Away:
        now = False

        def __getattr__(self, name):
            if self.now:
                raise StoreUnavailableError("the disk is away")
            return getattr(house.readings, name)

    service = house.service(readings=Away())
    service.run_once()
    assert service.health()["ready"]
    Away.now = True
    stop = threading.Event()
    worker = threading.Thread(target=service.run, args=[stop])
    worker.start()
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    while datetime.now(UTC) < deadline and not service.health()["error"]:
        stop.wait(0.02)
    health = service.health()
    stop.set()
    worker.join(timeout=20)
    assert (health["ready"], health["error"]) == (False, "the disk is away")


class OtherTurn:
    """A turn that another process has until `free`, and that is lost again when it isn't."""

    def __init__(self):
        self.free = threading.Event()
        self.held = False

    def take(self):
        self.held = self.free.is_set()
        return self.held

    def holds(self):
        self.held = self.held and self.free.is_set()
        return self.held

    def release(self):
        self.held = False


def until(stop, true, seconds=20):
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        stop.wait(0.02)
    return true()


def test_a_process_stands_by_while_another_analyses_and_goes_on_when_that_one_ends(house):
    house.load(flowing())
    turn, stop = OtherTurn(), threading.Event()
    service = house.service(turn=turn)
    worker = threading.Thread(target=service.run, args=[stop])
    worker.start()
    assert until(stop, lambda: service.health()["turn"] == "standby")
    assert (service.health()["ready"], service.active) == (True, False)
    assert house.state.get("touched") is None
    turn.free.set()
    assert until(stop, lambda: house.state.get("evaluated"))
    assert (service.health()["turn"], service.active) == ("ours", True)
    stop.set()
    worker.join(timeout=20)
    assert not turn.held


def test_a_turn_that_is_lost_in_a_cycle_lets_nothing_more_be_written(house):
    house.load(flowing())
    turn = OtherTurn()
    turn.free.set()
    assert turn.take()
    service = house.service(turn=turn)
    turn.free.clear()
    with pytest.raises(LostTurnError):
        service.run_once()
    assert house.state.get("touched") is None
    assert house.volumes.load_daily(None, date(2026, 1, 1), LAST).empty
    turn.free.set()
    assert turn.take()
    work_off(service)
    assert house.state.get("evaluated")


class BreakingTurn(OtherTurn):
    """A turn that is lost when it has been felt so many times; then nobody can be asked for it."""

    def __init__(self, felt):
        super().__init__()
        self.free.set()
        self.left = felt

    def take(self):
        if self.left <= 0:
            raise OSError("the database is away")
        return super().take()

    def holds(self):
        self.left -= 1
        return super().holds() and self.left > 0


def test_a_process_that_lost_its_turn_says_so_before_it_can_ask_for_another(house):
    house.load(flowing())
    service = house.service(turn=BreakingTurn(felt=3))
    with pytest.raises(LostTurnError):
        service._round()
    gauge = house.metrics.get_sample_value("jieshui_runs_turn")
    assert (service.active, service.health()["turn"], gauge) == (False, None, 0)
    with pytest.raises(OSError, match="away"):
        service._round()
    assert (service.active, house.metrics.get_sample_value("jieshui_runs_turn")) == (False, 0)


class Felt:
    """The turn and, around the stores, what was written since it was last felt."""

    def __init__(self):
        self.fresh, self.unfelt, self.written = False, set(), set()

    def take(self):
        return True

    def holds(self):
        self.fresh = True
        return True

    def release(self):
        pass

    def around(self, store, writes):
        return Noting(self, store, writes)


class Noting:
    def __init__(self, felt, store, writes):
        self._felt, self._store, self._writes = felt, store, writes

    def __getattr__(self, name):
        if name in self._writes:
            self._felt.written.add(name)
            if not self._felt.fresh:
                self._felt.unfelt.add(name)
            self._felt.fresh = False
        return getattr(self._store, name)


def test_the_turn_is_felt_right_before_every_write(house):
    house.load(flowing())
    felt = Felt()
    house.jobs.ask("recompute", {"meter_id": "C1"}, "test")
    house.jobs.ask("recompute", {"meter_id": "C1", "first": "yesterday"}, "test")
    house.register("meters", id="C9", supplier_id="S1", role="customer", user_id="U2")
    house.jobs = felt.around(house.jobs, {"take", "finish"})
    service = house.service(
        turn=felt,
        readings=felt.around(house.readings, {"compact"}),
        volumes=felt.around(house.volumes, {"save", "compact"}),
        figures=felt.around(house.figures, _FIGURE_WRITES),
        state=felt.around(house.state, {"set"}),
    )
    work_off(service)
    assert felt.unfelt == set()
    assert felt.written == {"take", "finish", "compact", "save", "set", *_FIGURE_WRITES}


def test_a_loop_that_hangs_is_not_ready(house, monkeypatch):
    service = house.service()
    service.run_once()
    assert service.health()["ready"]
    later = time.monotonic() + 901
    monkeypatch.setattr(time, "monotonic", lambda: later)
    health = service.health()
    assert (health["ready"], health["since_last_step_s"] > 900) == (False, True)


def test_closed_days_are_compacted_once_a_local_day(house):
    house.load(flowing())
    service = house.service()
    work_off(service)
    assert house.state.get("compacted") == {"day": "2026-01-21"}
    before = house.figures_now()[2]
    assert service.run_once().compacted == 0
    house.service().run_once()
    pd.testing.assert_frame_equal(before, house.figures_now()[2])


def test_a_city_without_a_single_reading_is_no_error(house):
    report = house.service().run_once()
    assert (report.idle, report.evaluated, report.failed_detectors) == (True, True, ())
    assert house.rows(AlertRow) == []


@pytest.mark.parametrize(("past_end", "newest"), [(-60, 19), (60, 20)], ids=["at night", "after"])
def test_a_night_has_a_minimum_once_it_is_over(house, monkeypatch, past_end, newest):
    _, end = CITY.night_bounds(LAST)
    now = end + timedelta(minutes=past_end)
    monkeypatch.setattr(Clock, "now", lambda _: now)
    house.load([r for r in flowing() if r.at <= now.timestamp()])
    work_off(house.service())
    assert max(r.day for r in house.rows(ZoneNightRow)) == date(2026, 1, newest)


def rolling(readings):
    """The registers of a dial that ends at 2000 m³."""
    return [r._replace(register_m3=r.register_m3 % 2000) for r in readings]


def changed_over(readings):
    """C1's dial is changed for a new one at 0 after nine days."""
    at = int((CITY.day_start(date(2026, 1, 10)) + timedelta(minutes=30)).timestamp())
    return [
        r._replace(register_m3=10 * (r.at - at) / 3600) if r.meter_id == "C1" and r.at > at else r
        for r in readings
    ]


CHANGE = {
    "meter_id": "C1",
    "at": CITY.day_start(date(2026, 1, 10)) + timedelta(minutes=30),
    "old_final_m3": 1000 + 10 * (9 * 24 + 0.5),
    "new_initial_m3": 0.0,
    "reason": "",
}


@pytest.mark.parametrize(
    ("readings", "told"),
    [
        pytest.param(flowing(), ("meters", {"id": "C1", "interval_s": 600}), id="interval"),
        pytest.param(rolling(flowing()), ("meters", {"id": "C1", "modulus_m3": 2000.0}), id="dial"),
        pytest.param(flowing(), ("meters", {"id": "C1", "q3_m3_h": 2.0}), id="Q3"),
        pytest.param(flowing(), ("meters", {"id": "C1", "zone_id": None}), id="zone"),
        pytest.param(flowing(), ("meters", {"id": "Z1", "role": "plant_outlet"}), id="role"),
        pytest.param(
            flowing(),
            ("meters", {"id": "C1", "in_service_from": CITY.day_start(date(2026, 1, 4))}),
            id="service",
        ),
        pytest.param(changed_over(flowing()), ("meter_changes", CHANGE), id="meter change"),
    ],
)
def test_what_the_registry_learns_late_ends_as_if_it_had_known(
    house, another_house, readings, told
):
    kind, row = told
    another_house.register(kind, **row)
    for each in (house, another_house):
        each.load(readings)
        work_off(each.service())
    wrong = house.figures_now()
    house.register(kind, **row)
    work_off(house.service())
    mine, hours, days = house.figures_now()
    theirs, their_hours, their_days = another_house.figures_now()
    assert str(wrong) != str((mine, hours, days))
    pd.testing.assert_frame_equal(hours, their_hours)
    pd.testing.assert_frame_equal(days, their_days)
    assert {t: mine[t] for t in _LATE} == {t: theirs[t] for t in _LATE}


_LATE = ("zone_day", "zone_night", "arrival", "verdict", "plan_status")


def test_a_meter_registered_while_the_analysis_looks_is_not_dropped(house):
    house.load(flowing(["Z1"]))

    class Registering:
        """Registers C9 and loads its readings between two looks of the analysis."""

        done = False

        def touched_days(self, after, limit):
            if not self.done:
                Registering.done = True
                row = {"supplier_id": "S1", "role": "customer", "serial": "", "user_id": "U1"}
                rest = dict.fromkeys(("modulus_m3", "q3_m3_h", "in_service_from", "in_service_to"))
                house.register("meters", id="C9", zone_id="Z", interval_s=3600, **row, **rest)
                house.load([r._replace(meter_id="C9") for r in flowing(["C1"])])
            return house.readings.touched_days(after, limit)

        def __getattr__(self, name):
            return getattr(house.readings, name)

    work_off(house.service(readings=Registering()))
    assert len(house.volumes.load_daily(["C9"], FIRST, LAST)) == 20


def test_a_job_waits_for_a_store_that_is_away(house):
    house.load(flowing())

    class Away:
        left = 0

        def __getattr__(self, name):
            if name == "load_readings" and self.left:
                Away.left -= 1
                raise StoreUnavailableError("the disk is away")
            return getattr(house.readings, name)

    service = house.service(readings=Away())
    work_off(service)
    job = house.jobs.ask("recompute", {"meter_id": "C1"}, "test")
    Away.left = 2
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            service.run_once()
    assert service.run_once().jobs == 1
    assert house.jobs.job(job)["state"] == "done"


def test_past_days_wait_for_a_backlog_but_not_for_what_comes_all_the_time(house):
    for day in (FIRST + timedelta(days=n) for n in range(4)):
        house.load(flowing(first=day, last=day))  # with the last midnight six meter-days
    house.load(flowing(["C1"], first=LAST, last=LAST))  # two
    past = house.jobs.ask("recompute_past", {"meter_id": "C1"}, "test")
    changed = house.jobs.ask("recompute", {"meter_id": "C1"}, "test")
    service = house.service(settings=RunSettings(chunk_readings=6 * 24))
    reports = [service.run_once() for _ in range(4)]
    assert [(r.meter_days, r.jobs) for r in reports] == [(6, 1), (6, 0), (6, 0), (6, 0)]
    assert [house.jobs.job(job)["state"] for job in (changed, past)] == ["done", "waiting"]
    last = service.run_once()
    assert (last.meter_days, last.jobs) == (2, 1)
    assert house.jobs.job(past)["state"] == "done"


def test_a_job_over_all_time_is_bounded_by_what_is_stored(house):
    house.load(flowing())
    service = house.service()
    work_off(service)
    days = {"first": "0001-01-01", "last": "9999-12-31"}
    job = house.jobs.ask("recompute", days, "test")
    assert service.run_once().jobs == 1
    assert house.jobs.job(job)["outcome"] == {"meters": 3, "zones": 0, "spans": 2}


def test_a_job_that_fails_for_whatever_reason_has_failed(house, monkeypatch):
    def fail(*args, **kwargs):
        raise OverflowError("a bug")

    house.load(flowing())
    service = house.service()
    work_off(service)
    monkeypatch.setattr(runs.jobs, "plan_spans", fail)
    job = house.jobs.ask("recompute", {"meter_id": "C1"}, "test")
    assert service.run_once().jobs == 1
    assert house.jobs.job(job)["state"] == "failed"
    assert "a bug" in house.jobs.job(job)["outcome"]["error"]


@pytest.mark.parametrize(
    ("length", "past", "told"),
    [
        pytest.param("year", 30, {("2025", 2025), ("2026", 2026)}, id="year"),
        pytest.param("year", 46, {("2026", 2026)}, id="long ago"),
        pytest.param("month", 45, {("2026-01", 2026), ("2026-02", 2026)}, id="month"),
    ],
)
def test_a_period_that_is_over_is_judged_while_its_days_can_change(
    house, monkeypatch, length, past, told
):
    now = CITY.day_start(date(2026, 1, 1)) + timedelta(days=past)
    monkeypatch.setattr(Clock, "now", lambda _: now)
    for year in (2025, 2026):
        row = {"user_id": "U1", "year": year, "version": 2, "months_m3": [1.0] * 12}
        with RegistryStore(house.engine, Clock()).transaction() as registry:
            rest = {"issued_by": "", "issued_on": None, "reason": ""}
            registry.put("plans", [row | rest])
    house.load(flowing(["C1"], first=date(2025, 12, 20), last=date(2026, 2, 14)))
    work_off(house.service(policy=Policy(assessment_period=length)))
    over = {a.period for a in house.rows(AlertRow) if a.rule == "over_plan"}
    assert over == {period for period, _ in told}
    status = {r.year: r for r in house.rows(PlanStatusRow) if r.user_id == "U1"}
    assert status.keys() == {year for _, year in told}
    assert status[2026].as_of == now
    if 2025 in status:
        assert status[2025].used_m3 == pytest.approx(12 * 240)
        assert status[2025].as_of == CITY.day_start(date(2026, 1, 1))


def test_a_zone_within_another_counts_in_both(house):
    house.register("zones", id="P", name="全城", parent_id=None, **_NO_MAINS)
    house.register("zones", id="Z", parent_id="P")
    inlet = house.row("meters", "Z1")
    house.register("meters", **inlet | {"id": "P1", "zone_id": "P"})
    house.load(flowing(["Z1"]))
    house.load([r._replace(meter_id="P1", register_m3=2 * r.register_m3) for r in flowing(["Z1"])])
    work_off(house.service())
    house.load(flowing(["C1", "C2"]))
    work_off(house.service())
    days = {(r.zone_id, r.day): r for r in house.rows(ZoneDayRow)}
    both = [days[zone, date(2026, 1, 5)].large_use_m3 for zone in "PZ"]
    assert both == pytest.approx([264, 264])
    nights = {(r.zone_id, r.day): r for r in house.rows(ZoneNightRow)}
    assert nights["P", LAST].net_night_flow_m3_h == pytest.approx(26 - 11)
    # taken out again, the outer zone has no users
    house.register("zones", id="Z", parent_id=None)
    work_off(house.service())
    nights = {(r.zone_id, r.day): r for r in house.rows(ZoneNightRow)}
    assert nights["P", LAST].net_night_flow_m3_h == pytest.approx(26)
    assert nights["Z", LAST].net_night_flow_m3_h == pytest.approx(2)


_NO_MAINS = dict.fromkeys(("mains_km", "connections", "pressure_mpa"))


def test_a_supplier_that_sends_well_again_is_clear_after_a_day(house, monkeypatch):
    sent = {"decoded": 1000, "undecodable": 500, "quarantined": 0}
    monkeypatch.setattr(Ledger, "refused_counts", lambda _: {"S1": dict(sent), "?": dict(sent)})
    now = NOW
    monkeypatch.setattr(Clock, "now", lambda _: now)
    house.service().run_once()
    assert [(a.rule, a.subject_id) for a in house.rows(AlertRow)] == [("supplier_refused", "S1")]
    now, sent["decoded"] = NOW + timedelta(hours=25), 2000
    house.service().run_once()
    assert "supplier_refused" not in {a.rule for a in house.rows(AlertRow) if a.state == "firing"}
