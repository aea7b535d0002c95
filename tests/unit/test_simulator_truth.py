"""What is planted keeps the promises of docs/virtual-city.md, for seeds that nobody chose."""

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from simulators.city import build_city
from simulators.deliveries import make_deliveries
from simulators.places import BURST_ZONES, DIRTY
from simulators.plans import month_starts
from simulators.truth import compute_truth

UNTIL = datetime.fromisoformat("2026-09-15T00:00:00+08:00")
SEEDS = range(100, 124)


@pytest.fixture(scope="module")
def told():
    """(city, truth) of two dozen seeds."""
    cities = [build_city(seed, until=UNTIL, days=60, users=32) for seed in SEEDS]
    return [(city, compute_truth(city)) for city in cities]


def planted(truth, kind):
    return [entry for entry in truth["planted"] if entry["kind"] == kind]


def days_before_the_end(entry):
    return (UNTIL - datetime.fromisoformat(entry["begin"])).total_seconds() / 86_400


def test_three_users_head_over_their_plan_and_are_not_over_it_yet(told):
    for _, truth in told:
        heading = planted(truth, "heading_over_plan")
        assert len({entry["subject_id"] for entry in heading}) == 3
        for entry in heading:
            assert 1.08 <= entry["size"]["projected_rate"] <= 1.25
            assert entry["size"]["used_m3"] < entry["size"]["plan_m3"]
            assert entry["period"] == "2026"


def test_one_user_is_over_its_plan_of_the_year(told):
    for _, truth in told:
        (entry,) = planted(truth, "over_plan")
        assert 1.02 <= entry["size"]["used_m3"] / entry["size"]["plan_m3"] <= 1.20


def test_all_other_users_keep_75_to_93_percent_of_their_plan(told):
    for _, truth in told:
        over = {
            e["subject_id"] for k in ("over_plan", "heading_over_plan") for e in planted(truth, k)
        }
        rates = [plan["use_rate"] for user, plan in truth["plans"].items() if user not in over]
        assert min(rates) >= 0.75
        assert max(rates) <= 0.93


def test_no_month_of_an_ordinary_user_is_near_its_plan(told):
    for city, truth in told:
        midnights = city.flows.user_midnights()
        kept = {
            e["subject_id"] for k in ("over_plan", "heading_over_plan") for e in planted(truth, k)
        }
        for row, virtual in enumerate(city.users):
            for plan in (plan for plan in city.plans if plan.user_id == virtual.user.id):
                if plan.year == 2026 and virtual.user.id in kept:
                    continue
                months = 12 if plan.year == 2025 else 8
                edges = [
                    city.days.index(day) for day in month_starts(date(plan.year, 1, 1), months)
                ]
                used = np.diff(midnights[row, edges]) / 1000
                assert (used < 0.98 * np.array(plan.months_m3[:months])).all()


def test_the_burst_is_12_to_15_percent_of_the_mean_inflow_and_goes_on(told):
    for city, truth in told:
        (entry,) = planted(truth, "night_flow_rise")
        assert entry["subject_id"] in BURST_ZONES
        assert 0.12 <= entry["size"]["share_of_mean_inflow"] <= 0.15
        assert 12 <= days_before_the_end(entry) <= 35.1
        burst = city.plants.burst
        last = city.instants(city.until_day)
        assert np.diff(burst.litres_until(last)).min() >= burst.litres_h // 4


def test_the_leak_strikes_a_user_whose_nights_are_near_zero(told):
    for city, truth in told:
        (entry,) = planted(truth, "continuous_flow")
        row = city.plants.leak.row
        assert city.users[row].quiet
        assert 0.15 <= entry["size"]["share_of_mean_flow"] <= 0.40
        assert entry["size"]["flow_m3_h"] >= 0.3
        assert 12 <= days_before_the_end(entry) <= 40.1
        before = city.first_day + timedelta(days=3)
        night = np.diff(city.flows.user_edges(city.days.index(before))[row, 8:21:4])
        after = np.diff(city.flows.user_edges(city.days.index(city.until_day))[row, 8:21:4])
        mean = entry["size"]["flow_m3_h"] * 1000 / entry["size"]["share_of_mean_flow"]
        assert night.max() < 0.05 * mean
        assert after.min() >= city.plants.leak.litres_h


def test_the_stopped_register_stands_while_readings_go_on(told):
    for city, truth in told[:4]:
        (entry,) = planted(truth, "stopped_meter")
        assert 4 <= days_before_the_end(entry) <= 10
        row = city.plants.stopped.row
        assert np.ptp(city.dials(city.until_day - timedelta(days=1))[row]) == 0
        end = int(city.until.timestamp())
        ((_, deliveries),) = make_deliveries(city, end - 86_400, end)
        address = city.meters[row].address
        assert any(address in f"{d.topic} {d.payload!r}" for d in deliveries)


def test_rollover_and_change_happen_within_the_history(told):
    for city, truth in told:
        assert [event["kind"] for event in truth["events"]] == ["rollover", "meter_change"]
        for event in truth["events"]:
            assert city.history_from < datetime.fromisoformat(event["at"]) < city.until
        rollover = truth["meters"][truth["events"][0]["meter_id"]]
        assert rollover["last_register_m3"] < rollover["first_register_m3"]
        total = rollover["last_register_m3"] + truth["events"][0]["modulus_m3"]
        assert total - rollover["first_register_m3"] == pytest.approx(rollover["total_m3"])


def test_no_subject_is_struck_twice_and_the_clear_ones_not_at_all(told):
    for _, truth in told:
        users = [entry["user_id"] for entry in truth["planted"] if entry["user_id"]]
        users += [event["user_id"] for event in truth["events"]]
        assert len(users) == len(set(users)) == 8
        assert not set(users) & set(truth["clear"]["users"])
        assert len(truth["clear"]["users"]) == 32 - 8


def test_the_city_stays_within_the_loss_rate_target(told):
    for _, truth in told:
        assert 0.09 <= truth["city"]["gross_rate"] <= 0.11
        assert 0.06 <= truth["city"]["rate"] <= 0.08


def test_more_than_a_twentieth_of_what_the_dirty_supplier_sends_is_refused(told):
    for _, truth in told:
        (entry,) = planted(truth, "supplier_refused")
        assert entry["subject_id"] == DIRTY.id
        assert 0.06 <= entry["size"]["refused_share"] <= 0.12


def test_days_months_and_totals_say_the_same(told):
    for city, truth in told[:3]:
        for meter in truth["meters"].values():
            assert sum(meter["days_m3"]) == pytest.approx(meter["total_m3"])
            assert sum(meter["months_m3"].values()) == pytest.approx(meter["total_m3"])
            assert len(meter["days_m3"]) == city.history_days
        for zone_id, zone in truth["zones"].items():
            parts = zone["real_m3"] + zone["users_m3"] + zone["burst_m3"]
            assert zone["inflow_m3"] == pytest.approx(parts)
            inlets = [m for m in truth["meters"].values() if m["zone_id"] == zone_id]
            signs = {"zone_inlet": 1, "zone_outlet": -1, "customer": 0}
            net = sum(signs[m["role"]] * m["total_m3"] for m in inlets)
            assert net == pytest.approx(zone["inflow_m3"])


def test_monthly_returns_follow_the_zones_supply(told):
    city, truth = told[0]
    august = next(r for r in city.returns if r.month == date(2026, 8, 1))
    inside = sum(
        sum(zone["days_m3"][(date(2026, 8, 1) - city.first_day).days :][:31])
        for zone in truth["zones"].values()
    )
    assert inside / august.system_input_m3 == pytest.approx(0.83, abs=1e-4)
