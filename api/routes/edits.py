"""Edits of readings, conflicts decided, meter changes: what people say, with reason and name."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from api.conflicts import find_conflict
from api.edit_models import (
    ConflictDecision,
    ConflictState,
    Edit,
    EventDecision,
    MeterEvent,
    NewEdit,
    NewMeterChange,
    Withdrawal,
)
from api.models import MeterDetail
from api.paging import Cursor, Limit, Listing, list_described
from api.problems import CONFLICT, FORBIDDEN, NOT_FOUND, ProblemError, described
from api.rights import Asker, Context, Editor, EditorInPerson, NotUser, found, require_person
from api.routes import PREFIX
from api.sent import approve_held, find_sent
from api.tables import Format, answer, cleaned
from water.edits import EditKind, EditState, EventState, NotFoundError, RefusedEditError
from water.meters import MeterChange
from water.pages import Row
from water.readings import QUANTITIES

routes = APIRouter(prefix=PREFIX, tags=["数据修改 Edits"])

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


@contextmanager
def _said() -> Iterator[None]:
    """What the rules refuse is a conflict (409) with their sentence."""
    try:
        yield
    except NotFoundError:
        raise ProblemError(NOT_FOUND, "no such record within your sight") from None
    except RefusedEditError as refusal:
        raise ProblemError(CONFLICT, str(refusal)) from None


@routes.get(
    "/edits",
    response_model=Listing[Edit],
    summary="读数修改列表 List edits",
    responses=list_described(),
)
def get_edits(
    request: Request,
    viewer: Asker,
    context: Context,
    meter_id: Annotated[str, Query(max_length=200)] = "",
    state: EditState | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """Edits of the meters in sight, newest first, withdrawn ones too."""
    return answer(
        request,
        Edit,
        lambda at, rows: context.edits.edits(
            viewer, meter_id=meter_id, state=state or "", cursor=at, limit=rows
        ),
        cursor=cursor,
        limit=limit,
        form=format,
        name="edits",
    )


@routes.get(
    "/edits/{edit_id}",
    response_model=Edit,
    summary="一次修改 One edit",
    responses=described(NOT_FOUND),
)
def get_edit(edit_id: Number, viewer: Asker, context: Context) -> Row:
    """An edit with every step of its life."""
    return cleaned(found(context.edits.edit(viewer, edit_id), "edit"))


@routes.post(
    "/meters/{meter_id}/edits",
    status_code=201,
    response_model=Edit,
    summary="提出修改 Make an edit",
    responses=described(FORBIDDEN, NOT_FOUND, CONFLICT),
)
def post_edit(
    request: Request, meter_id: str, body: NewEdit, viewer: Editor, context: Context
) -> Row:
    """A manual reading counts at once; the others once somebody else approved them.

    An API key brings manual readings only.
    """
    if body.kind is not EditKind.MANUAL:
        require_person(request)
    found(context.registry.meter(viewer, meter_id), "meter")
    with _said():
        edit_id = context.editing.propose(
            viewer.name,
            meter_id,
            body.at,
            body.kind,
            {name: getattr(body, name) for name in QUANTITIES},
            sent=find_sent(context, viewer, meter_id, body.at),
            reason=body.reason,
            evidence=body.evidence,
        )
    return get_edit(edit_id, viewer, context)


@routes.post(
    "/edits/{edit_id}/approve",
    response_model=Edit,
    summary="审核通过 Approve an edit",
    responses=described(FORBIDDEN, NOT_FOUND, CONFLICT),
)
def approve_edit(edit_id: Number, viewer: EditorInPerson, context: Context) -> Row:
    """Let it count; only people, and never the author of the edit, may do this."""
    edit = found(context.edits.edit(viewer, edit_id), "edit")
    with _said():
        approve_held(context, viewer, edit)
    return get_edit(edit_id, viewer, context)


@routes.post(
    "/edits/{edit_id}/withdraw",
    response_model=Edit,
    summary="撤回修改 Withdraw an edit",
    responses=described(FORBIDDEN, NOT_FOUND, CONFLICT),
)
def withdraw_edit(edit_id: Number, body: Withdrawal, viewer: Editor, context: Context) -> Row:
    """It counts no more, and is kept; the figures become what they were before it."""
    with _said():
        context.editing.withdraw(viewer.name, edit_id, body.reason)
    return get_edit(edit_id, viewer, context)


@routes.post(
    "/conflicts/decide",
    response_model=ConflictState,
    summary="处理冲突读数 Decide a conflict",
    responses=described(FORBIDDEN, NOT_FOUND, CONFLICT),
)
def decide_conflict(body: ConflictDecision, viewer: EditorInPerson, context: Context) -> Row:
    """Keep the value that stands, or take the one offered: that becomes a correction."""
    wanted = body.meter_id, body.at, body.quantity, body.offered
    conflict = found(find_conflict(context, viewer, *wanted), "conflict")
    with _said():
        context.editing.decide(viewer.name, conflict, body.decision, body.reason)
    return cleaned(found(find_conflict(context, viewer, *wanted), "conflict"))


@routes.post(
    "/meters/{meter_id}/changes",
    status_code=201,
    response_model=MeterDetail,
    summary="登记换表 Enter a meter change",
    responses=described(FORBIDDEN, NOT_FOUND, CONFLICT),
)
def post_change(meter_id: str, body: NewMeterChange, viewer: Editor, context: Context) -> Row:
    """Answers with the meter; the same change twice is one."""
    found(context.registry.meter(viewer, meter_id), "meter")
    with _said():
        change = MeterChange(meter_id, body.at, body.old_final_m3, body.new_initial_m3, body.reason)
        context.changes.enter(viewer.name, change)
    return cleaned(found(context.registry.meter(viewer, meter_id), "meter"))


@routes.get(
    "/meter-events",
    response_model=Listing[MeterEvent],
    summary="上报的换表 Meter changes that suppliers sent",
    responses=list_described(FORBIDDEN),
)
def get_meter_events(
    request: Request,
    viewer: NotUser,
    context: Context,
    state: EventState | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """Newest first; refused ones are counted, one row a supplier and reason."""
    return answer(
        request,
        MeterEvent,
        lambda at, rows: context.edits.meter_events(
            viewer, state=state or "", cursor=at, limit=rows
        ),
        cursor=cursor,
        limit=limit,
        form=format,
        name="meter-events",
    )


@routes.post(
    "/meter-events/{event_id}/decide",
    status_code=204,
    summary="处理上报的换表 Decide about a meter change that was sent",
    responses=described(FORBIDDEN, NOT_FOUND, CONFLICT),
)
def decide_meter_event(
    event_id: Number, body: EventDecision, viewer: EditorInPerson, context: Context
) -> None:
    """Keep the change that stands, or put the one that was sent into its place."""
    with _said():
        context.changes.decide(viewer.name, event_id, body.decision, body.reason)
