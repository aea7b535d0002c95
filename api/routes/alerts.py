"""Alerts and what people do to them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request

from api.models import Alert, AlertDetail, Reason
from api.paging import Cursor, Limit, Listing, list_described
from api.problems import CONFLICT, FORBIDDEN, NOT_FOUND, ProblemError, described
from api.rights import Acknowledger, Asker, Context, found
from api.routes import PREFIX
from api.tables import Format, answer, cleaned
from water.pages import Row

routes = APIRouter(prefix=PREFIX, tags=["预警 Alerts"])

AlertId = Annotated[int, Path(ge=1, le=2**31 - 1)]


@routes.get(
    "/alerts",
    response_model=Listing[Alert],
    summary="预警列表 List alerts",
    responses=list_described(),
)
def get_alerts(
    request: Request,
    viewer: Asker,
    context: Context,
    state: Literal["open", "all", "pending", "firing", "acknowledged", "resolved"] = "open",
    rule: Annotated[str, Query(max_length=100)] = "",
    subject_id: Annotated[str, Query(max_length=200)] = "",
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """Alerts, newest first; those that still stand unless `state` says otherwise."""
    return answer(
        request,
        Alert,
        lambda at, rows: context.registry.alerts(
            viewer, state=state, rule=rule, subject_id=subject_id, cursor=at, limit=rows
        ),
        cursor=cursor,
        limit=limit,
        form=format,
        name="alerts",
    )


@routes.get(
    "/alerts/{alert_id}",
    response_model=AlertDetail,
    summary="预警详情 One alert",
    responses=described(NOT_FOUND),
)
def get_alert(alert_id: AlertId, viewer: Asker, context: Context) -> Row:
    """An alert with its evidence, events and notices."""
    return cleaned(found(context.registry.alert(viewer, alert_id), "alert"))


@routes.post(
    "/alerts/{alert_id}/acknowledge",
    response_model=AlertDetail,
    summary="确认预警 Acknowledge an alert",
    responses=described(FORBIDDEN, NOT_FOUND, CONFLICT),
)
def acknowledge_alert(
    alert_id: AlertId, body: Reason, viewer: Acknowledger, context: Context
) -> Row:
    """Say that somebody takes care of it, and why or how."""
    found(context.registry.alert(viewer, alert_id), "alert")
    try:
        context.alerts.acknowledge(alert_id, viewer.name, body.reason)
    except KeyError:
        raise ProblemError(NOT_FOUND, "no such alert within your sight") from None
    except ValueError as error:
        raise ProblemError(CONFLICT, str(error)) from None
    return cleaned(found(context.registry.alert(viewer, alert_id), "alert"))
