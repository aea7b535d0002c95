from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from analytics.frames import FrameError
from analytics.series import check_series
from water.meters import Meter, MeterChange, MeterRole

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
