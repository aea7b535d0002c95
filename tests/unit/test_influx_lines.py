"""Readings as lines, and how few requests it takes to find the lines that a server refuses."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.influx.client import LinesRefusedError
from storage.influx.lines import LINES_A_REQUEST, format_readings, transpose, write_lines
from water.readings import Reading


@pytest.mark.parametrize(
    ("reading", "line"),
    [
        (Reading("m1", 100, 105, 1.5), "reading,meter_id=m1 received_at=105,register_m3=1.5 100"),
        (
            Reading("m1", 100, 105, 1.0, 2.5, 0.3, 4.0, 5),
            (
                "reading,meter_id=m1 received_at=105,register_m3=1,flow_m3_h=2.5,"
                "pressure_mpa=0.3,level_m=4,quality=5 100"
            ),
        ),
        (Reading("m1", -5, 0, level_m=0.0), "reading,meter_id=m1 received_at=0,level_m=0 -5"),
        (
            Reading("a=b,c d", 1, 2, 3.0),
            r"reading,meter_id=a\=b\,c\ d received_at=2,register_m3=3 1",
        ),
        (
            Reading("义乌-1", 1, 2, 1e22),
            "reading,meter_id=义乌-1 received_at=2,register_m3=1e+22 1",
        ),
    ],
    ids=["one quantity", "all of it", "before 1970", "signs of the protocol", "Chinese and large"],
)
def test_a_reading_is_one_line_without_what_is_null(reading, line):
    assert format_readings(transpose([reading])).to_pylist() == [line + "\n"]


def test_readings_with_different_quantities_stand_in_one_body():
    readings = [Reading("m1", 1, 9, 5.5), Reading("m2", 2, 9, flow_m3_h=0.25), Reading("m3", 3, 9)]
    assert format_readings(transpose(readings), [False, False, True]).to_pylist() == [
        "reading,meter_id=m1 received_at=9,register_m3=5.5 1\n",
        "reading,meter_id=m2 received_at=9,flow_m3_h=0.25 2\n",
        "reading,meter_id=m3 received_at=9,quality=0 3\n",
    ]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.none(), min_size=1))
def test_a_value_reads_back_as_the_very_same_float(values):
    lines = format_readings(transpose([Reading("m", 1, 2, value) for value in values]))
    fields = [line.split(" ")[1].partition("register_m3=")[2] for line in lines.to_pylist()]
    read = [float(field) if field else None for field in fields]
    assert [repr(value) for value in read] == [repr(value) for value in values]


@given(
    st.lists(st.sampled_from([None, 0.5]), min_size=4, max_size=4),
    st.lists(st.sampled_from([None, 0.5]), min_size=4, max_size=4),
)
def test_the_mask_of_a_reading_has_a_bit_for_each_quantity_it_has(one, other):
    rows = transpose([Reading("m", 1, 2, *one), Reading("m", 2, 2, *other)])
    expected = [sum(1 << i for i, value in enumerate(row) if value) for row in (one, other)]
    assert rows.masks() == expected


class RefusingServer:
    """Takes every line but some, and says so as InfluxDB does (`says_how_many`) or doesn't."""

    def __init__(self, refuses: set[str], *, says_how_many: bool) -> None:
        self.refuses = refuses
        self.says_how_many = says_how_many
        self.taken: set[str] = set()
        self.requests = 0

    def write(self, lines: bytes) -> None:
        self.requests += 1
        given = set(lines.decode().splitlines())
        self.taken |= given - self.refuses
        if refused := given & self.refuses:
            said = f" dropped={len(refused)}" if self.says_how_many else ""
            raise LinesRefusedError(f"partial write{said}")


def one_each(lines):
    return pa.array([f"{line}\n" for line in lines], pa.string())


@pytest.mark.parametrize("says_how_many", [True, False])
@pytest.mark.parametrize("refused", [[0], [7], [3, 4], [0, 5, 9], list(range(10))])
def test_every_refused_line_is_found_and_every_other_is_written(refused, says_how_many):
    lines = [f"l{i}" for i in range(10)]
    server = RefusingServer({lines[i] for i in refused}, says_how_many=says_how_many)
    assert sorted(write_lines(server, one_each(lines))) == refused  # type: ignore[arg-type] - a double
    assert server.taken == set(lines) - server.refuses


def test_lines_that_are_refused_together_are_found_with_few_requests():
    lines = [f"l{i}" for i in range(5_000)]
    server = RefusingServer(set(lines[:1_234]), says_how_many=True)
    assert len(write_lines(server, one_each(lines))) == 1_234  # type: ignore[arg-type] - a double
    assert server.requests < 30


def test_many_lines_go_in_several_requests():
    lines = [f"l{i}" for i in range(2 * LINES_A_REQUEST + 1)]
    server = RefusingServer(set(), says_how_many=True)
    assert write_lines(server, one_each(lines)) == {}  # type: ignore[arg-type] - a double
    assert (server.requests, len(server.taken)) == (3, len(lines))
