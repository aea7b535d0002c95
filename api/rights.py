"""Who asks, and what their role may do. Which rows they see is the query ports' business."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from api.context import ApiContext, context_of
from api.problems import (
    FORBIDDEN,
    NOT_FOUND,
    PASSWORD_CHANGE_REQUIRED,
    UNAUTHENTICATED,
    ProblemError,
)
from api.session import current_account, viewer_of
from water.pages import Row
from water.viewer import Role, Viewer


def _context(request: Request) -> ApiContext:
    return context_of(request)


Context = Annotated[ApiContext, Depends(_context)]


def key_of(request: Request) -> str | None:
    """The API key that a request carries; "" for an Authorization header that holds none."""
    if "x-api-key" in request.headers:
        return request.headers["x-api-key"]
    if "authorization" not in request.headers:
        return None
    scheme, _, key = request.headers["authorization"].partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def viewer_of_request(request: Request) -> Viewer:
    """The viewer of a request, by API key or session; else a problem (401, 403)."""
    key = key_of(request)
    if key is not None:
        viewer = context_of(request).accounts.viewer_of_key(key) if key else None
        if viewer is None:
            raise _unauthenticated("this API key is unknown or revoked")
        return viewer
    account = current_account(request)
    if account is None:
        raise _unauthenticated("log in or send an API key")
    if account["must_change"]:
        raise ProblemError(PASSWORD_CHANGE_REQUIRED, "POST /api/v1/me/password")
    return viewer_of(account)


def _unauthenticated(detail: str) -> ProblemError:
    headers = {"WWW-Authenticate": 'Bearer realm="jieshui"'}
    return ProblemError(UNAUTHENTICATED, detail, headers=headers)


Asker = Annotated[Viewer, Depends(viewer_of_request)]


def _allowed(allows: Callable[[Viewer], bool], sentence: str) -> Callable[[Viewer], Viewer]:
    def check(viewer: Asker) -> Viewer:
        if not allows(viewer):
            raise ProblemError(FORBIDDEN, sentence)
        return viewer

    return check


Administrator = Annotated[
    Viewer,
    Depends(_allowed(lambda viewer: viewer.may_administer, "only administrators may do this")),
]
Acknowledger = Annotated[
    Viewer,
    Depends(
        _allowed(
            lambda viewer: viewer.may_acknowledge,
            "alerts are acknowledged by the bureau, the water group or administrators",
        )
    ),
]


def may_reload(viewer: Viewer) -> bool:
    """Whether the viewer may set work going on the readings themselves."""
    return viewer.role in {Role.ADMINISTRATOR, Role.UTILITY}


DataSteward = Annotated[
    Viewer,
    Depends(
        _allowed(
            may_reload,
            "only the water group and administrators may do this",
        )
    ),
]
"""Who may set work going on the readings themselves."""


def _pusher(request: Request, viewer: Asker) -> Viewer:
    if viewer.role not in {Role.SUPPLIER, Role.ADMINISTRATOR}:
        raise ProblemError(FORBIDDEN, "readings are pushed by their supplier or an administrator")
    if viewer.role is Role.ADMINISTRATOR and key_of(request) is None:
        raise ProblemError(FORBIDDEN, "an administrator pushes with an API key, not logged in")
    return viewer


Pusher = Annotated[Viewer, Depends(_pusher)]
"""Who may push readings: people who are logged in decide between values, and send none."""

Editor = Annotated[
    Viewer,
    Depends(
        _allowed(
            lambda viewer: viewer.may_edit,
            "readings are edited by the bureau, the water group or administrators",
        )
    ),
]


def require_person(request: Request) -> None:
    """Refuse an API key: a person who has one would be two people.

    Raises:
        ProblemError: the request carries a key (403).
    """
    if key_of(request) is not None:
        raise ProblemError(FORBIDDEN, "people who are logged in do this, no API key does")


def _in_person(request: Request, viewer: Editor) -> Viewer:
    require_person(request)
    return viewer


EditorInPerson = Annotated[Viewer, Depends(_in_person)]
"""Who may let an edit count or decide between two values: a person, so that two are two."""

NotUser = Annotated[
    Viewer,
    Depends(
        _allowed(
            lambda viewer: viewer.role is not Role.USER, "water users don't see what ingest counts"
        )
    ),
]


def found(row: Row | None, what: str) -> Row:
    """The row, or 404: what doesn't exist and what is out of sight look the same."""
    if row is None:
        raise ProblemError(NOT_FOUND, f"no such {what} within your sight")
    return row
