"""The utility's billing reads held against our volumes."""

from typing import Any, Literal

from fastapi import APIRouter, Request

from api.billing import load_billing
from api.billing_models import BillingComparison
from api.paging import Cursor, Limit, Listing, cut, list_described
from api.parameters import Day
from api.rights import Asker, Context
from api.routes import PREFIX
from api.routes.volumes import check_days
from api.tables import Format, answer

routes = APIRouter(prefix=PREFIX, tags=["计费 Billing"])


@routes.get(
    "/billing",
    response_model=Listing[BillingComparison],
    summary="计费水量比对 Billed volumes beside ours",
    responses=list_described(),
)
def get_billing(
    request: Request,
    viewer: Asker,
    context: Context,
    first: Day,
    last: Day,
    state: Literal["beyond", "within", "incomplete"] | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """Billed periods of the meters in sight that touch the local days first to last."""
    check_days(first, last)
    rows = load_billing(context, viewer, first, last, [state] if state else [])
    return answer(
        request,
        BillingComparison,
        lambda at, count: cut(rows, ("meter_id", "first"), at, count),
        cursor=cursor,
        limit=limit,
        form=format,
        name="billing",
    )
