"""What ingest counted and holds back, and asking it to try again."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from api.conflicts import load_conflicts
from api.edit_models import ConflictState
from api.models import Job, JobAsked, Quarantined, QuarantineRerun, SupplierSums
from api.paging import Cursor, Limit, Listing, cut, list_described
from api.parameters import Instant
from api.problems import FORBIDDEN, NOT_FOUND, described
from api.rights import Asker, Context, DataSteward, NotUser, found
from api.routes import PREFIX
from api.routes.volumes import check_length
from api.tables import Format, answer, cleaned
from water.pages import Row

routes = APIRouter(prefix=PREFIX, tags=["接入 Ingest"])

RERUN_QUARANTINE = "rerun_quarantine"
"""The kind of job that ingest takes; a stored name."""

_CONFLICT_KEY = ("at", "meter_id", "quantity", "offered")


@routes.get(
    "/ingest/status",
    response_model=Listing[SupplierSums],
    summary="接入对账 Both sums of each supplier",
    responses=list_described(FORBIDDEN),
)
def get_ingest_status(
    request: Request,
    viewer: NotUser,
    context: Context,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """Messages and readings of each supplier, accounted for to the last one."""
    rows = context.ingest.sums(viewer)
    return answer(
        request,
        SupplierSums,
        lambda at, count: cut(rows, ("supplier",), at, count),
        cursor=cursor,
        limit=limit,
        form=format,
        name="ingest-status",
    )


@routes.get(
    "/quarantine",
    response_model=Listing[Quarantined],
    summary="隔离区 Refused readings",
    responses=list_described(FORBIDDEN),
)
def get_quarantine(
    request: Request,
    viewer: NotUser,
    context: Context,
    supplier: Annotated[str, Query(max_length=200)] = "",
    reason: Annotated[str, Query(max_length=200)] = "",
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """Readings that a check refused, with the reason."""
    return answer(
        request,
        Quarantined,
        lambda at, rows: context.ingest.quarantine(
            viewer, supplier=supplier, reason=reason, cursor=at, limit=rows
        ),
        cursor=cursor,
        limit=limit,
        form=format,
        name="quarantine",
    )


@routes.get(
    "/conflicts",
    response_model=Listing[ConflictState],
    summary="冲突读数 Values that contradict each other",
    responses=list_described(),
)
def get_conflicts(
    request: Request,
    viewer: Asker,
    context: Context,
    start: Instant,
    end: Instant,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """Values with start <= at < end that came after another one, in time order, and what holds."""
    check_length(context, start, end)
    rows = load_conflicts(context, viewer, start, end)
    return answer(
        request,
        ConflictState,
        lambda at, count: cut(rows, _CONFLICT_KEY, at, count),
        cursor=cursor,
        limit=limit,
        form=format,
        name="conflicts",
    )


@routes.post(
    "/quarantine/rerun",
    status_code=202,
    response_model=JobAsked,
    summary="隔离重放 Try refused readings again",
    responses=described(FORBIDDEN),
)
def rerun_quarantine(body: QuarantineRerun, viewer: DataSteward, context: Context) -> Row:
    """Ask ingest to check quarantined readings again; answers with a job to look at."""
    arguments = {name: value for name, value in body.model_dump().items() if value}
    return {"id": context.jobs.ask(RERUN_QUARANTINE, arguments, viewer.name)}


@routes.get(
    "/jobs/{job_id}",
    response_model=Job,
    summary="任务 One job",
    responses=described(FORBIDDEN, NOT_FOUND),
)
def get_job(
    job_id: Annotated[int, Path(ge=1, le=2**31 - 1)], _viewer: DataSteward, context: Context
) -> Row:
    """How a job stands and how it ended."""
    return cleaned(found(context.jobs.job(job_id), "job"))
