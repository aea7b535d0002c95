"""Which replays an adoption has covered, so that nobody adopts their window twice unawares."""

import pytest

from api.replays import adopted_by

WHOLE = {
    "id": 5, "adopts": None, "state": "done", "supplier": "north", "undecodable": True,
    "start": "2026-09-01T00:00:00+08:00", "end": "2026-09-08T00:00:00+08:00",
}  # fmt: skip


@pytest.mark.parametrize(
    ("adoption", "covered"),
    [
        ({}, True),
        ({"adopts": 3}, True),
        ({"supplier": "", "undecodable": False}, True),
        ({"start": "2026-08-31T00:00:00+00:00"}, True),
        ({"state": "waiting"}, True),
        ({"state": "failed"}, False),
        ({"id": 4}, False),
        ({"supplier": "south"}, False),
        ({"end": "2026-09-07T00:00:00+08:00"}, False),
    ],
    ids=[
        "its-own", "an-earlier-jobs", "a-wider-one", "a-longer-one", "one-that-waits",
        "not-a-failed-one", "not-one-before-it", "not-another-suppliers", "not-a-part-of-it",
    ],
)  # fmt: skip
def test_a_replay_is_covered_by_an_adoption(adoption, covered):
    job = WHOLE | {"id": 9, "adopts": 5} | adoption
    assert adopted_by(WHOLE, [WHOLE, job]) == (job["id"] if covered else None)


def test_only_undecodable_messages_adopted_do_not_cover_a_whole_window():
    job = WHOLE | {"id": 9, "adopts": 5}
    assert adopted_by(WHOLE | {"undecodable": False}, [job]) is None
