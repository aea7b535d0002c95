"""What the forms of pages share: fields, a time on the city's clock, and saying what is refused."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from nicegui import run, ui
from pydantic import Field, TypeAdapter, ValidationError

from api.pages.visit import Visit, reopen
from api.parameters import Instant, Text
from water.edits import NotFoundError, RefusedEditError

_INSTANT = TypeAdapter[datetime](Instant)
_WORDS = TypeAdapter[str](Annotated[Text, Field(max_length=2000)])


def field(label: str) -> ui.input:
    """A line of text."""
    return ui.input(label).props("outlined dense").style("min-width: 220px")


def time_field(label: str) -> ui.input:
    """A time on the city's clock, with an example of how it is written."""
    return field(label).props('stack-label placeholder="2026-09-15 08:00:00"')


def read_local_time(visit: Visit, text: str) -> datetime | None:
    """An instant written on the city's clock; None where the API would take none."""
    try:
        at = datetime.fromisoformat(text.strip())
        at = at if at.tzinfo else at.replace(tzinfo=visit.zone)
        return _INSTANT.validate_python(at.isoformat())
    except (ValueError, OverflowError):
        return None


def read_words(typed: str | None) -> str:
    """What somebody typed.

    Raises:
        RefusedEditError: the API would not take it: too long, or no database holds it.
    """
    try:
        return _WORDS.validate_python(typed or "")
    except ValidationError as refusal:
        said = refusal.errors()[0]["msg"]
        raise RefusedEditError(said, "文字过长，或含有无法保存的字符") from None


def read_number(text: str) -> float | None:
    """A number that somebody typed; None where it is none."""
    try:
        return float(text.strip())
    except ValueError:
        return None


async def act(visit: Visit, what: Callable[[Visit], object]) -> None:
    """Do what somebody pressed a button for, if they still may, and draw the page anew.

    What the rules refuse is said in their sentence, in the page's language.
    """
    try:
        await run.io_bound(_act, visit, what)
    except NotFoundError:
        ui.notify(visit.texts["not_found"], type="negative")
    except RefusedEditError as refusal:
        why = refusal.chinese if visit.texts.language == "zh" else refusal.english
        ui.notify(f"{visit.texts['not_done']}: {why}", type="negative", multi_line=True)
    else:
        ui.navigate.to(visit.address())


def _act(visit: Visit, what: Callable[[Visit], object]) -> None:
    now = reopen(visit)
    if now is not None and now.viewer.may_edit:
        what(now)
