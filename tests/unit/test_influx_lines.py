"""Readings as lines, and how few requests it takes to find the lines that a server refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.influx.client import LinesRefusedError
from storage.influx.lines import LINES_A_REQUEST, format_reading, write_lines
from water.readings import Reading


@pytest.mark.parametrize(
    ("reading", "line"),
    [
        (Reading("m1", 100, 105, 1.5), "reading,meter_id=m1 received_at=105,register_m3=1.5 100"),
        (
            Reading("m1", 100, 105, 1.0, 2.5, 0.3, 4.0, 5),
            (
                "reading,meter_id=m1 received_at=105,register_m3=1.0,flow_m3_h=2.5,"
                "pressure_mpa=0.3,level_m=4.0,quality=5 100"
            ),
        ),
        (Reading("m1", -5, 0, level_m=0.0), "reading,meter_id=m1 received_at=0,level_m=0.0 -5"),
        (
            Reading("a=b,c d", 1, 2, 3.0),
            r"reading,meter_id=a\=b\,c\ d received_at=2,register_m3=3.0 1",
        ),
        (
            Reading("义乌-1", 1, 2, 1e22),
            "reading,meter_id=义乌-1 received_at=2,register_m3=1e+22 1",
        ),
    ],
    ids=["one quantity", "all of it", "before 1970", "signs of the protocol", "Chinese and large"],
)
def test_a_reading_is_one_line_without_what_is_null(reading, line):
    assert format_reading(reading) == line


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_value_reads_back_as_the_very_same_float(value):
    fields = format_reading(Reading("m", 1, 2, value)).split(" ")[1]
    assert float(fields.partition("register_m3=")[2]) == value


class RefusingServer:
    """Takes every line but some, and says so as InfluxDB does (`says_how_many`) or doesn't."""

    def __init__(self, refuses: set[str], *, says_how_many: bool) -> None:
        self.refuses = refuses
        self.says_how_many = says_how_many
        self.taken: set[str] = set()
        self.requests = 0

    def write(self, lines: str) -> None:
        self.requests += 1
        given = set(lines.split("\n"))
        self.taken |= given - self.refuses
        if refused := given & self.refuses:
            said = f" dropped={len(refused)}" if self.says_how_many else ""
            raise LinesRefusedError(f"partial write{said}")


@pytest.mark.parametrize("says_how_many", [True, False])
@pytest.mark.parametrize("refused", [[0], [7], [3, 4], [0, 5, 9], list(range(10))])
def test_every_refused_line_is_found_and_every_other_is_written(refused, says_how_many):
    lines = [f"l{i}" for i in range(10)]
    server = RefusingServer({lines[i] for i in refused}, says_how_many=says_how_many)
    assert sorted(write_lines(server, lines)) == refused  # type: ignore[arg-type] - a double
    assert server.taken == set(lines) - server.refuses


def test_lines_that_are_refused_together_are_found_with_few_requests():
    lines = [f"l{i}" for i in range(5_000)]
    server = RefusingServer(set(lines[:1_234]), says_how_many=True)
    assert len(write_lines(server, lines)) == 1_234  # type: ignore[arg-type] - a double
    assert server.requests < 30


def test_many_lines_go_in_several_requests():
    lines = [f"l{i}" for i in range(2 * LINES_A_REQUEST + 1)]
    server = RefusingServer(set(), says_how_many=True)
    assert write_lines(server, lines) == {}  # type: ignore[arg-type] - a double
    assert (server.requests, len(server.taken)) == (3, len(lines))
