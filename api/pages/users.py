"""The list of water users with their plan execution: search, filters, paging by cursor."""

from urllib.parse import quote

from nicegui import ui

from api.pages import parts
from api.pages.frame import PageKind
from api.pages.tables import Column, number, percent, severity, show_table, word
from api.pages.visit import Visit
from water.alerts import Severity
from water.pages import Page
from water.users import Sector

PAGE_ROWS = 50

SHORT = frozenset(
    {"name", "level", "plan_m3", "used_m3", "use_rate", "projected_m3", "projected_rate"}
)
"""The columns that the first page shows."""


def columns_of(visit: Visit) -> list[Column]:
    """Every column of the list."""
    texts = visit.texts
    return [
        Column("id", texts["user_id"]),
        Column("name", texts["name"], href=lambda row: f"/users/{quote(row['id'], safe='')}"),
        severity("level", texts["level"], visit),
        word("sector", texts["sector"], "sector", visit),
        Column("township", texts["township"]),
        number("plan_m3", texts["plan_m3"]),
        number("plan_to_date_m3", texts["plan_to_date_m3"]),
        number("used_m3", texts["used_m3"]),
        percent("use_rate", texts["use_rate"]),
        number("projected_m3", texts["projected_m3"]),
        percent("projected_rate", texts["projected_rate"]),
        percent("estimated_share", texts["estimated_share"]),
        percent("missing_share", texts["missing_share"]),
    ]


def load(visit: Visit) -> Page:
    """One page of the users that the address asks for."""
    return _fetch(visit, visit.query("cursor") or None, PAGE_ROWS)


def draw(visit: Visit, page: Page) -> None:
    """The filters and the table."""
    texts = visit.texts
    parts.title(texts["users"])
    year = visit.context.city.day_of(visit.context.clock.now()).year
    with parts.panel(texts.say("plan_execution", year=year)) as side:
        _draw_filters(visit)
        show_table(
            visit, "users", columns_of(visit), page,
            fetch=lambda cursor: _fetch(visit, cursor, 1_000), side=side,
        )  # fmt: skip


def _fetch(visit: Visit, cursor: str | None, limit: int) -> Page:
    return visit.context.registry.users(
        visit.viewer,
        text=visit.query("text"),
        sector=visit.query("sector"),
        level=visit.query("level"),
        cursor=cursor,
        limit=limit,
    )


def _draw_filters(visit: Visit) -> None:
    texts = visit.texts
    sectors = {"": texts["all"]} | {str(s): texts.word("sector", s) for s in Sector}
    levels = {"": texts["all"], "any": texts["any_level"], "over": texts["over_level"]}
    levels |= {str(s): texts.word("severity", s) for s in Severity}
    with ui.element("div").classes("js-filters"):
        text = ui.input(texts["search"], value=visit.query("text")).props("outlined dense")
        sector = ui.select(sectors, label=texts["sector"], value=_known(visit, "sector", sectors))
        level = ui.select(levels, label=texts["level"], value=_known(visit, "level", levels))

        def ask() -> None:
            ui.navigate.to(
                visit.address(
                    text=text.value or "", sector=sector.value, level=level.value, cursor=""
                )
            )

        text.on("keydown.enter", ask)
        for choice in (sector, level):
            choice.props("outlined dense options-dense").on_value_change(ask)
        ui.button(icon="search", on_click=ask).props("flat dense round color=primary").props(
            f'aria-label="{texts["search"]}"'
        )


def _known(visit: Visit, name: str, options: dict[str, str]) -> str:
    value = visit.query(name)
    return value if value in options else ""


PAGE = PageKind("users", load, draw)
