"""Meters, their readings and volumes."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request

from api.models import (
    DailyVolume,
    HourlyVolume,
    Meter,
    MeterDetail,
    Reading,
    SeriesPoint,
)
from api.paging import Cursor, Limit, Listing, decode_cursor, encode_cursor, list_described
from api.parameters import Instant
from api.problems import BAD_CURSOR, NOT_FOUND, ProblemError, described
from api.rights import Asker, Context, found
from api.routes import PREFIX
from api.routes.volumes import Span, check_length, volumes
from api.tables import Format, answer, cleaned, rows_of
from water.meters import MeterRole
from water.pages import Page, Row

routes = APIRouter(prefix=PREFIX, tags=["水表 Meters"])

_READING_KEY = ("at",)


@routes.get(
    "/meters",
    response_model=Listing[Meter],
    summary="水表列表 List meters",
    responses=list_described(),
)
def get_meters(
    request: Request,
    viewer: Asker,
    context: Context,
    text: Annotated[str, Query(max_length=100, description="编号、表号 id, serial")] = "",
    role: MeterRole | None = None,
    user_id: Annotated[str, Query(max_length=200)] = "",
    zone_id: Annotated[str, Query(max_length=200)] = "",
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """Meters by id."""
    return answer(
        request,
        Meter,
        lambda at, rows: context.registry.meters(
            viewer,
            text=text,
            role=role or "",
            user_id=user_id,
            zone_id=zone_id,
            cursor=at,
            limit=rows,
        ),
        cursor=cursor,
        limit=limit,
        form=format,
        name="meters",
    )


@routes.get(
    "/meters/{meter_id}",
    response_model=MeterDetail,
    summary="水表详情 One meter",
    responses=described(NOT_FOUND),
)
def get_meter(meter_id: str, viewer: Asker, context: Context) -> Row:
    """A meter with its addresses, changes and newest verdicts."""
    return cleaned(found(context.registry.meter(viewer, meter_id), "meter"))


@routes.get(
    "/meters/{meter_id}/readings",
    response_model=Listing[Reading],
    summary="读数 Readings",
    responses=list_described(NOT_FOUND),
)
def get_readings(
    request: Request,
    meter_id: str,
    viewer: Asker,
    context: Context,
    start: Instant,
    end: Instant,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """Readings with start <= at < end in time order."""
    found(context.registry.meter(viewer, meter_id), "meter")
    check_length(context, start, end)

    def fetch(at: str | None, rows: int) -> Page:
        frame = context.readings.readings(
            viewer, meter_id, start, end, after=_instant_of(at), limit=rows + 1
        )
        page = rows_of(frame)
        more = len(page) > rows
        return Page(page[:rows], encode_cursor(_READING_KEY, page[rows - 1]) if more else None)

    return answer(request, Reading, fetch, cursor=cursor, limit=limit, form=format, name="readings")


@routes.get(
    "/meters/{meter_id}/series",
    response_model=Listing[SeriesPoint],
    summary="曲线 Thinned series",
    responses=list_described(NOT_FOUND),
)
def get_series(
    request: Request,
    meter_id: str,
    viewer: Asker,
    context: Context,
    start: Instant,
    end: Instant,
    quantity: Literal["register_m3", "flow_m3_h", "pressure_mpa", "level_m"] = "register_m3",
    points: Annotated[int, Query(ge=10, le=5000, description="约多少点 about how many")] = 500,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """A quantity thinned to about `points` rows with its extremes kept; always one page."""
    found(context.registry.meter(viewer, meter_id), "meter")
    check_length(context, start, end)
    rows = rows_of(context.readings.series(viewer, meter_id, quantity, start, end, points))
    return answer(
        request,
        SeriesPoint,
        lambda _at, _rows: Page(rows),
        cursor=None,
        limit=points,
        form=format,
        name="series",
    )


@routes.get(
    "/meters/{meter_id}/volumes",
    response_model=Listing[HourlyVolume] | Listing[DailyVolume],
    summary="水量 Volumes",
    responses=list_described(NOT_FOUND),
)
def get_meter_volumes(
    request: Request,
    meter_id: str,
    viewer: Asker,
    context: Context,
    span: Span,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """Volumes by hour or by local day in time order."""
    found(context.registry.meter(viewer, meter_id), "meter")
    return volumes(
        request, context, viewer, [meter_id], span, cursor=cursor, limit=limit, form=format
    )


def _instant_of(cursor: str | None) -> datetime | None:
    if cursor is None:
        return None
    try:
        at = datetime.fromisoformat(decode_cursor(cursor, _READING_KEY)[0])
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ProblemError(BAD_CURSOR, "this cursor was not given out by this list")
    return at
