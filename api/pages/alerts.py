"""The list of alerts: newest first, by state and rule."""

from collections.abc import Iterable
from urllib.parse import quote

from nicegui import ui

from api.pages import parts
from api.pages.frame import PageKind
from api.pages.tables import Column, instant, severity, show_table, word
from api.pages.visit import Visit
from water.alerts import AlertState
from water.findings import FindingKind, SubjectKind
from water.pages import Page, Row

PAGE_ROWS = 50

SHORT = frozenset({"severity", "rule", "subject_name", "opened_at"})
"""The columns that the first page shows."""


def columns_of(visit: Visit) -> list[Column]:
    """Every column of the list; rows need `subject_name` (see with_subject_names)."""
    texts = visit.texts
    return [
        severity("severity", texts["severity"], visit),
        Column(
            "rule",
            texts["rule"],
            lambda row: texts.word("rule", row["rule"]),
            href=lambda row: f"/alerts/{row['id']}",
        ),
        word("subject_kind", texts["subject_kind"], "subject", visit),
        Column("subject_name", texts["subject"], href=subject_address),
        Column("period", texts["period"]),
        word("state", texts["state"], "state", visit),
        instant("since", texts["since"], visit),
        instant("opened_at", texts["opened_at"], visit),
        Column("acknowledged_by", texts["acknowledged_by"]),
    ]


def subject_address(row: Row) -> str:
    """The page of an alert's subject; "" for those without one."""
    folders = {
        SubjectKind.USER: "users", SubjectKind.ZONE: "zones", SubjectKind.METER: "meters"
    }  # fmt: skip
    folder = folders.get(row["subject_kind"])
    return f"/{folder}/{quote(row['subject_id'], safe='')}" if folder else ""


def with_subject_names(visit: Visit, rows: Iterable[Row]) -> list[Row]:
    """The rows with the names of their users and zones; the id where there is no name."""
    registry, viewer = visit.context.registry, visit.viewer
    known: dict[tuple[str, str], str] = {}
    for row in rows:
        kind, subject_id = row["subject_kind"], row["subject_id"]
        if (kind, subject_id) not in known:
            found = None
            if kind == SubjectKind.USER:
                found = registry.user(viewer, subject_id)
            elif kind == SubjectKind.ZONE:
                found = registry.zone(viewer, subject_id)
            city = visit.texts.word("subject", kind) if kind == SubjectKind.CITY else subject_id
            known[kind, subject_id] = str(found["name"]) if found else city
    return [row | {"subject_name": known[row["subject_kind"], row["subject_id"]]} for row in rows]


def load(visit: Visit) -> Page:
    """One page of the alerts that the address asks for."""
    return _fetch(visit, visit.query("cursor") or None, PAGE_ROWS)


def draw(visit: Visit, page: Page) -> None:
    """The filters and the table."""
    texts = visit.texts
    parts.title(texts["alerts"])
    with parts.panel(texts["alert_list"]) as side:
        _draw_filters(visit)
        show_table(
            visit, "alerts", columns_of(visit), page,
            fetch=lambda cursor: _fetch(visit, cursor, 500), side=side,
        )  # fmt: skip


def _fetch(visit: Visit, cursor: str | None, limit: int) -> Page:
    page = visit.context.registry.alerts(
        visit.viewer,
        state=visit.query("state") or "open",
        rule=visit.query("rule"),
        cursor=cursor,
        limit=limit,
    )
    return Page(with_subject_names(visit, page.rows), page.next)


def _draw_filters(visit: Visit) -> None:
    texts = visit.texts
    states = {"open": texts["state_open"], "all": texts["all"]}
    states |= {str(state): texts.word("state", state) for state in AlertState}
    rules = {"": texts["all"]} | {str(kind): texts.word("rule", kind) for kind in FindingKind}
    state, rule = visit.query("state"), visit.query("rule")
    with ui.element("div").classes("js-filters"):
        states_choice = ui.select(
            states, label=texts["state"], value=state if state in states else "open"
        )
        rules_choice = ui.select(rules, label=texts["rule"], value=rule if rule in rules else "")

        def ask() -> None:
            ui.navigate.to(
                visit.address(state=states_choice.value, rule=rules_choice.value, cursor="")
            )

        for choice in (states_choice, rules_choice):
            choice.props("outlined dense options-dense").on_value_change(ask)


PAGE = PageKind("alerts", load, draw, refresh_s=60)
