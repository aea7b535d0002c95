"""What the forms of pages share: fields, a time on the city's clock, and saying what is refused."""

from collections.abc import Callable
from datetime import datetime

from nicegui import run, ui

from api.pages.visit import Visit, reopen
from water.edits import RefusedEditError


def field(label: str) -> ui.input:
    """A line of text."""
    return ui.input(label).props("outlined dense").style("min-width: 220px")


def read_local_time(visit: Visit, text: str) -> datetime | None:
    """An instant written on the city's clock; None where it is none."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=visit.zone)


def read_number(text: str) -> float | None:
    """A number that somebody typed; None where it is none."""
    try:
        return float(text.strip())
    except ValueError:
        return None


async def act(visit: Visit, what: Callable[[Visit], object]) -> None:
    """Do what somebody pressed a button for, if they still may, and draw the page anew.

    What the rules refuse is said in their sentence.
    """
    try:
        await run.io_bound(_act, visit, what)
    except KeyError:
        ui.notify(visit.texts["not_found"], type="negative")
    except RefusedEditError as refusal:
        ui.notify(f"{visit.texts['not_done']}: {refusal}", type="negative", multi_line=True)
    else:
        ui.navigate.to(visit.address())


def _act(visit: Visit, what: Callable[[Visit], object]) -> None:
    now = reopen(visit)
    if now is not None and now.viewer.may_edit:
        what(now)
