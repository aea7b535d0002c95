"""The scorecards of suppliers."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from api.parameters import Day
from api.problems import FORBIDDEN, INVALID, NOT_FOUND, ProblemError, described
from api.rights import Context, NotUser, found
from api.routes import PREFIX
from api.scorecard_models import Scorecard
from api.scorecards import last_days, load_scorecard
from api.tables import cleaned
from water.pages import Row

routes = APIRouter(prefix=PREFIX, tags=["接入 Ingest"])

LONGEST = timedelta(days=366)


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
    if not timedelta(0) <= end - begin <= LONGEST:
        raise ProblemError(INVALID, f"last is {(end - begin).days} days after first: 0 to 366")
    return cleaned(found(load_scorecard(context, viewer, supplier_id, begin, end), "supplier"))
