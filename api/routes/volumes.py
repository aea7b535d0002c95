"""Hourly and daily volumes of meters, for the routes that list them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request

from api.context import ApiContext
from api.models import DailyVolume, HourlyVolume
from api.paging import cut
from api.parameters import Day, Instant
from api.problems import INVALID, ProblemError
from api.tables import answer, rows_of
from water.pages import Row
from water.viewer import Viewer

LONGEST = timedelta(days=366)
"""Days after the first one that lists of local days may reach."""


@dataclass(frozen=True, slots=True)
class VolumeSpan:
    """Hours from `start` to before `end`, or local days `first` to `last`, both included."""

    by: Literal["hourly", "daily"]
    hours: tuple[datetime, datetime] | None = None
    days: tuple[date, date] | None = None


def _span(
    by: Annotated[
        Literal["hourly", "daily"],
        Query(description="hourly 按小时（start, end）; daily 按日（first, last）"),
    ] = "daily",
    start: Annotated[Instant | None, Query()] = None,
    end: Annotated[Instant | None, Query()] = None,
    first: Annotated[Day | None, Query()] = None,
    last: Annotated[Day | None, Query()] = None,
) -> VolumeSpan:
    if by == "hourly":
        if start is None or end is None or end <= start:
            raise ProblemError(INVALID, "hourly volumes need start and a later end")
        return VolumeSpan(by, hours=(start, end))
    if first is None or last is None or last < first:
        raise ProblemError(
            INVALID, "daily volumes need first and last; last must not lie before first"
        )
    return VolumeSpan(by, days=(first, last))


Span = Annotated[VolumeSpan, Depends(_span)]


def check_length(context: ApiContext, start: datetime, end: datetime) -> None:
    """Refuse a period that is empty or longer than the settings allow (422)."""
    longest = context.settings.longest_span_days
    if end <= start:
        raise ProblemError(INVALID, "end must lie after start")
    if end - start > timedelta(days=longest):
        raise ProblemError(INVALID, f"at most {longest} days at a time")


def check_days(first: date, last: date) -> None:
    """Refuse local days, both included, that are none or more than LONGEST (422)."""
    if not timedelta(0) <= last - first <= LONGEST:
        problem = f"last is {(last - first).days} days after first: 0 to {LONGEST.days}"
        raise ProblemError(INVALID, problem)


def volumes(
    request: Request,
    context: ApiContext,
    viewer: Viewer,
    meter_ids: Sequence[str],
    span: VolumeSpan,
    *,
    cursor: str | None,
    limit: int,
    form: str | None,
) -> Any:
    """A list of the volumes of meters that the viewer may see, in time order."""
    if span.hours is not None:
        check_length(context, *span.hours)
        frame = context.readings.hourly(viewer, meter_ids, *span.hours)
        model, key = HourlyVolume, ("start", "meter_id")
    else:
        assert span.days is not None  # noqa: S101 (one of both is set)
        frame = context.readings.daily(viewer, meter_ids, *span.days)
        model, key = DailyVolume, ("day", "meter_id")
    rows: list[Row] = rows_of(frame)
    return answer(
        request,
        model,
        lambda at, count: cut(rows, key, at, count),
        cursor=cursor,
        limit=limit,
        form=form,
        name=f"volumes-{span.by}",
    )
