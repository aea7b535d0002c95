"""Judging a window of the journal anew: asked for, looked at, adopted."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from api.models import JobAsked, NewReplay, Replay
from api.paging import Cursor, Limit, Listing, cut, list_described
from api.problems import CONFLICT, FORBIDDEN, INVALID, NOT_FOUND, ProblemError, described
from api.replays import ask_adoption, ask_replay, find_replay, list_replays
from api.rights import Context, DataSteward, found
from api.routes import PREFIX
from api.tables import Format, answer
from water.pages import Row

routes = APIRouter(prefix=PREFIX, tags=["接入 Ingest"])

ReplayId = Annotated[int, Path(ge=1, le=2**31 - 1)]


@routes.get(
    "/ingest/replays",
    response_model=Listing[Replay],
    summary="重放列表 List replays",
    responses=list_described(FORBIDDEN),
)
def get_replays(
    request: Request,
    _viewer: DataSteward,
    context: Context,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """The newest replays and adoptions by id."""
    rows = sorted(list_replays(context.jobs), key=lambda row: row["id"])
    return answer(
        request,
        Replay,
        lambda at, count: cut(rows, ("id",), at, count),
        cursor=cursor,
        limit=limit,
        form=format,
        name="replays",
    )


@routes.post(
    "/ingest/replays",
    status_code=202,
    response_model=JobAsked,
    summary="重放 Judge a window of the journal anew",
    responses=described(FORBIDDEN),
)
def ask_for_replay(body: NewReplay, viewer: DataSteward, context: Context) -> Row:
    """Ask ingest what today's decoders and registry would change; nothing is changed."""
    try:
        job = ask_replay(
            context.jobs,
            viewer.name,
            body.start,
            body.end,
            body.supplier,
            undecodable=body.undecodable,
        )
    except ValueError as error:
        raise ProblemError(INVALID, str(error)) from None
    return {"id": job}


@routes.get(
    "/ingest/replays/{replay_id}",
    response_model=Replay,
    summary="重放 One replay",
    responses=described(FORBIDDEN, NOT_FOUND),
)
def get_replay(replay_id: ReplayId, _viewer: DataSteward, context: Context) -> Row:
    """How far a replay or an adoption is, and what it found."""
    return found(find_replay(context.jobs, replay_id), "replay")


@routes.post(
    "/ingest/replays/{replay_id}/adopt",
    status_code=202,
    response_model=JobAsked,
    summary="采纳重放 Adopt a replay",
    responses=described(FORBIDDEN, NOT_FOUND, CONFLICT),
)
def adopt_replay(replay_id: ReplayId, viewer: DataSteward, context: Context) -> Row:
    """Ask ingest to load what the replay found; answers with a job of its own."""
    try:
        return {"id": ask_adoption(context.jobs, viewer.name, replay_id)}
    except KeyError:
        raise ProblemError(NOT_FOUND, f"no replay {replay_id}") from None
    except ValueError as error:
        raise ProblemError(CONFLICT, str(error)) from None
