"""The scorecards of suppliers."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.parameters import Day
from api.problems import FORBIDDEN, NOT_FOUND, described
from api.rights import Context, NotUser, found
from api.routes import PREFIX
from api.routes.volumes import check_days
from api.scorecard_models import Scorecard
from api.scorecards import last_days, load_scorecard
from api.tables import cleaned
from water.pages import Row

routes = APIRouter(prefix=PREFIX, tags=["接入 Ingest"])


@routes.get(
    "/ingest/suppliers/{supplier_id}/scorecard",
    response_model=Scorecard,
    summary="数据质量计分卡 Scorecard of a supplier",
    responses=described(FORBIDDEN, NOT_FOUND),
)
def get_scorecard(
    supplier_id: str,
    viewer: NotUser,
    context: Context,
    first: Annotated[Day | None, Query()] = None,
    last: Annotated[Day | None, Query()] = None,
) -> Row:
    """Local days `first` to `last`, both included; the last seven whole ones by default."""
    newest_first, newest_last = last_days(context)
    begin, end = first or newest_first, last or newest_last
    check_days(begin, end)
    return cleaned(found(load_scorecard(context, viewer, supplier_id, begin, end), "supplier"))
