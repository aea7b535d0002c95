"""The stores over the registry database, held to the ports of the rooms that use them."""

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from analytics.quality import DELAYS
from storage.registry.figures import FigureStore
from storage.registry.jobs import JobStore
from storage.registry.state import RunStateStore
from storage.registry.store import RegistryStore
from water.columns import PLAN_STATUS, ZONE_DAYS, ZONE_NIGHTS
from water.meters import KnownMeter, Meter, MeterChange, MeterRole
from water.plans import MonthlyReturn, Plan
from water.users import Sector, WaterUser
from water.zones import Works, WorksKind, Zone

NOW = datetime(2026, 9, 15, 4, tzinfo=UTC)
METER = Meter(
    "m1", "s1", MeterRole.CUSTOMER, "77", "u1", "z1", 1e6, 16.0, 900,
    datetime(2024, 5, 1, tzinfo=UTC), None,
)  # fmt: skip


class _Clock:
    def now(self) -> datetime:
        return NOW


@pytest.fixture
def store(engine):
    """A registry with one user, its meter, and a zone within another."""
    store = RegistryStore(engine, _Clock())
    with store.transaction() as registry:
        registry.put("suppliers", [{"id": "s1", "name": "S"}, {"id": "s2", "name": "T"}])
        registry.put("zones", [asdict(Zone("z1", "Z")), asdict(Zone("z2", "Y", "z1", 1.5, 9, 0.3))])
        registry.put("users", [asdict(WaterUser("u1", "U", Sector.TEXTILE))])
        registry.put("meters", [asdict(METER)])
        device = {"supplier_id": "s2", "dialect": "chirpstack", "address": "a8", "meter_id": "m1"}
        registry.put("devices", [device])
    return store


@pytest.fixture
def figures(store, engine) -> FigureStore:
    return FigureStore(engine)


def test_what_was_put_is_read_back_as_the_words_of_the_trade(store):
    change = MeterChange("m1", NOW, 900.5, 0.25, "old")
    returned = MonthlyReturn(date(2026, 8, 1), 1, 2, 3, 4, 5, 6, 7, 8, 0.4)
    works = Works("z1", WorksKind.FIRE, NOW, NOW + timedelta(hours=1), "n")
    with store.transaction() as registry:
        registry.put("meter_changes", [asdict(change)])
        registry.put("monthly_returns", [asdict(returned)])
        registry.put("works", [asdict(works)])
    assert store.meters() == [METER]
    assert store.users() == [WaterUser("u1", "U", Sector.TEXTILE)]
    assert store.zones() == [Zone("z1", "Z"), Zone("z2", "Y", "z1", 1.5, 9, 0.3)]
    assert store.meter_changes() == [change]
    assert store.monthly_returns() == [returned]
    assert store.works() == [works]
    assert isinstance(store.meters()[0].role, MeterRole)


def test_works_of_the_same_zone_kind_and_beginning_are_replaced(store):
    works = asdict(Works("z1", WorksKind.FIRE, NOW, NOW + timedelta(hours=1)))
    with store.transaction() as registry:
        registry.put("works", [works])
        registry.put("works", [works | {"ends": NOW + timedelta(hours=2)}])
    assert [row.ends for row in store.works()] == [NOW + timedelta(hours=2)]


def test_the_highest_version_of_a_plan_is_in_force(store):
    plans = [Plan("u1", 2026, (float(v),) * 12, v) for v in (1, 2)]
    other_year = Plan("u1", 2025, (9.0,) * 12, 3)
    with store.transaction() as registry:
        for plan in [*plans, other_year]:
            registry.put("plans", [asdict(plan) | {"months_m3": list(plan.months_m3)}])
    assert store.plans(2026) == [plans[1]]
    assert store.plans(2027) == []


def test_devices_lead_to_meters_and_a_meter_answers_to_its_own_id(store):
    known = KnownMeter("m1", "s1", 1e6, 20.0, 1_714_521_600, None)  # Q4 = 1.25 · 16 m³/h
    devices = store.devices()
    assert set(devices) == {("s2", "chirpstack", "a8"), ("s1", "jieshui", "m1")}
    assert set(devices.values()) == {known}


def test_the_directory_version_moves_with_meters_and_not_with_plans(store):
    before = store.version()
    with store.transaction() as registry:
        plan = asdict(Plan("u1", 2026, (1.0,) * 12)) | {"months_m3": [1.0] * 12}
        registry.put("plans", [plan])
    assert store.version() == before
    with store.transaction() as registry:
        registry.put("meters", [asdict(METER) | {"serial": "78"}])
    assert store.version() > before


def test_a_transaction_that_fails_leaves_nothing(store):
    def fail() -> None:
        with store.transaction() as registry:
            registry.put("suppliers", [{"id": "s3", "name": "V"}])
            raise RuntimeError

    before = store.version()
    with pytest.raises(RuntimeError):
        fail()
    assert store.suppliers() == {"s1", "s2"}
    assert store.version() == before


def _days(*days: str) -> pd.Series:
    return pd.Series(pd.to_datetime(list(days))).astype("datetime64[s]")


def _nights(flow: float) -> pd.DataFrame:
    start = pd.to_datetime(["2026-09-13T19:00Z", None], utc=True)
    nights = {
        "zone_id": ["z1", "z2"],
        "day": _days("2026-09-14", "2026-09-14"),
        "start": pd.Series(start).astype("datetime64[s, UTC]"),
        "minimum_night_flow_m3_h": [flow, float("nan")],
        "night_use_m3_h": [1.0, float("nan")],
        "net_night_flow_m3_h": [flow - 1, float("nan")],
        "baseline_m3_h": [float("nan"), float("nan")],
        "measured_share": [1.0, 0.0],
    }
    frame = pd.DataFrame(nights)[list(ZONE_NIGHTS)]
    return frame.astype({"zone_id": "str"})


def test_zone_nights_come_back_as_they_were_saved_last(figures):
    figures.save_zone_nights(_nights(5.0))
    figures.save_zone_nights(_nights(7.5))
    loaded = figures.load_zone_nights(date(2026, 9, 14), date(2026, 9, 14))
    pd.testing.assert_frame_equal(loaded, _nights(7.5))


def test_nights_outside_the_days_asked_for_are_an_empty_frame_of_the_same_columns(figures):
    figures.save_zone_nights(_nights(5.0))
    loaded = figures.load_zone_nights(date(2026, 9, 15), date(2026, 9, 20))
    pd.testing.assert_series_equal(loaded.dtypes, _nights(5.0).dtypes)
    assert loaded.empty


def test_a_frame_without_a_column_is_refused_by_its_name(figures):
    with pytest.raises(ValueError, match=r"zone_night.*lacks baseline_m3_h; it has zone_id"):
        figures.save_zone_nights(_nights(5.0).drop(columns="baseline_m3_h"))


def test_plan_status_zone_days_arrivals_and_rates_replace_their_rows(figures, engine):
    shares = {"measured_share": [1.0], "estimated_share": [0.0], "missing_share": [0.0]}
    status = pd.DataFrame({
        "user_id": ["u1"], "year": [2026], "as_of": [pd.Timestamp(NOW)], "plan_m3": [12.0],
        "plan_to_date_m3": [8.0], "used_m3": [4.0], "use_rate": [0.5], "level": [""],
        "projected_m3": [float("nan")], "projected_rate": [float("nan")], **shares,
    })[list(PLAN_STATUS)]  # fmt: skip
    days = pd.DataFrame({
        "zone_id": ["z1"], "day": _days("2026-09-14"), "inflow_m3": [float("nan")],
        "large_use_m3": [3.0], **shares,
    })[list(ZONE_DAYS)]  # fmt: skip
    arrivals = pd.DataFrame({
        "meter_id": ["m1"], "day": _days("2026-09-14"), "expected": [96], "received": [95],
        "valid": [94], **{name: [float("nan")] for name in DELAYS},
    })  # fmt: skip
    rate = {
        "period": "2026-08", "as_of": NOW, "system_input_m3": 10.0, "authorised_m3": 9.0,
        "losses_m3": 1.0, "gross_rate": 0.1, "rate": None, "corrections": {}, "provisional": True,
    }  # fmt: skip
    for used, share in ((4.0, 0.1), (5.0, 0.2)):
        figures.save_plan_status(status.assign(used_m3=used))
        figures.save_zone_days(days.assign(large_use_m3=used))
        figures.save_arrivals(arrivals.assign(received=int(used)))
        figures.save_city_rates([rate | {"gross_rate": share}])
    with engine.connect() as connection:
        for query, wanted in (
            ("SELECT used_m3, projected_m3 FROM plan_status", (5.0, None)),
            ("SELECT large_use_m3, inflow_m3 FROM zone_day", (5.0, None)),
            ("SELECT received, valid, least_delay_s FROM arrival", (5, 94, None)),
            ("SELECT gross_rate, rate FROM city_rate", (0.2, None)),
        ):
            assert connection.exec_driver_sql(query).all() == [wanted]


def test_verdicts_are_replaced_within_the_window_of_these_meters_only(figures, store, engine):
    with store.transaction() as registry:
        registry.put("meters", [asdict(METER) | {"id": "m2"}])

    def verdicts(*rows: tuple[str, int, str]) -> pd.DataFrame:
        frame = pd.DataFrame(rows, columns=["meter_id", "hours", "verdict"])
        at = pd.Timestamp(NOW) + pd.to_timedelta(frame.pop("hours"), unit="h")
        return frame.assign(at=at.astype("datetime64[s, UTC]"))

    def hour(n: int) -> datetime:
        return NOW + timedelta(hours=n)

    figures.replace_verdicts(["m1"], hour(0), hour(9), verdicts(("m1", 1, "spike"), ("m1", 5, "x")))
    figures.replace_verdicts(["m2"], hour(0), hour(9), verdicts(("m2", 1, "spike")))
    figures.replace_verdicts(["m1"], hour(0), hour(5), verdicts(("m1", 2, "backward")))
    with engine.connect() as connection:
        query = "SELECT meter_id, verdict FROM verdict ORDER BY meter_id, at"
        kept = [tuple(row) for row in connection.exec_driver_sql(query)]
    assert kept == [("m1", "backward"), ("m1", "x"), ("m2", "spike")]


def test_run_state_outlives_the_store(engine):
    assert RunStateStore(engine).get("mark") is None
    RunStateStore(engine).set("mark", {"at": 1})
    RunStateStore(engine).set("mark", {"at": 2, "of": ["a"]})
    assert RunStateStore(engine).get("mark") == {"at": 2, "of": ["a"]}


def test_a_job_is_taken_once_and_oldest_first(engine):
    jobs = JobStore(engine, _Clock())
    first = jobs.ask("replay", {"from": 1}, "admin")
    jobs.ask("replay", {"from": 2}, "admin")
    jobs.ask("other", {}, "admin")
    taken = jobs.take(["replay", "release"])
    assert (taken.id, taken.kind, taken.arguments) == (first, "replay", {"from": 1})
    assert jobs.take(["replay"]).arguments == {"from": 2}
    assert jobs.take(["replay"]) is None
    jobs.finish(first, {"readings": 3})
    row = jobs.job(first)
    assert (row["state"], row["outcome"], row["ended_at"]) == ("done", {"readings": 3}, NOW)
    assert jobs.job(999) is None


def test_jobs_that_a_dead_process_left_wait_again(engine):
    jobs = JobStore(engine, _Clock())
    failed, left = jobs.ask("replay", {}, "a"), jobs.ask("replay", {}, "a")
    jobs.take(["replay"])
    jobs.take(["replay"])
    jobs.finish(failed, {"error": "gone"}, failed=True)
    assert jobs.release(["replay"]) == 1
    assert jobs.take(["replay"]).id == left
    assert jobs.job(failed)["state"] == "failed"
