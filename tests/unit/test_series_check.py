from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from analytics.frames import FrameError
from analytics.series import check_series
from water.meters import Meter, MeterChange, MeterRole
from water.policy import Policy

T0 = datetime(2026, 1, 1, tzinfo=UTC)
METER = Meter("m1", "s1", MeterRole.CUSTOMER, modulus_m3=100_000, q3_m3_h=16)


def readings(registers, *, meter_id="m1", step_h=1.0):
    at = [T0 + timedelta(hours=step_h * i) for i in range(len(registers))]
    return pd.DataFrame(
        {
            "meter_id": pd.array([meter_id] * len(registers), dtype="str"),
            "at": pd.DatetimeIndex(at, dtype="datetime64[s, UTC]"),
            "register_m3": np.array(registers, dtype=float),
        }
    )


def verdicts(registers, changes=(), meter=METER, step_h=1.0):
    return check_series(readings(registers, step_h=step_h), [meter], list(changes))[
        "verdict"
    ].tolist()


def only(position, verdict, length):
    return ["good"] * position + [verdict] + ["good"] * (length - position - 1)


# Q3 = 16 m³/h, so that Q4 = 20 m³ in an hour
@pytest.mark.parametrize(
    ("registers", "expected"),
    [
        pytest.param([0, 5, 10, 10, 15], ["good"] * 5, id="an ordinary register is good"),
        pytest.param([100, 119, 138, 157], ["good"] * 4, id="nearly Q4 is good"),
        pytest.param([100, 99.995, 101, 102], ["good"] * 4, id="rounding down 5 l is good"),
        pytest.param([70.284, 70.274, 70.3], ["good"] * 3, id="rounding down 10 l is good"),
        pytest.param(
            [100, 101, 5_000, 102, 103, 104],
            only(2, "spike", 6),
            id="a high spike is excluded, not the readings after it",
        ),
        pytest.param(
            [100, 101, 105, 102, 103, 104],
            only(2, "spike", 6),
            id="a high spike that Q4 allows is found by its coming back",
        ),
        pytest.param(
            [100, 101, 0, 102, 103, 104],
            only(2, "spike", 6),
            id="a low spike is excluded, and what follows is not beyond Q4",
        ),
        pytest.param(
            [100, 101, 5_000, 5_001, 5_002, 5_003],
            only(2, "beyond_q4", 6),
            id="a lasting step up is flagged once and becomes the base",
        ),
        pytest.param(
            [5_000, 5_001, 10, 11, 12, 13],
            only(2, "backward", 6),
            id="a lasting step down is backward once and what follows is good",
        ),
        pytest.param(
            [100, 99, 98, 97],
            ["good", "backward", "backward", "backward"],
            id="a register that runs backwards is backward every time",
        ),
        pytest.param(
            [99_990, 99_995, 3, 8],
            only(2, "rollover", 4),
            id="from above 90 % to below 10 % with a possible flow is a rollover",
        ),
        pytest.param(
            [95_000, 95_001, 3, 8, 9],
            only(2, "backward", 5),
            id="a wrap that Q4 can't have made is no rollover",
        ),
        pytest.param(
            [99_999.5, 99_999.8, 0, 99_999.9, 99_999.95],
            only(2, "spike", 5),
            id="a zero near the dial's end is a spike, not a rollover",
        ),
        pytest.param(
            [100, 101, 5_000, 5_001, 4_990, 104, 105],
            ["good"] * 2 + ["spike"] * 3 + ["good"] * 2,
            id="a high spike of several readings comes back",
        ),
        pytest.param(
            [5_000, 5_001, 0, 0, 7, 5_004, 5_005],
            ["good"] * 2 + ["spike"] * 3 + ["good"] * 2,
            id="a low spike of several readings comes back",
        ),
        pytest.param(
            [99_999.0, 99_999.4, 0, 0.5, 99_999.8, 99_999.9],
            ["good"] * 2 + ["spike"] * 2 + ["good"] * 2,
            id="zeros near the dial's end are no rollover if the dial comes back",
        ),
        pytest.param(
            [207, 207, 456, 207.1, 456.2, 207.2, 456.3, 207.3, 456.4, 207.4, 207.5],
            ["good"] * 2 + ["spike", "good"] * 4 + ["good"],
            id="of two registers in one stream the one that was there before and after is right",
        ),
        pytest.param(
            [100, 104, 108, 101, 102, 103, 109, 110],
            only(3, "backward", 8),
            id="a drop that water could have made up again is backward, not a spike",
        ),
        pytest.param(
            [100, 101, 102, 103, 104, 100, 101, 102, 103, 104, 105],
            ["good"] * 5 + ["repeated"] * 5 + ["good"],
            id="a block sent again with later times is repeated, to its last reading",
        ),
        pytest.param(
            [100, 101, 102, 103, 100, 100, 101, 102],
            ["good"] * 4 + ["backward", "good", "good", "good"],
            id="other values than before are no block",
        ),
        pytest.param(
            [100, 101, 102, 103, 101, 102, 103, 104],
            ["good"] * 4 + ["repeated"] * 3 + ["good"],
            id="a block of three values is no coincidence",
        ),
        pytest.param(
            [100, 101, 102, 101, 102, 103],
            only(3, "spike", 6),
            id="one or two values are: a single one comes back",
        ),
        pytest.param(
            [100, 110, 120, 120, 120, 160, 170],
            ["good"] * 3 + ["stuck"] * 2 + ["good"] * 2,
            id="a register that stands still and then catches up was stuck",
        ),
        pytest.param(
            [100, 110, 110, 150, 160],
            only(3, "beyond_q4", 5),
            id="one reading without water before a leap is no stuck register",
        ),
        pytest.param(
            [100, 110, 110, 110, 900, 901],
            only(4, "beyond_q4", 6),
            id="a leap beyond Q4 since it stood still is no catching up",
        ),
        pytest.param(
            [100, 101, 102, 5_000],
            only(3, "beyond_q4", 4),
            id="a jump in the newest reading is beyond Q4 until the next one says more",
        ),
        pytest.param(
            [100, 101, 102, 50],
            only(3, "backward", 4),
            id="a drop in the newest reading is backward until the next one says more",
        ),
    ],
)
def test_a_reading_is_judged_by_its_neighbours(registers, expected):
    assert verdicts(registers) == expected


def test_a_rollover_right_after_a_spike_is_a_rollover():
    assert verdicts([99_990, 99_998, 50_000, 5, 9]) == [
        "good",
        "good",
        "spike",
        "rollover",
        "good",
    ]


def test_a_long_gap_may_hold_much_water():
    # 20 m³/h for 24 h = 480 m³
    assert verdicts([0, 479], step_h=24) == ["good", "good"]
    assert verdicts([0, 481], step_h=24) == ["good", "beyond_q4"]


def test_the_first_reading_after_a_change_is_said_to_be_so():
    change = MeterChange("m1", T0 + timedelta(hours=1.5), old_final_m3=5_001.5, new_initial_m3=3)
    assert verdicts([5_000, 5_001, 4, 5], [change]) == ["good", "good", "meter_changed", "good"]


def test_a_reading_at_the_instant_of_a_change_is_on_the_new_dial():
    change = MeterChange("m1", T0 + timedelta(hours=2), old_final_m3=5_001.5, new_initial_m3=3)
    assert verdicts([5_000, 5_001, 3, 5], [change]) == ["good", "good", "meter_changed", "good"]


def test_without_q3_and_dial_only_decreases_are_judged():
    plain = Meter("m1", "s1", MeterRole.CUSTOMER)
    assert verdicts([0, 1e6, 1e6 + 1], meter=plain) == ["good"] * 3
    assert verdicts([99_990, 5, 6], meter=plain) == ["good", "backward", "good"]


def test_a_reading_without_register_is_good():
    assert verdicts([100, np.nan, 101, 5_000, np.nan, 102]) == [
        "good",
        "good",
        "good",
        "spike",
        "good",
        "good",
    ]


def test_stamps_are_true_to_the_minute():
    # Q4 = 3.125 m³/h: 58 litres a minute, 6 litres in seven seconds
    household = replace(METER, q3_m3_h=2.5)
    assert verdicts([113.409, 113.470], meter=household, step_h=7 / 3600) == ["good"] * 2
    assert verdicts([113.409, 113.490], meter=household, step_h=7 / 3600) == ["good", "beyond_q4"]


def test_a_run_of_wrong_readings_lasts_25_hours_at_most():
    # a day's packet, sent again: 24 readings; of an hour more the first is backward
    day = [100 + 0.5 * n for n in range(24)]
    assert verdicts([*day, *day, 113])[24:] == ["repeated"] * 24 + ["good"]
    low = [*[100.0] * 3, *[5.0] * 24, 101, 102]
    assert verdicts(low)[3:] == ["spike"] * 24 + ["good"] * 2
    low = [*[100.0] * 3, *[5.0] * 25, 101, 102]
    assert verdicts(low)[3:5] == ["backward", "good"]


def test_of_a_meter_that_reads_once_a_day_a_run_has_three_readings():
    low = [1_000, 1_001, 5, 5, 5, 1_005, 1_006]
    daily = replace(METER, q3_m3_h=1.6)
    assert verdicts(low, meter=daily, step_h=24) == ["good"] * 2 + ["spike"] * 3 + ["good"] * 2


def test_a_register_is_stuck_where_the_flow_says_that_water_passed():
    frame = readings([100, 102, 102, 102, 102, 104]).assign(flow_m3_h=[2, 2, 2, 0.9, 2, 2])
    checked = check_series(frame, [METER], [])
    assert checked["verdict"].tolist() == ["good", "good", "stuck", "good", "good", "good"]
    never = check_series(frame, [METER], [], policy=Policy(stuck_m3=3))
    assert set(never["verdict"]) == {"good"}


def coarse(step_m3, mean_m3, flow_m3_h):
    """A sound meter that reads every quarter of an hour, on a dial with such steps."""
    frame = readings(np.floor(np.cumsum(mean_m3) / step_m3) * step_m3, step_h=0.25)
    return frame.assign(flow_m3_h=flow_m3_h)


def test_a_coarse_dial_is_not_stuck_between_its_steps():
    plant = replace(METER, q3_m3_h=100)
    for step_m3 in (0.01, 1, 10):
        frame = coarse(step_m3, np.full(384, 1.5), 6.0)
        assert set(check_series(frame, [plant], [])["verdict"]) == {"good"}
    rng = np.random.default_rng(1)
    count = 96 * 30
    flow = np.clip(rng.normal(4, 1, count), 0, None)
    frame = coarse(1, rng.normal(4, 0.4, count) / 4, flow)
    assert set(check_series(frame, [replace(METER, q3_m3_h=25)], [])["verdict"]) == {"good"}


def test_a_coarse_dial_is_stuck_once_it_overlooks_two_steps():
    frame = readings([90, 100, 100, 110]).assign(flow_m3_h=[10.0, 20, 20, 10])
    assert check_series(frame, [METER], [])["verdict"].tolist() == only(2, "stuck", 4)
    slower = frame.assign(flow_m3_h=[10.0, 19, 20, 10])
    assert set(check_series(slower, [METER], [])["verdict"]) == {"good"}


def test_a_fine_dial_that_stands_at_a_round_number_is_stuck():
    frame = readings([99.5, 100, 100, 101.2]).assign(flow_m3_h=1.5)
    assert check_series(frame, [METER], [])["verdict"].tolist() == only(2, "stuck", 4)


@pytest.mark.parametrize("first_come", [0.0, 5.0])
def test_a_contested_flow_is_no_evidence(first_come):
    frame = readings([10, 11, 12, 12, 12, 12, 13, 14])
    frame = frame.assign(flow_m3_h=[1, 1, 0.1, first_come, 5, 0.1, 1, 1])
    contested = frame.loc[[3], ["meter_id", "at"]].assign(quantity="flow_m3_h")
    checked = check_series(frame, [METER], [], contested)
    assert set(checked["verdict"]) == {"good"}


def test_a_contested_reading_decides_nothing_until_a_person_has():
    frame = readings([100, 101, 5_000, 103, 104])
    contested = frame.loc[[2, 3], ["meter_id", "at"]].assign(quantity="register_m3")
    checked = check_series(frame, [METER], [], contested)
    assert checked["verdict"].tolist() == ["good", "good", "conflict", "conflict", "good"]
    others = contested.assign(meter_id="m2")
    checked = check_series(frame, [METER], [], others)
    assert checked["verdict"].tolist() == only(2, "spike", 5)


def arriving(late_s, step_h=1.0):
    frame = readings(range(100, 100 + len(late_s)), step_h=step_h)
    return frame.assign(received_at=frame["at"] + pd.to_timedelta(late_s, unit="s").as_unit("s"))


@pytest.mark.parametrize(
    ("late_s", "first"),
    [
        pytest.param([30, 20, 40, 30, 25, 30, 30], None, id="seconds on the way are no clock"),
        pytest.param([30, 20, 3_640, 3_630, 3_625, 3_630, 3_640], 4, id="a jump by an hour"),
        pytest.param([-200] * 7, None, id="ahead within the limit"),
        pytest.param([-400] * 7, 2, id="ahead beyond the limit"),
        pytest.param([280, 290, 295, 305, 310, 315, 320, 330], 5, id="drifting beyond the limit"),
        pytest.param(
            [21_600, 18_000, 14_400, 10_800, 7_200, 3_600, 0], None, id="a backlog sent at once"
        ),
        pytest.param([30, 30, 9_000, 30, 30, 4_000, 30], None, id="single late ones"),
    ],
)
def test_a_clock_is_off_where_readings_arrive_in_step_but_apart_from_their_stamps(late_s, first):
    verdict = check_series(arriving(late_s), [METER], [])["verdict"].tolist()
    expected = ["good"] * len(late_s)
    if first is not None:
        expected[first] = "clock_off"
    assert verdict == expected


def test_meters_do_not_judge_each_other():
    both = pd.concat([readings([500, 501, 502]), readings([3, 4, 5], meter_id="m2")])
    checked = check_series(both, [METER], [])
    assert checked["verdict"].tolist() == ["good"] * 6


def test_the_order_of_arrival_has_no_say():
    frame = readings([100, 101, 5_000, 102, 50, 103, 104])
    shuffled = frame.sample(frac=1, random_state=5)
    pd.testing.assert_frame_equal(
        check_series(shuffled, [METER], []), check_series(frame, [METER], [])
    )


def test_the_caller_keeps_its_frame():
    frame = readings([100, 101])
    check_series(frame, [METER], [])
    assert "verdict" not in frame.columns


def test_no_readings_give_no_verdicts():
    assert check_series(readings([]), [METER], [])["verdict"].tolist() == []


def test_a_frame_without_registers_is_refused_by_name():
    with pytest.raises(FrameError, match="no column register_m3; there are meter_id, at"):
        check_series(readings([1]).drop(columns="register_m3"), [METER], [])
