"""Which reading of a message a row of the quarantine stands for, once the decoder is another."""

import pytest

from ingest.decoders import Decoded
from ingest.replays.held import Held, match_parts

CASES = {
    "same_number": ([("m", 1), ("n", 1)], [(1, "n", 1)], {0: 1}),
    "one_more_in_front": ([("x", 1), ("m", 1), ("n", 1)], [(1, "n", 1)], {0: 2}),
    "one_fewer_in_front": ([("n", 1)], [(1, "n", 1)], {0: 0}),
    "another_instant_of_the_same_meter": ([("n", 0), ("n", 1), ("n", 2)], [(1, "n", 2)], {0: 2}),
    "given_no_more": ([("m", 1), ("x", 2)], [(1, "n", 1)], {}),
    "two_that_it_may_be": ([("m", 1), ("n", 1), ("n", 1)], [(0, "n", 1)], {}),
    "twice_and_both_held": (
        [("m", 1), ("n", 1), ("n", 1)],
        [(0, "n", 1), (1, "n", 1)],
        {0: 2, 1: 1},
    ),
    "twice_then_and_once_today": ([("m", 1), ("n", 1)], [(1, "n", 1), (2, "n", 1)], {0: 1}),
    "an_instant_at_last": ([("n", 1), ("n", 2)], [(0, "n", None), (1, "n", None)], {0: 0, 1: 1}),
    "an_instant_at_last_of_another": ([("m", 1), ("n", 2)], [(0, "n", None)], {}),
    "no_instant_still": ([("m", 1), ("n", None)], [(0, "n", None)], {0: 1}),
    "the_only_one_two_hours_before": ([("n", 1)], [(0, "n", 7201)], {0: 0}),
    "the_only_one_by_another_name": ([("n", 1)], [(0, "N", 1)], {0: 0}),
    "the_only_one_is_another": ([("m", 2)], [(0, "n", 1)], {}),
    "nothing_is_decoded": ([], [(0, "n", 1)], {}),
    "beyond_every_store": ([("n", 1 << 70)], [(0, "n", None)], {0: 0}),
    "a_name_that_no_database_holds": ([("m", 1), ("a\0", 1)], [(0, "a␀", 1)], {0: 1}),
}


@pytest.mark.parametrize(("today", "rows", "expected"), CASES.values(), ids=CASES)
def test_a_row_stands_for_the_reading_of_its_address_and_instant(today, rows, expected):
    held = [Held(n, *row) for n, row in enumerate(rows)]
    assert match_parts(held, [Decoded(*each) for each in today]) == expected
