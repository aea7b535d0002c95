"""The two addresses of single sign-on: to the provider, and back from it.

What does not work ends on the log-in page, which says so; nothing of the provider's is shown.
"""

import json
import secrets
import time
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api import session
from api.attempts import TooManyAttemptsError
from api.context import context_of
from api.pages.visit import local_path
from api.provider import SignOnError
from api.sso import CALLBACK, Pending, SingleSignOn

log = structlog.get_logger()

routes = APIRouter(include_in_schema=False)

START = "/sso/start"
_PENDING = "sso"
_PATIENCE_S = 900
"""How long somebody may take at the provider."""
_LONGEST_NEXT = 1024
"""Bytes that the page to go on to may take of the cookie; a browser drops one beyond 4 KB."""

_REFUSALS: dict[type[Exception], str] = {
    TooManyAttemptsError: "limited",
    SignOnError: "sso_failed",
    session.LogInRefusedError: "sso_no_account",
}


@routes.get(START)
def start(request: Request, next: str = "/") -> Response:  # noqa: A002 (the address's name)
    """Send the browser to the provider."""
    wanted = _short_path(next)
    try:
        _count(request, "start")
        address, pending = _provider(request).begin()
    except tuple(_REFUSALS) as refusal:
        return _refuse(request, refusal, wanted)
    request.session[_PENDING] = asdict(pending) | {"next": wanted, "at": int(time.time())}
    return RedirectResponse(address, status_code=303)


@routes.get(CALLBACK)
def come_back(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
    """Begin the session of whom the provider vouches for."""
    pending = request.session.pop(_PENDING, None)
    if pending is None or not _fits(pending, state):
        return _to_log_in("sso_expired", "/")
    wanted = pending["next"]
    sent = Pending(state, pending["nonce"], pending["code_verifier"])
    try:
        _count(request, "callback")
        session.begin_signed_on(request, _provider(request).finish(sent, code, error))
    except tuple(_REFUSALS) as refusal:
        return _refuse(request, refusal, wanted)
    return RedirectResponse(wanted, status_code=303)


def _short_path(wanted: str) -> str:
    path = local_path(wanted)
    return path if len(json.dumps(path)) <= _LONGEST_NEXT else "/"


def _provider(request: Request) -> SingleSignOn:
    provider = context_of(request).sso
    assert provider is not None  # noqa: S101 (these routes are there where a provider is)
    return provider


def _fits(pending: dict[str, Any], state: str) -> bool:
    """Whether this is the answer to what this browser was sent to ask, in time."""
    same = secrets.compare_digest(pending["state"].encode(), state.encode())
    return same and time.time() - pending["at"] <= _PATIENCE_S


def _count(request: Request, step: str) -> None:
    context_of(request).attempts.count_step(step, _address(request))


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _refuse(request: Request, refusal: Exception, wanted: str) -> Response:
    log.warning("single sign-on refused", reason=str(refusal), address=_address(request))
    return _to_log_in(_REFUSALS[type(refusal)], wanted)


def _to_log_in(refused: str, wanted: str) -> Response:
    return RedirectResponse(f"/log-in?refused={refused}&next={quote(wanted, safe='')}", 303)
