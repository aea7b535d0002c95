"""Zones, their days and nights."""

from typing import Any

from fastapi import APIRouter, Request

from api.models import Zone, ZoneDay, ZoneNight
from api.paging import Cursor, Limit, Listing, cut, list_described
from api.parameters import Day
from api.problems import INVALID, NOT_FOUND, ProblemError, described
from api.rights import Asker, Context, found
from api.routes import PREFIX
from api.tables import Format, answer, cleaned
from water.pages import Row

routes = APIRouter(prefix=PREFIX, tags=["分区 Zones"])


@routes.get(
    "/zones",
    response_model=Listing[Zone],
    summary="分区列表 List zones",
    responses=list_described(),
)
def get_zones(
    request: Request,
    viewer: Asker,
    context: Context,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """Zones by id with their latest night and their last 30 days."""
    return answer(
        request,
        Zone,
        lambda at, rows: context.registry.zones(viewer, cursor=at, limit=rows),
        cursor=cursor,
        limit=limit,
        form=format,
        name="zones",
    )


@routes.get(
    "/zones/{zone_id}",
    response_model=Zone,
    summary="分区详情 One zone",
    responses=described(NOT_FOUND),
)
def get_zone(zone_id: str, viewer: Asker, context: Context) -> Row:
    """A zone with its latest night and its last 30 days."""
    return cleaned(found(context.registry.zone(viewer, zone_id), "zone"))


@routes.get(
    "/zones/{zone_id}/days",
    response_model=Listing[ZoneDay],
    summary="分区日水量 Days of a zone",
    responses=list_described(NOT_FOUND),
)
def get_zone_days(
    request: Request,
    zone_id: str,
    viewer: Asker,
    context: Context,
    first: Day,
    last: Day,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """Local days `first` to `last`, both included."""
    found(context.registry.zone(viewer, zone_id), "zone")
    _check_days(first, last)
    rows = context.registry.zone_days(viewer, zone_id, first, last)
    return answer(
        request,
        ZoneDay,
        lambda at, count: cut(rows, ("day",), at, count),
        cursor=cursor,
        limit=limit,
        form=format,
        name="zone-days",
    )


@routes.get(
    "/zones/{zone_id}/nights",
    response_model=Listing[ZoneNight],
    summary="分区夜间流量 Nights of a zone",
    responses=list_described(NOT_FOUND),
)
def get_zone_nights(
    request: Request,
    zone_id: str,
    viewer: Asker,
    context: Context,
    first: Day,
    last: Day,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """Nights of the local days `first` to `last`, both included."""
    found(context.registry.zone(viewer, zone_id), "zone")
    _check_days(first, last)
    rows = context.registry.zone_nights(viewer, zone_id, first, last)
    return answer(
        request,
        ZoneNight,
        lambda at, count: cut(rows, ("day",), at, count),
        cursor=cursor,
        limit=limit,
        form=format,
        name="zone-nights",
    )


def _check_days(first: Day, last: Day) -> None:
    if last < first:
        raise ProblemError(INVALID, "last is not before first")
