"""The parts that pages are built of: panels, cards with one figure, badges, facts, sentences."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nicegui import ui

from api.pages.figures import is_known, write_percent
from api.pages.texts import Texts
from water.columns import ESTIMATED_SHARE, MEASURED_SHARE, MISSING_SHARE

# A shape beside each colour, so that severity is read without seeing colours.
SHAPES = {"notice": "●", "warning": "▲", "formal": "◆", "red": "■"}
SHARE_COLOURS = {
    MEASURED_SHARE: "#0b6e99",
    ESTIMATED_SHARE: "#e0a100",
    MISSING_SHARE: "#9aa5b1",
}


def title(text: str, *asides: str) -> None:
    """The heading of a page, with what belongs beside it in small letters."""
    with ui.element("div").classes("js-title"):
        with ui.element("h1"):
            ui.label(text)
        for aside in filter(None, asides):
            ui.label(aside).classes("js-aside")


@contextmanager
def panel(heading: str, classes: str = "") -> Iterator[ui.element]:
    """A white panel with a heading; yields the right side of the heading for buttons and notes."""
    with ui.element("section").classes(f"js-panel {classes}"):
        with ui.element("div").classes("js-panelhead"):
            with ui.element("h2"):
                ui.label(heading)
            side = ui.row().style("gap: 10px; align-items: center")
        yield side


def columns() -> ui.element:
    """A grid of twelve columns that becomes one on narrow screens."""
    return ui.element("div").classes("js-columns")


def cards() -> ui.element:
    """A row of cards that wraps."""
    return ui.element("div").classes("js-cards")


def card(
    name: str, figure: str, unit: str = "", under: str = "", *, tone: str = "", href: str = ""
) -> None:
    """One figure with its name, unit and what it is held against; `tone` is "", good or bad."""
    box = ui.element("a" if href else "div").classes("js-card" + (f" js-{tone}" if tone else ""))
    if href:
        box.props(f'href="{href}"')
    with box:
        ui.label(name).classes("js-name")
        with ui.element("div").classes("js-figure"):
            ui.label(figure).style("display: inline")
            if unit:
                with ui.element("small"):
                    ui.label(unit).style("display: inline")
        if under:
            ui.label(under).classes("js-under")


def badge(text: str, tone: str) -> None:
    """A word in the colour and with the shape of a severity ("plain" and "good" have no shape)."""
    ui.label(badge_text(text, tone)).classes(f"js-badge {tone}")


def badge_text(text: str, tone: str) -> str:
    """A severity's word behind its shape."""
    return f"{SHAPES[tone]} {text}" if tone in SHAPES else text


def facts(pairs: Mapping[str, str], links: Mapping[str, str] | None = None) -> None:
    """Names and values in a grid; `links` says by name where some of the values lead."""
    leads = links or {}
    with ui.element("dl").classes("js-facts"):
        for name, value in pairs.items():
            with ui.element("div"):
                with ui.element("dt"):
                    ui.label(name)
                with ui.element("dd"):
                    if name in leads:
                        ui.link(value, leads[name])
                    else:
                        ui.label(value)


def empty(sentence: str) -> None:
    """What is said where there is nothing to show."""
    ui.label(sentence).classes("js-empty")


def shares(row: Mapping[str, Any], texts: Texts) -> None:
    """The measured, estimated and missing shares of a volume: a bar and the figures."""
    known = {name: row.get(name) for name in SHARE_COLOURS if is_known(row.get(name))}
    if not known:
        return
    with ui.element("div").classes("js-shares"):
        for name, share in known.items():
            colour = SHARE_COLOURS[name]
            ui.element("i").style(f"width: {share * 100:.2f}%; background: {colour}")  # pyright: ignore[reportOptionalOperand] (known)
    said = (f"{texts[name.removesuffix('_share')]} {write_percent(known[name])}" for name in known)
    ui.label(" · ".join(said)).classes("js-note")


def chart(options: dict[str, Any]) -> ui.echart:
    """A chart of the room's usual height."""
    return ui.echart(options).classes("js-chart")
