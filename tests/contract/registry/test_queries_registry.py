"""The registry's answers held to api.ports.RegistryQueries: sight, order, cursors, figures."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.orm import Session

from api.ports import RegistryQueries as Port
from storage.registry.models import (
    AlertEventRow,
    AlertRow,
    ArrivalRow,
    CityRateRow,
    DeviceRow,
    MeterChangeRow,
    MeterRow,
    NoticeRow,
    PlanRow,
    PlanStatusRow,
    SupplierRow,
    UserRow,
    VerdictRow,
    ZoneDayRow,
    ZoneNightRow,
    ZoneRow,
)
from storage.registry.queries import RegistryQueries
from water.city_time import CityTime
from water.clock import ScaledClock
from water.viewer import Role, Viewer

# 2026-09-15 07:30 in Shanghai, still the 14th in UTC: days must be the city's.
NOW = datetime(2026, 9, 14, 23, 30, tzinfo=UTC)
BUREAU = Viewer("bureau", Role.BUREAU)
NORTH = Viewer("north", Role.SUPPLIER, "north")
SOUTH = Viewer("south", Role.SUPPLIER, "south")
HOTEL = Viewer("hotel", Role.USER, "u2")


def _alert(number, subject_kind, subject_id, *, state="firing", severity="warning"):
    opened = NOW - timedelta(days=5) + timedelta(hours=number // 2)  # two alerts an instant
    return AlertRow(
        id=number,
        rule="rule",
        subject_kind=subject_kind,
        subject_id=subject_id,
        period=str(number),
        state=state,
        severity=severity,
        opened_at=opened,
        seen_at=NOW,
        evidence={"figures": {"used_m3": 1.5}},
    )


def _status(user_id, *, used_m3, level, year=2026):
    return PlanStatusRow(
        user_id=user_id, year=year, as_of=NOW, plan_m3=1000.0, plan_to_date_m3=700.0,
        used_m3=used_m3, use_rate=used_m3 / 700, projected_m3=None, projected_rate=None,
        level=level, measured_share=1.0, estimated_share=0.0, missing_share=0.0,
    )  # fmt: skip


def _day(zone_id, day, inflow_m3, large_use_m3):
    return ZoneDayRow(
        zone_id=zone_id, day=day, inflow_m3=inflow_m3, large_use_m3=large_use_m3,
        measured_share=1.0, estimated_share=0.0, missing_share=0.0,
    )  # fmt: skip


def _night(zone_id, day, minimum):
    return ZoneNightRow(
        zone_id=zone_id, day=day, start=NOW if minimum else None,
        minimum_night_flow_m3_h=minimum, night_use_m3_h=1.0, net_night_flow_m3_h=minimum,
        baseline_m3_h=None, measured_share=1.0,
    )  # fmt: skip


def _rate(period, gross_rate=0.1):
    return CityRateRow(
        period=period, as_of=NOW, system_input_m3=100.0, authorised_m3=90.0, losses_m3=10.0,
        gross_rate=gross_rate, rate=None, corrections={}, provisional=True,
    )  # fmt: skip


def _seed(session):
    session.add_all([SupplierRow(id="north", name="北"), SupplierRow(id="south", name="南")])
    session.add_all([ZoneRow(id="z1", name="城区"), ZoneRow(id="z3", name="江南")])
    session.flush()
    session.add(ZoneRow(id="z2", name="城中", parent_id="z1"))
    session.add_all(
        [
            UserRow(id="u1", name="第一纺织", sector="textile", credit_code="91330782X"),
            UserRow(id="u2", name="江南 hotel", sector="hotel"),
            UserRow(id="u3", name="无表", sector="office"),
            UserRow(id="u4", name="100%棉", sector="textile"),
        ]
    )
    session.flush()
    customers = [
        ("m1", "north", "u1", "z2"), ("m2", "south", "u2", "z3"),
        ("m4", "north", "u4", "z2"), ("m5", "south", "u4", "z3"),
    ]  # fmt: skip
    session.add_all(
        MeterRow(id=meter, supplier_id=supplier, role="customer", user_id=user, zone_id=zone)
        for meter, supplier, user, zone in customers
    )
    session.add(MeterRow(id="m6", supplier_id="north", role="zone_inlet", zone_id="z1"))
    session.add(MeterRow(id="m7", supplier_id="south", role="zone_inlet", zone_id="z3"))
    session.flush()
    session.add(DeviceRow(supplier_id="north", dialect="jieshui", address="a1", meter_id="m1"))
    session.add(MeterChangeRow(meter_id="m1", at=NOW, old_final_m3=9.0, new_initial_m3=0.0))
    session.add(VerdictRow(meter_id="m1", at=NOW, verdict="spike"))
    session.add_all(
        PlanRow(user_id="u1", year=2026, version=version, months_m3=[float(version)] * 12)
        for version in (1, 2)
    )
    session.add_all(
        [
            _status("u1", used_m3=1100.0, level="warning"),
            _status("u1", used_m3=5.0, level="", year=2025),
            _status("u2", used_m3=800.0, level="notice"),
            _status("u4", used_m3=1000.0, level=""),
        ]
    )
    _seed_figures(session)
    session.add_all(
        [
            _alert(1, "user", "u1", severity="formal"),
            _alert(2, "user", "u2"),
            _alert(3, "meter", "m1", state="pending"),
            _alert(4, "meter", "m2", state="acknowledged"),
            _alert(5, "zone", "z2", severity="red"),
            _alert(6, "supplier", "south"),
            _alert(7, "meter", "m2", state="resolved"),
        ]
    )
    session.flush()
    session.add(AlertEventRow(alert_id=4, at=NOW, to_state="firing", actor="system", reason="r"))
    session.add(
        NoticeRow(
            alert_id=4,
            audience="bureau",
            title="t",
            body="b",
            created_at=NOW,
            next_attempt_at=NOW,
        )
    )


def _seed_figures(session):
    # z1 holds z2; both days of z1 count, z2's water is part of it.
    session.add_all(
        [
            _day("z1", date(2026, 9, 14), 100.0, 40.0),
            _day("z1", date(2026, 9, 13), 100.0, 20.0),
            _day("z1", date(2026, 9, 12), None, 20.0),
            _day("z1", date(2026, 8, 31), 50.0, 10.0),
            _day("z1", date(2026, 8, 15), 500.0, 0.0),  # 31 days ago
            _day("z1", date(2026, 9, 15), 7.0, 7.0),  # today is not whole
            _day("z2", date(2026, 9, 14), 60.0, 30.0),
            _day("z3", date(2026, 9, 14), 10.0, 5.0),
            _night("z1", date(2026, 9, 13), 8.0),
            _night("z1", date(2026, 9, 14), None),
        ]
    )
    session.add_all(
        ArrivalRow(meter_id=meter, day=date(2026, 9, 14), expected=96, received=received, valid=0)
        for meter, received in (("m1", 96), ("m2", 48))
    )
    session.add_all(
        _rate(period)
        for period in ("2025", "2026", "2026-07", "2026-08", "r12:2026-07", "r12:2026-08")
    )


@pytest.fixture
def queries(engine) -> Port:
    with Session(engine) as session:
        _seed(session)
        session.commit()
    return RegistryQueries(engine, ScaledClock(NOW, NOW, 0), CityTime(ZoneInfo("Asia/Shanghai")))


def _ids(page):
    return [row["id"] for row in page.rows]


def _every_page(fetch):
    """Ids page by page with a limit of one, and that no page is larger."""
    ids, cursor = [], None
    while True:
        page = fetch(cursor=cursor, limit=1)
        assert len(page.rows) <= 1
        ids += _ids(page)
        cursor = page.next
        if cursor is None:
            return ids


@pytest.mark.parametrize(
    ("viewer", "users", "meters", "zones", "alerts"),
    [
        pytest.param(
            BUREAU, ["u1", "u2", "u3", "u4"], ["m1", "m2", "m4", "m5", "m6", "m7"],
            ["z1", "z2", "z3"], [7, 6, 5, 4, 3, 2, 1], id="the-bureau-sees-all",
        ),
        pytest.param(
            NORTH, ["u1", "u4"], ["m1", "m4", "m6"], ["z1", "z2"], [3], id="a-supplier-sees-its-own"
        ),
        pytest.param(
            SOUTH, ["u2", "u4"], ["m2", "m5", "m7"], ["z3"], [7, 6, 4], id="so-does-the-other"
        ),
        pytest.param(HOTEL, ["u2"], ["m2"], [], [7, 4, 2], id="a-user-sees-itself"),
    ],
)  # fmt: skip
def test_every_page_of_every_list_stays_in_sight(queries, viewer, users, meters, zones, alerts):
    assert _every_page(lambda **at: queries.users(viewer, **at)) == users
    assert _every_page(lambda **at: queries.meters(viewer, **at)) == meters
    assert _every_page(lambda **at: queries.zones(viewer, **at)) == zones
    assert _every_page(lambda **at: queries.alerts(viewer, state="all", **at)) == alerts


def test_what_is_out_of_sight_looks_like_what_does_not_exist(queries):
    assert queries.user(NORTH, "u2") is None is queries.user(NORTH, "nobody")
    assert queries.meter(NORTH, "m2") is None is queries.meter(NORTH, "none")
    assert queries.zone(NORTH, "z3") is None is queries.zone(NORTH, "none")
    assert queries.alert(NORTH, 4) is None is queries.alert(NORTH, 999)
    days = (date(2026, 1, 1), date(2026, 12, 31))
    assert queries.zone_days(NORTH, "z3", *days) == []
    assert queries.zone_nights(HOTEL, "z1", *days) == []


def test_a_cursor_of_somebody_else_opens_nothing_more(queries):
    cursor = queries.users(BUREAU, limit=1).next
    assert _ids(queries.users(NORTH, cursor=cursor)) == ["u4"]


def test_visible_meters_are_all_for_those_who_see_all(queries):
    assert queries.visible_meters(BUREAU) is None
    assert queries.visible_meters(NORTH) == {"m1", "m4", "m6"}
    assert queries.visible_meters(HOTEL) == {"m2"}


def test_a_user_shows_only_the_meters_in_sight(queries):
    assert [meter["id"] for meter in queries.user(NORTH, "u4")["meters"]] == ["m4"]
    assert [meter["id"] for meter in queries.user(BUREAU, "u4")["meters"]] == ["m4", "m5"]


def test_a_cursor_that_no_list_gave_out_is_refused(queries):
    of_users = queries.users(BUREAU, limit=1).next
    of_alerts = queries.alerts(BUREAU, limit=1).next
    for list_of, cursor in (
        (queries.meters, of_users),
        (queries.users, of_alerts),
        (queries.users, "x"),
        (queries.users, "é"),
        (queries.users, "WyJ1c2VycyIsbnVsbF0"),  # ["users",null]
        (queries.alerts, "WyJhbGVydHMiLCJ4IiwxXQ"),  # ["alerts","x",1]
        (queries.alerts, "WyJhbGVydHMiLCIyMDI2LTAxLTAxVDAwOjAwOjAwIiwxXQ"),  # no zone
        (queries.alerts, "Wzk5OTk5OTk5OTk5OTk5OTk5OV0"),
    ):
        with pytest.raises(ValueError, match="not a cursor"):
            list_of(BUREAU, cursor=cursor)


def test_users_carry_the_plan_status_of_the_citys_present_year(queries):
    rows = {row["id"]: row for row in queries.users(BUREAU).rows}
    assert (rows["u1"]["year"], rows["u1"]["used_m3"]) == (2026, 1100.0)
    assert (rows["u3"]["year"], rows["u3"]["used_m3"]) == (2026, None)
    assert queries.users(BUREAU, year=2025).rows[0]["used_m3"] == 5.0


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        pytest.param({"level": "any"}, ["u1", "u2"], id="any-level"),
        pytest.param({"level": "over"}, ["u1"], id="exactly-the-plan-is-not-over"),
        pytest.param({"level": "notice"}, ["u2"], id="one-level"),
        pytest.param({"text": "HOTEL"}, ["u2"], id="text-in-any-case"),
        pytest.param({"text": "%"}, ["u4"], id="a-wildcard-is-a-character"),
        pytest.param({"text": "91330782"}, ["u1"], id="credit-code"),
        pytest.param({"sector": "textile"}, ["u1", "u4"], id="sector"),
    ],
)
def test_users_are_chosen_by(queries, wanted, ids):
    assert _ids(queries.users(BUREAU, **wanted)) == ids


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        pytest.param({"role": "zone_inlet"}, ["m6", "m7"], id="role"),
        pytest.param({"user_id": "u4"}, ["m4", "m5"], id="user"),
        pytest.param({"zone_id": "z2"}, ["m1", "m4"], id="zone"),
        pytest.param({"text": "m7"}, ["m7"], id="text"),
    ],
)
def test_meters_are_chosen_by(queries, wanted, ids):
    assert _ids(queries.meters(BUREAU, **wanted)) == ids


def test_open_alerts_are_those_that_still_stand(queries):
    assert _ids(queries.alerts(BUREAU)) == [6, 5, 4, 3, 2, 1]
    assert _ids(queries.alerts(BUREAU, state="pending")) == [3]
    assert _ids(queries.alerts(BUREAU, state="all", subject_id="m2")) == [7, 4]


def test_an_alert_shows_its_notices_to_those_who_see_all(queries):
    alert = queries.alert(BUREAU, 4)
    assert [event["actor"] for event in alert["events"]] == ["system"]
    assert [notice["audience"] for notice in alert["notices"]] == ["bureau"]
    assert alert["evidence"] == {"figures": {"used_m3": 1.5}}
    assert queries.alert(SOUTH, 4)["notices"] == []


def test_a_user_shows_every_version_of_its_plans_newest_first(queries):
    user = queries.user(BUREAU, "u1")
    assert [(plan["version"], plan["year_m3"]) for plan in user["plans"]] == [(2, 24.0), (1, 12.0)]
    assert [status["year"] for status in user["plan_status"]] == [2026, 2025]


def test_a_meter_shows_addresses_changes_and_verdicts(queries):
    meter = queries.meter(NORTH, "m1")
    assert meter["devices"] == [{"supplier_id": "north", "dialect": "jieshui", "address": "a1"}]
    assert meter["changes"][0]["at"] == NOW
    assert meter["verdicts"] == [{"at": NOW, "verdict": "spike"}]


def test_a_zone_shows_its_newest_measured_night_and_its_last_30_whole_days(queries):
    zone = queries.zone(BUREAU, "z1")
    assert (zone["night_day"], zone["minimum_night_flow_m3_h"]) == (date(2026, 9, 13), 8.0)
    # (100 + 100 + 50 − 40 − 20 − 10) / (100 + 100 + 50); unmeasured, older days and today are out
    assert (zone["inflow_m3"], zone["gross_loss_share"]) == (250.0, pytest.approx(180 / 250))
    assert queries.zones(BUREAU).rows[0] == zone


def test_zone_days_include_both_ends(queries):
    days = queries.zone_days(BUREAU, "z1", date(2026, 8, 31), date(2026, 9, 13))
    assert [row["day"] for row in days] == [
        date(2026, 8, 31), date(2026, 9, 12), date(2026, 9, 13)
    ]  # fmt: skip


def test_home_counts_what_the_bureau_sees(queries):
    home = queries.home(BUREAU)
    assert (home["users"], home["over"], home["at_risk"]) == (4, 1, 1)
    assert home["alerts"] == {"notice": 0, "warning": 4, "formal": 1, "red": 1}
    # z2 lies in z1 and is not counted again
    assert (home["day"], home["day_supply_m3"], home["day_large_use_m3"]) == (
        date(2026, 9, 14), 110.0, 45.0
    )  # fmt: skip
    assert (home["month"], home["month_supply_m3"]) == (date(2026, 8, 1), 550.0)
    assert (home["arrival_day"], home["arrival_rate"]) == (date(2026, 9, 14), 0.75)
    assert [rate["period"] for rate in home["city_rates"]] == ["2026", "2026-08", "r12:2026-08"]
    assert home["as_of"] == NOW


def test_home_of_a_supplier_is_of_its_own(queries):
    home = queries.home(SOUTH)
    assert (home["users"], home["over"], home["at_risk"]) == (2, 0, 1)
    assert (home["day_supply_m3"], home["arrival_rate"]) == (10.0, 0.5)
    assert home["city_rates"] == []
    assert queries.home(HOTEL)["day"] is None


def test_city_rates_are_for_those_who_see_all(queries):
    assert len(queries.city_rates(BUREAU)) == 6
    assert queries.city_rates(NORTH) == queries.city_rates(HOTEL) == []


def test_home_counts_zones_inside_one_without_an_inlet(queries, engine):
    with Session(engine) as session, session.begin():
        session.add(ZoneRow(id="z9", name="全市"))
        session.flush()
        for zone_id in ("z1", "z3"):
            session.get_one(ZoneRow, zone_id).parent_id = "z9"
        # z2 has an inlet of its own now, but its water came through that of z1
        session.add(MeterRow(id="m8", supplier_id="north", role="zone_inlet", zone_id="z2"))
    home = queries.home(BUREAU)
    assert (home["day_supply_m3"], home["day_large_use_m3"]) == (110.0, 45.0)


def test_gross_loss_is_of_days_that_are_wholly_known(queries, engine):
    with Session(engine) as session, session.begin():
        session.add(_day("z1", date(2026, 9, 11), 900.0, 0.0))
        session.get_one(ZoneDayRow, ("z1", date(2026, 9, 13))).missing_share = 0.25
        session.get_one(ZoneDayRow, ("z1", date(2026, 9, 11))).missing_share = 0.01
    zone = queries.zone(BUREAU, "z1")
    assert (zone["gross_loss_share"], zone["gross_loss_days"]) == (pytest.approx(100 / 150), 2)
    assert queries.zone(BUREAU, "z2")["gross_loss_days"] == 1
