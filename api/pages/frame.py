"""The frame of every page: header, left menu, loading, refreshing, and what is said on failure."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import structlog
from nicegui import run, ui
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.pages.figures import write_instant
from api.pages.visit import Visit, local_path, open_visit
from api.session import must_change_password
from water.clock import ScaledClock
from water.viewer import Role

log = structlog.get_logger()

MENU = (
    ("home", "/", "dashboard"),
    ("users", "/users", "factory"),
    ("zones", "/zones", "grid_view"),
    ("alerts", "/alerts", "notifications_active"),
    ("edits", "/edits", "edit_note"),
    ("ingest", "/ingest", "sensors"),
)


class NotVisibleError(Exception):
    """There is no such record, or it is not the viewer's to see; which of them is not said."""


@dataclass(frozen=True, slots=True)
class PageKind:
    """A page: what it loads (in a thread, through the ports) and how that is drawn.

    Attributes:
        menu: key of the menu entry that it belongs to.
        load: gives what `draw` needs; raises NotVisibleError where there is nothing to show.
        draw: draws it into the page.
        refresh_s: seconds after which it is loaded and drawn anew; None = never.
    """

    menu: str
    load: Callable[[Visit], Any]
    draw: Callable[[Visit, Any], None]
    refresh_s: float | None = None


def serve(kind: PageKind) -> Callable[[Request], Awaitable[Response | None]]:
    """The page function of a kind, for ui.page."""

    async def page(request: Request) -> Response | None:
        visit = await run.io_bound(open_visit, request)
        if visit is None:
            return await _to_the_door(request)
        _draw_frame(visit, kind)
        content = ui.column().classes("w-full items-stretch").style("gap: var(--gap)")
        with content, ui.row().classes("items-center js-empty"):
            ui.spinner(size="sm")
            ui.label(visit.texts["loading"])
        await ui.context.client.connected(timeout=30)
        await _fill(content, request, kind)
        if kind.refresh_s:
            ui.timer(kind.refresh_s, lambda: _fill(content, request, kind), immediate=False)
        return None

    return page


async def _fill(content: ui.column, request: Request, kind: PageKind) -> None:
    """Load and draw; an outage is said in a sentence, the log has the rest."""
    visit = await run.io_bound(open_visit, request)
    if visit is None:
        ui.navigate.to("/log-in")
        return
    try:
        loaded = await run.io_bound(kind.load, visit)
        content.clear()
        with content:
            kind.draw(visit, loaded)
    except NotVisibleError:
        _say(content, visit.texts["not_found"], "js-empty")
    except Exception:
        log.exception("page failed", path=request.url.path)
        _say(content, visit.texts["failed"], "js-error")


def _say(content: ui.column, sentence: str, classes: str) -> None:
    content.clear()
    with content:
        ui.label(sentence).classes(classes).props("role=status")


async def _to_the_door(request: Request) -> Response:
    if await run.io_bound(must_change_password, request):
        return RedirectResponse("/password", status_code=303)
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/log-in?next={quote(local_path(here), safe='')}", status_code=303)


def _draw_frame(visit: Visit, kind: PageKind) -> None:
    texts = visit.texts
    ui.page_title(f"{texts[kind.menu]} · {texts['product']}")
    ui.query("html").props(f"lang={'zh-CN' if texts.language == 'zh' else 'en'}")
    with ui.element("nav").classes("js-rail"):
        for key, path, icon in _menu_of(visit):
            link = ui.element("a").props(f'href="{path}"')
            if key == kind.menu:
                link.props('aria-current="page"')
            with link:
                ui.icon(icon)
                ui.label(texts[key])
    with ui.element("header").classes("js-header"):
        with ui.element("div").classes("js-brand"):
            ui.label(texts["product"]).style("display: inline")
            with ui.element("small"):
                ui.label(texts["product_line"]).style("display: inline")
        ui.element("div").classes("js-spring")
        now = write_instant(visit.context.clock.now().replace(second=0), visit.zone)
        ui.label(f"{texts['city_clock']} {now}").classes("js-clock")
        language_switch(visit.request, texts["other_language"], texts.language)
        _account_menu(visit)
    _demo_note(visit)


def _menu_of(visit: Visit) -> list[tuple[str, str, str]]:
    """The entries behind which there is something for the visitor's role."""
    empty = {"zones", "ingest"} if visit.viewer.role is Role.USER else set[str]()
    return [entry for entry in MENU if entry[0] not in empty]


def language_switch(request: Request, label: str, language: str) -> None:
    """A link that sets the other language and comes back here."""
    other = "en" if language == "zh" else "zh"
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    with (
        ui.element("a")
        .classes("js-switch")
        .props(f'href="/language/{other}?next={quote(here, safe="")}"')
    ):
        ui.label(label)


def _account_menu(visit: Visit) -> None:
    texts = visit.texts
    with (
        ui.button(icon="account_circle").props(
            f'flat dense round color=primary aria-label="{texts["account"]}"'
        ),
        ui.menu(),
        ui.column().style("padding: 12px 16px; gap: 8px; min-width: 170px"),
    ):
        ui.label(str(visit.account["name"])).style("font-weight: 600")
        ui.label(texts.word("account_role", visit.viewer.role)).classes("js-note")
        ui.link(texts["change_password"], "/password")
        with ui.element("form").props("method=post action=/log-out"):
            ui.button(texts["log_out"]).props("type=submit flat dense no-caps")


def _demo_note(visit: Visit) -> None:
    clock = visit.context.clock
    if isinstance(clock, ScaledClock) and clock.speed != 1:
        text = visit.texts.say("demo_note", speed=f"{clock.speed:g}")
        ui.label(text).classes("js-demo")
