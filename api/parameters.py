"""Parameters: instants with their zone, days, text without NUL."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from api.problems import BAD_REQUEST, INVALID, ProblemError

EARLIEST, LATEST = date(1970, 1, 1), date(2199, 12, 31)
"""Days beyond these are refused: no meter is that old, and arithmetic on them overflows."""

_LOST_PLUS = re.compile(r" (\d{2}:?\d{2})$")
_ISO = re.compile(r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}")


def _restore_plus(value: Any) -> Any:
    # "+08:00" typed into an address arrives as " 08:00".
    return _LOST_PLUS.sub(r"+\1", value) if isinstance(value, str) else value


def _check_form(value: Any) -> Any:
    if not isinstance(value, str) or not _ISO.match(value):
        raise PydanticCustomError(
            "instant_form",
            "write an instant like 2026-09-15T00:00:00+08:00 时间请按 ISO 8601 书写",
        )
    return value


def _check_zone(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise PydanticCustomError(
            "instant_without_zone",
            "an instant needs a zone: write 2026-09-15T00:00:00+08:00 or end it with Z "
            "时间必须带时区，如 +08:00 或 Z",
        )
    if not EARLIEST < value.date() < LATEST:
        raise PydanticCustomError("instant_beyond", "an instant lies between 1970 and 2199")
    return value.astimezone(UTC)


Instant = Annotated[
    datetime,
    AfterValidator(_check_zone),
    BeforeValidator(_check_form),
    BeforeValidator(_restore_plus),
    Field(description="时刻，ISO 8601，必须带时区 instant with zone"),
]
"""An instant with its zone, UTC inside."""

Day = Annotated[
    date,
    Field(gt=EARLIEST, lt=LATEST, description="城市当地日期 local day of the city, YYYY-MM-DD"),
]


def refuse_nul(request: Request) -> None:
    """Refuse NUL characters in the address: PostgreSQL holds none and would fail on them."""
    if "\x00" in request.url.path or "%00" in request.url.query:
        raise ProblemError(BAD_REQUEST, "the address contains a NUL character")


def refuse_unknown(request: Request) -> None:
    """Refuse a query parameter that the route doesn't know: a misspelt filter filters nothing."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = _query_names(route.dependant)
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        named = ", ".join(sorted(known)) or "none"
        raise ProblemError(INVALID, f"unknown parameter {unknown[0]!r:.80}; there are: {named}")


def _query_names(dependant: Dependant) -> set[str]:
    """The query parameters of a route and of everything that it depends on."""
    names = {field.alias for field in dependant.query_params}
    return names.union(*(_query_names(part) for part in dependant.dependencies))


def _check_text(value: str) -> str:
    if "\x00" in value:
        raise PydanticCustomError("nul", "a text holds no NUL character")
    return value


Text = Annotated[str, AfterValidator(_check_text)]
"""Text that every database can hold."""
