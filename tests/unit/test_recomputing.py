"""Past days that are to be computed again, divided among jobs."""

from datetime import date

import pytest

from registry.recomputing import plan_recomputation
from registry.report import RegistryError
from water.meters import Meter, MeterRole

DAY = date(2026, 1, 1)


def meters(count, zones=1):
    return [
        Meter(f"M{n:05}", "S1", MeterRole.CUSTOMER, zone_id=f"Z{n % zones}") for n in range(count)
    ]


def test_the_days_of_every_meter_are_asked_for_once_a_month_at_a_time():
    planned = plan_recomputation(meters(2_300), None, DAY, date(2026, 3, 1))
    assert (planned.meters, planned.meter_days, len(planned.jobs)) == (2_300, 2_300 * 60, 6)
    spans = [(job["first"], job["last"], len(job["meter_ids"])) for job in planned.jobs]
    assert spans[2:4] == [("2026-01-01", "2026-01-31", 300), ("2026-02-01", "2026-03-01", 1_000)]
    first = [one for job in planned.jobs[:3] for one in job["meter_ids"]]
    assert sorted(first) == [meter.id for meter in meters(2_300)]


def test_the_meters_of_a_zone_stand_in_one_job_where_they_fit():
    planned = plan_recomputation(meters(2_000, zones=4), None, DAY, DAY)
    zones = [{int(one[1:]) % 4 for one in job["meter_ids"]} for job in planned.jobs]
    assert zones == [{0, 1}, {2, 3}]


def test_a_meter_that_is_named_twice_is_computed_once():
    planned = plan_recomputation(meters(3), ["M00001", "M00001"], DAY, DAY)
    assert planned.jobs == [{"meter_ids": ["M00001"], "first": "2026-01-01", "last": "2026-01-01"}]


@pytest.mark.parametrize(
    ("wanted", "last", "words"),
    [
        pytest.param(["M00001", "X"], DAY, "no meter 'X'", id="an unknown meter"),
        pytest.param(None, date(2025, 12, 31), "end before they begin", id="no day"),
        pytest.param(None, date(9999, 12, 31), "too much for one command", id="all time"),
    ],
)
def test_what_cannot_be_is_refused(wanted, last, words):
    with pytest.raises(RegistryError, match=words):
        plan_recomputation(meters(3), wanted, DAY, last)
