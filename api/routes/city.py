"""The figures of the whole city."""

from typing import Any

from fastapi import APIRouter, Request

from api.models import CityRate, Home
from api.paging import Cursor, Limit, Listing, cut, list_described
from api.rights import Asker, Context
from api.routes import PREFIX
from api.tables import Format, answer, cleaned
from water.pages import Row

routes = APIRouter(prefix=PREFIX, tags=["城市 City"])


@routes.get("/home", response_model=Home, summary="首页指标 Figures of the first page")
def get_home(viewer: Asker, context: Context) -> Row:
    """Counts and totals of what the asker sees, with their as-of time."""
    return cleaned(context.registry.home(viewer))


@routes.get(
    "/city/rates",
    response_model=Listing[CityRate],
    summary="城市漏损率 Loss rates of the city",
    responses=list_described(),
)
def get_city_rates(
    request: Request,
    viewer: Asker,
    context: Context,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """By period: a year, a month, or rolling 12 months ("r12:2026-08")."""
    rows = context.registry.city_rates(viewer)
    return answer(
        request,
        CityRate,
        lambda at, count: cut(rows, ("period",), at, count),
        cursor=cursor,
        limit=limit,
        form=format,
        name="city-rates",
    )
