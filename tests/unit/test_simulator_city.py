"""The virtual city: closed balances, same seed same bytes, people and meters that make sense."""

import hashlib
from datetime import date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulators.city import build_city
from simulators.deliveries import make_deliveries
from simulators.errors import CityError
from simulators.files import COLUMNS, write_registry
from simulators.names import credit_code_check
from simulators.places import BURST_ZONES, DIRTY, PLACES
from simulators.plants import DAY_S
from simulators.real_inflow import load_real_inflow
from simulators.sectors import HABITS, day_factors, day_shape, quiet_at_night
from simulators.truth import write_truth
from water.meters import MeterRole
from water.users import Sector

UNTIL = datetime.fromisoformat("2026-09-15T00:00:00+08:00")


def small_city(seed, **options):
    return build_city(seed, until=UNTIL, **{"days": 40, "users": 20} | options)


@pytest.fixture(scope="module")
def city():
    return small_city(3)


def volumes(city, passed, zone_id, role):
    """Litres a quarter through the meters of a role in a zone."""
    rows = [
        row
        for row, virtual in enumerate(city.meters)
        if (virtual.meter.zone_id, virtual.meter.role) == (zone_id, role)
    ]
    return np.diff(passed[rows]).sum(axis=0)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**31), days_back=st.integers(1, 40))
def test_the_balance_of_every_zone_closes_in_every_quarter_hour(seed, days_back):
    city = small_city(seed)
    day = city.until_day - timedelta(days=days_back)
    index, burst, passed = city.days.index(day), city.plants.burst, city.passed(day)
    real = np.diff(city.flows.real_edges(index))
    for row, place in enumerate(PLACES):
        inlets = volumes(city, passed, place.id, "zone_inlet")
        outlets = volumes(city, passed, place.id, "zone_outlet")
        users = volumes(city, passed, place.id, "customer")
        spilt = np.diff(burst.litres_until(city.instants(day))) if row == burst.row else 0
        assert (inlets - outlets == real[row] + users + spilt).all()


def test_an_hour_of_real_inflow_keeps_its_volume(city):
    index = city.days.index(date(2026, 3, 3))
    hours = np.diff(city.flows.real_edges(index)[:, ::4])
    assert (hours == city.flows.real_litres[:, index * 24 : index * 24 + 24]).all()


def test_real_inflow_keeps_weekday_and_season_on_the_wall_clock():
    # District 5 at local 2021-09-13 00:00, a Monday, as the data set has it: 61.755 L/s.
    inflow = load_real_inflow(date(2025, 9, 15), 365)
    assert date(2025, 9, 15).weekday() == date(2021, 9, 13).weekday()
    assert inflow.litres[4, 0] == round(61.755 * 3600)
    assert not inflow.filled[4, 0]


def test_no_hour_of_the_real_inflow_is_missing():
    inflow = load_real_inflow(date(2024, 1, 1), 1200)
    assert (inflow.litres > 0).all()
    assert inflow.filled.mean() < 0.12


def test_the_hour_that_spring_lost_is_bridged():
    # 2022-03-27 02:00 in Rome doesn't exist; 209 weeks later it is 2026-03-29 02:00.
    inflow = load_real_inflow(date(2026, 3, 29), 1)
    one, lost, three = inflow.litres[4, 1:4]
    assert inflow.filled[4, 2]
    assert abs(lost - (one + three) / 2) <= 1


def _bytes_of(city, folder):
    digest = hashlib.sha256()
    begin = int(city.history_from.timestamp()) - 1
    for due, deliveries in make_deliveries(city, begin, begin + 9 * DAY_S):
        for delivery in deliveries:
            digest.update(f"{due} {delivery.topic}".encode() + delivery.payload)
    write_registry(city, folder)
    write_truth(city, folder / "truth.json")
    for path in sorted(folder.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    once, again = (_bytes_of(small_city(8), tmp_path / name) for name in ("a", "b"))
    assert once == again
    assert _bytes_of(small_city(9), tmp_path / "c") != once


def test_registers_never_run_backwards_except_over_the_dial_and_the_change(city):
    steps = np.concatenate(
        [np.diff(city.dials(city.first_day + timedelta(days=i))) for i in range(city.history_days)],
        axis=1,
    )
    backwards = {int(row) for row in np.unique(np.nonzero(steps < 0)[0])}
    assert backwards == {city.plants.rollover.row, city.plants.change.row}


def test_the_changed_meter_loses_no_water(city):
    (change,), event = city.changes, city.plants.change
    day = city.days.first + timedelta(days=(event.at - city.days.start) // DAY_S)
    dials, passed = city.dials(day)[event.row], city.passed(day)[event.row]
    to_the_end = change.old_final_m3 * 1000 - dials[0]
    from_the_begin = dials[-1] - change.new_initial_m3 * 1000
    assert to_the_end + from_the_begin == pytest.approx(passed[-1] - passed[0])


def test_no_meter_runs_beyond_seven_tenths_of_q4(city):
    for back in (1, 9, 20, 33):
        peaks = np.diff(city.passed(city.until_day - timedelta(days=back))).max(axis=1) * 4 / 1000
        for peak, virtual in zip(peaks, city.meters, strict=True):
            assert peak < 0.7 * 1.25 * virtual.meter.q3_m3_h


def test_every_user_draws_water_on_every_day_until_its_meter_stops(city):
    daily = np.diff(city.flows.user_midnights())
    stopped = city.plants.stopped
    going = np.delete(daily, stopped.row, axis=0)
    assert going.min() > 0
    after = (stopped.at - city.days.start) // DAY_S + 1
    assert (daily[stopped.row, after:] == 0).all()
    assert daily[stopped.row, : after - 1].min() > 0


@pytest.mark.parametrize("sector", list(Sector))
def test_nights_are_near_zero_or_steady_as_the_sector_has_it(city, sector):
    rows = [row for row, user in enumerate(city.users) if user.user.sector is sector]
    nights = np.array(
        [
            np.diff(city.flows.user_edges(city.days.index(day))[rows, 8:21:4])
            for day in (date(2026, 7, 6) + timedelta(days=i) for i in range(12))
        ]
    ).min(axis=2)
    means = np.array([(city.users[row].user.annual_volume_m3 or 0) / 8.76 for row in rows])
    if quiet_at_night(sector):
        assert (nights < 0.02 * means).all()
    elif HABITS[sector].night_share:
        assert (nights > 0.1 * means).all()


@pytest.mark.parametrize("sector", list(Sector))
def test_a_day_shape_is_a_share_of_the_day(sector):
    shape = day_shape(sector)
    assert shape.sum() == pytest.approx(1)
    assert (shape >= 0).all()


@pytest.mark.parametrize(
    ("sector", "day", "least", "most"),
    [
        (Sector.MARKET, date(2026, 2, 17), 0.01, 0.1),
        (Sector.PRINTING, date(2026, 2, 17), 0.05, 0.15),
        (Sector.TEXTILE, date(2026, 2, 17), 0.05, 0.15),
        (Sector.SCHOOL, date(2026, 7, 20), 0.15, 0.20),
        (Sector.HOTEL, date(2026, 5, 2), 1.2, 1.5),
        (Sector.MACHINERY, date(2026, 5, 9), 0.9, 1.1),  # a Saturday that is made up for
        (Sector.OFFICE, date(2026, 5, 17), 0.2, 0.4),
    ],
)
def test_sectors_follow_the_chinese_calendar(sector, day, least, most):
    (factor,) = day_factors(sector, [day])
    assert least <= factor <= most


def test_credit_codes_carry_their_check_digit(city):
    # GB 32100-2015 worked by hand for 91330782000000000: 9·1+1·3+3·9+3·27+0+7·26+8·16+2·17 = 464;
    # 464 mod 31 = 30, 31 − 30 = 1.
    assert credit_code_check("91330782000000000") == "1"
    for user in city.users:
        code = user.user.credit_code
        assert len(code) == 18
        assert code[-1] == credit_code_check(code[:17])


def test_users_are_large_and_have_names_of_their_own():
    city = small_city(4, users=240)
    users = [user.user for user in city.users]
    assert len({user.name for user in users}) == len({user.id for user in users}) == 240
    assert min(user.annual_volume_m3 for user in users) >= 10_000
    fine = [virtual.meter for virtual in city.meters if virtual.meter.role is MeterRole.CUSTOMER]
    assert sum(meter.interval_s == 900 for meter in fine) == 30


def test_a_burst_is_only_planted_where_nights_are_quiet():
    zones = {PLACES[small_city(seed).plants.burst.row].id for seed in range(6)}
    assert zones <= set(BURST_ZONES)
    assert len(zones) > 1


def test_every_csv_has_the_columns_of_its_kind(city, tmp_path):
    write_registry(city, tmp_path)
    for kind, columns in COLUMNS.items():
        header, *rows = (tmp_path / f"{kind}.csv").read_text("utf-8").splitlines()
        assert header == ",".join(columns)
        assert rows


def test_devices_name_every_meter_whose_dialect_has_its_own_addresses(city, tmp_path):
    write_registry(city, tmp_path)
    lines = (tmp_path / "devices.csv").read_text("utf-8").splitlines()[1:]
    listed = {line.split(",")[3] for line in lines}
    wanted = {m.meter.id for m in city.meters if m.supplier.dialect != "jieshui"}
    assert listed == wanted


def test_a_history_that_ends_within_a_day_is_refused():
    with pytest.raises(CityError, match="local midnight"):
        build_city(1, until=UNTIL + timedelta(hours=3), days=5, users=20)


def test_a_city_of_a_handful_of_users_is_refused():
    with pytest.raises(CityError, match="at least 16 users"):
        build_city(1, until=UNTIL, days=5, users=8)


def test_the_dirty_supplier_has_nothing_else_planted():
    for seed in range(4):
        city = small_city(seed)
        assert not {row for row in city.plants.users if city.users[row].supplier is DIRTY}
