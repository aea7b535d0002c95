"""Water users, their plans and their volumes."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request

from api.models import DailyVolume, HourlyVolume, PlanStatus, User, UserDetail
from api.paging import Cursor, Limit, Listing, list_described
from api.problems import NOT_FOUND, described
from api.rights import Asker, Context, found
from api.routes import PREFIX
from api.routes.volumes import Span, volumes
from api.tables import Format, answer, cleaned
from water.pages import Row

routes = APIRouter(prefix=PREFIX, tags=["用水户 Users"])

Year = Annotated[int | None, Query(ge=1970, le=2199, description="计划年度，默认本年 plan year")]
Level = Literal["", "any", "over", "notice", "warning", "formal", "red"]
LevelQuery = Annotated[
    Level,
    Query(description="any 有预警级别 has a level; over 已超年计划 used > plan; or one level"),
]


@routes.get(
    "/users",
    response_model=Listing[User],
    summary="用水户列表 List users",
    responses=list_described(),
)
def get_users(
    request: Request,
    viewer: Asker,
    context: Context,
    text: Annotated[str, Query(max_length=100, description="编号、名称、信用代码")] = "",
    sector: Annotated[str, Query(max_length=100)] = "",
    level: LevelQuery = "",
    year: Year = None,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """Users by id with their plan status of a year."""
    return answer(
        request,
        User,
        lambda at, rows: context.registry.users(
            viewer, text=text, sector=sector, level=level, year=year, cursor=at, limit=rows
        ),
        cursor=cursor,
        limit=limit,
        form=format,
        name="users",
    )


@routes.get(
    "/plan-status",
    response_model=Listing[PlanStatus],
    summary="计划执行 Plan status",
    responses=list_described(),
)
def get_plan_status(
    request: Request,
    viewer: Asker,
    context: Context,
    level: LevelQuery = "any",
    year: Year = None,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """Users over their plan or heading over it (level=any); level= for all."""
    return answer(
        request,
        PlanStatus,
        lambda at, rows: context.registry.users(
            viewer, level=level, year=year, cursor=at, limit=rows
        ),
        cursor=cursor,
        limit=limit,
        form=format,
        name="plan-status",
    )


@routes.get(
    "/users/{user_id}",
    response_model=UserDetail,
    summary="用水户详情 One user",
    responses=described(NOT_FOUND),
)
def get_user(user_id: str, viewer: Asker, context: Context) -> Row:
    """A user with its meters, plans and plan status by year."""
    return cleaned(found(context.registry.user(viewer, user_id), "user"))


@routes.get(
    "/users/{user_id}/volumes",
    response_model=Listing[HourlyVolume] | Listing[DailyVolume],
    summary="用水户水量 A user's volumes",
    responses=list_described(NOT_FOUND),
)
def get_user_volumes(
    request: Request,
    user_id: str,
    viewer: Asker,
    context: Context,
    span: Span,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """Volumes of each of the user's meters, by hour or by local day, in time order."""
    user = found(context.registry.user(viewer, user_id), "user")
    meter_ids = [meter["id"] for meter in user["meters"]]
    return volumes(
        request, context, viewer, meter_ids, span, cursor=cursor, limit=limit, form=format
    )
