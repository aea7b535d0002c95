"""Readings that platforms push by HTTP: kept in a journal before they are acknowledged."""

import asyncio
from asyncio import timeout
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from api.ports import Door, Ticket
from api.problems import (
    CROWDED,
    FORBIDDEN,
    INVALID,
    TOO_LARGE,
    UNAVAILABLE,
    UNSUPPORTED,
    ProblemError,
    described,
)
from api.rights import Context, Pusher
from api.routes import PREFIX
from water.doors import DoorClosedError, DoorCrowdedError
from water.viewer import Role, Viewer

routes = APIRouter(prefix=PREFIX, tags=["接入 Ingest"])

_DURABLE_S = 10.0
"""The longest that a sender waits for the disk."""
_LOADED_S = 20.0
"""The longest that one waits for the store."""


class PushedReading(BaseModel):
    """读数 A reading of our own dialect; at least one quantity."""

    meter: str = Field(description="水表编号或设备地址 id of the meter or address of its device")
    at: datetime = Field(description="时刻，必须带时区 instant with zone")
    register_m3: float | None = None
    flow_m3_h: float | None = None
    pressure_mpa: float | None = None
    level_m: float | None = None


class RefusedPart(BaseModel):
    """被拒读数 A reading of the batch that a check refused; it is in quarantine."""

    part: int = Field(description="批内序号，从 0 起 its place in the batch, from 0")
    reason: str


class Pushed(BaseModel):
    """推送结果 What became of a batch: kept for certain, and, once loaded, what of its readings."""

    receipt: str = Field(description="回执号 id of the message, as in receipts")
    supplier: str
    state: Literal["journalled", "loaded"] = Field(
        description="journalled 已落盘; loaded 已入库 the store has had its say"
    )
    stored: int | None = None
    duplicate: int | None = Field(default=None, description="重复，已有 it was there already")
    conflict: int | None = Field(
        default=None, description="与先到值不同 another value stands there"
    )
    refused: list[RefusedPart] | None = None
    set_aside: str | None = Field(
        default=None, description="不含读数的原因 why it holds no reading"
    )
    undecodable: str | None = Field(
        default=None, description="无法解码的原因 why it can't be decoded"
    )


_ONE = PushedReading.model_json_schema()
_MANY: dict[str, Any] = {"type": "array", "items": _ONE}
_BODY = {
    "required": True,
    "description": "一批读数；其他方言按原文发送 a batch of readings; other dialects as they are",
    "content": {
        "application/json": {
            "schema": {
                "oneOf": [
                    _MANY,
                    {"type": "object", "required": ["readings"], "properties": {"readings": _MANY}},
                ]
            }
        },
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}


@routes.post(
    "/readings",
    status_code=202,
    response_model=Pushed,
    summary="推送读数 Push a batch of readings",
    responses={
        200: {"model": Pushed, "description": "已入库 Loaded"},
        **described(FORBIDDEN, TOO_LARGE, UNSUPPORTED, CROWDED, UNAVAILABLE),
    },
    openapi_extra={"requestBody": _BODY},
)
async def post_readings(
    request: Request,
    response: Response,
    viewer: Pusher,
    context: Context,
    supplier: Annotated[str, Query(max_length=64, description="管理员须指明供水单位")] = "",
    dialect: Annotated[str, Query(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "jieshui",
    path: Annotated[
        str, Query(pattern=r"^[^+#\x00]{1,200}$", description="主题余下部分 the rest of the topic")
    ] = "-/reading",
    wait: Annotated[
        Literal["journalled", "loaded"],
        Query(description="等到落盘或入库 what to wait for"),
    ] = "journalled",
) -> Pushed:
    """Keep a batch: 202 says that it is on the disk and will be loaded; repeat what got no answer.

    A repeated batch does no harm: its readings are duplicates. With `wait=loaded` 200 tells what
    became of it, as far as the store answers in time.
    """
    owner = _owner(viewer, supplier)
    if context.door is None:
        raise ProblemError(UNAVAILABLE, "nothing is taken here: api.push is off")
    payload = await _read_body(request, context.door.payload_bytes)
    ticket = _offer(context.door, owner, dialect, path, payload, follow=wait == "loaded")
    await _durable(ticket)
    told = await _loaded(ticket) if wait == "loaded" else None
    if told is None:
        return Pushed(receipt=ticket.receipt, supplier=owner, state="journalled")
    response.status_code = 200
    refused = told.get("refused")
    parts = None
    if refused is not None:
        parts = [RefusedPart(part=part, reason=reason) for part, reason in refused]
    about: dict[str, Any] = {name: told.get(name) for name in _TERMS}
    return Pushed(receipt=ticket.receipt, supplier=owner, state="loaded", refused=parts, **about)


_TERMS = ("stored", "duplicate", "conflict", "set_aside", "undecodable")


def _owner(viewer: Viewer, supplier: str) -> str:
    """The supplier whose readings these are: the key's own, or the one that is named."""
    if viewer.role is Role.SUPPLIER:
        own = viewer.scope or ""
        if supplier not in {"", own}:
            raise ProblemError(FORBIDDEN, f"this key pushes for {own} only")
        return own
    if not supplier:
        raise ProblemError(INVALID, "query.supplier: an administrator names the supplier")
    return supplier


async def _read_body(request: Request, limit: int) -> bytes:
    """The body, as long as it may be; no more of it is ever held."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise ProblemError(UNSUPPORTED, "send the body as it is, without a content-encoding")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise ProblemError(TOO_LARGE, f"a body has {limit} bytes at most: send smaller batches")
    return bytes(body)


def _offer(
    door: Door, supplier: str, dialect: str, path: str, payload: bytes, *, follow: bool
) -> Ticket:
    try:
        return door.offer(supplier, dialect, path, payload, follow=follow)
    except KeyError:
        raise ProblemError(INVALID, f"query.supplier: there is no supplier {supplier!r}") from None
    except DoorCrowdedError as crowded:
        headers = {"Retry-After": str(crowded.retry_after_s)}
        raise ProblemError(CROWDED, str(crowded), headers=headers) from None
    except DoorClosedError as closed:
        raise _unavailable(str(closed)) from None


async def _durable(ticket: Ticket) -> None:
    try:
        async with timeout(_DURABLE_S):
            await asyncio.wrap_future(ticket.durable)
    except DoorClosedError as closed:
        raise _unavailable(str(closed)) from None
    except TimeoutError:
        raise _unavailable(f"the disk has not taken it within {_DURABLE_S:.0f} s") from None


async def _loaded(ticket: Ticket) -> dict[str, Any] | None:
    """What became of the message; None when the store has not said it in time."""
    try:
        async with timeout(_LOADED_S):
            return await asyncio.wrap_future(ticket.loaded)
    except TimeoutError:
        return None


def _unavailable(why: str) -> ProblemError:
    detail = f"{why}; nothing is acknowledged, send it again"
    return ProblemError(UNAVAILABLE, detail, headers={"Retry-After": "10"})
