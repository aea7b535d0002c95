"""What one cell may hold."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import credit_code
from registry.fields import (
    CellError,
    a_number,
    a_whole_number,
    as_address,
    as_credit_code,
    as_day,
    as_id,
    as_instant,
    as_month,
    as_text,
)
from registry.kinds import KINDS

SHEET_DAY = datetime(2026, 1, 1)  # noqa: DTZ001 (a date cell of a sheet has no zone)


@pytest.mark.parametrize(
    ("parse", "cell", "value"),
    [
        (as_text, "  a b ", "a b"),
        (as_text, 42.0, "42"),
        (as_text, 4.25, "4.25"),
        (as_id, "户-0017", "户-0017"),
        (as_id, 17, "17"),
        (as_address, "义乌/water meter", "义乌/water meter"),
        (as_credit_code, "91350100m000100y43", "91350100M000100Y43"),
        (a_number(), "12.50", 12.5),
        (a_number(), "1e3", 1000.0),
        (a_number(), 0, 0.0),
        (a_whole_number(1, 3600), 900.0, 900),
        (a_whole_number(1, 3600), "900", 900),
        (as_instant, "2026-01-31T08:00:00+08:00", datetime(2026, 1, 31, tzinfo=UTC)),
        (as_instant, "2026-01-31T00:00Z", datetime(2026, 1, 31, tzinfo=UTC)),
        (as_day, "2026-01-31", date(2026, 1, 31)),
        (as_day, "2026/1/31", date(2026, 1, 31)),
        (as_day, SHEET_DAY, date(2026, 1, 1)),
        (as_month, "2026-09", date(2026, 9, 1)),
        (as_month, "2026/9/1", date(2026, 9, 1)),
        (as_month, "2026-09-01", date(2026, 9, 1)),
        (as_month, SHEET_DAY, date(2026, 1, 1)),
    ],
)
def test_a_cell_is_read_as(parse, cell, value):
    assert parse(cell) == value


@pytest.mark.parametrize(
    ("parse", "cell"),
    [
        (as_text, "#N/A"),
        (as_text, "x" * 501),
        (as_text, 91330782000000000.0),
        (as_text, True),
        (as_text, SHEET_DAY),
        (as_address, "x" * 129),
        (as_address, "a\tb"),
        (as_id, "a/b"),
        (as_id, "a b"),
        (as_id, "-"),
        (as_id, "+"),
        (as_id, "a#"),
        (as_id, "x" * 65),
        (as_id, "\U00020000" * 64),
        (as_credit_code, "9135010"),
        (as_credit_code, "91350100M000100I43"),
        (as_credit_code, 9.13507e17),
        (a_number(), "-0.1"),
        (a_number(), "1,000"),
        (a_number(), "12 m³"),
        (a_number(), "nan"),
        (a_number(), "1e999"),
        (a_number(), "1_000"),
        (a_number(), "１２"),
        (a_number(), True),
        (a_number(above=0), "0"),
        (a_number(most=2.5), "3.2"),
        (a_whole_number(1, 3600), "1.5"),
        (a_whole_number(1, 3600), 0),
        (as_instant, "2026-01-31T08:00:00"),
        (as_instant, "2026-01-31"),
        (as_instant, SHEET_DAY),
        (as_instant, "0001-01-01T00:00+08:00"),
        (as_day, "31.1.2026"),
        (as_day, "2026-02-30"),
        (as_day, datetime(2026, 1, 1, 8)),  # noqa: DTZ001
        (as_month, "2026-13"),
        (as_month, "2026-09-02"),
        (as_month, "Sep-26"),
        (as_month, datetime(2026, 9, 2)),  # noqa: DTZ001
    ],
)
def test_a_cell_is_refused_with_what_is_wanted(parse, cell):
    with pytest.raises(CellError, match=r"\w+ \w+"):
        parse(cell)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_example_passes_and_every_word_has_both_languages(kind):
    for column in kind.columns:
        if column.example:
            column.parse(column.example)
        for word in column.choices:
            assert column.parse(word) == word
            title = column.wanted.split(f"{word} ")[1].split(",")[0]
            assert column.parse(title) == word


def test_the_check_character_is_that_of_the_standard():
    # a code from a public register: the 18th character, 3, follows from the first 17
    assert credit_code.check_character("91350100M000100Y4") == "3"


@given(st.text(alphabet=credit_code.ALPHABET, min_size=17, max_size=17), st.data())
def test_any_one_wrong_character_of_a_credit_code_is_noticed(body, data):
    code = body + credit_code.check_character(body)
    assert credit_code.valid(code)
    place = data.draw(st.integers(0, 17))
    other = data.draw(st.sampled_from([c for c in credit_code.ALPHABET if c != code[place]]))
    assert not credit_code.valid(code[:place] + other + code[place + 1 :])
