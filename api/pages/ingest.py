"""What was received of each supplier: both sums with their reasons, and the quarantine."""

from dataclasses import dataclass

from nicegui import ui

from api.pages import parts
from api.pages.frame import PageKind
from api.pages.tables import Column, instant, number, show_table, word
from api.pages.visit import Visit
from water.pages import Page, Row
from water.refusals import Refusal

PAGE_ROWS = 50

MESSAGES = ("received", "decoded", "undecodable", "set_aside", "waiting")
READINGS = ("decoded", "stored", "duplicate", "conflict", "quarantined", "waiting")


@dataclass(frozen=True, slots=True)
class Intake:
    """What the page shows."""

    sums: list[Row]
    quarantine: Page


def load(visit: Visit) -> Intake:
    """Both sums of every supplier in sight and one page of the quarantine."""
    return Intake(
        visit.context.ingest.sums(visit.viewer),
        _fetch(visit, visit.query("cursor") or None, PAGE_ROWS),
    )


def draw(visit: Visit, intake: Intake) -> None:
    """Messages, readings, reasons, then the quarantine."""
    texts = visit.texts
    parts.title(texts["ingest"], texts["sums"])
    for ledger, accounts in (("messages", MESSAGES), ("readings", READINGS)):
        with parts.panel(texts[ledger]) as side:
            columns = _sum_columns(visit, accounts)
            rows = [row[ledger] | {"supplier": row["supplier"]} for row in intake.sums]
            show_table(visit, ledger, columns, Page(rows), side=side)
            ui.label(texts[f"{ledger}_rule"]).classes("js-note")
    with parts.panel(texts["reasons"]) as side:
        columns = [
            Column("supplier", texts["supplier"]),
            word("ledger", texts["ledger"], "ledger", visit),
            word("account", texts["account_column"], "sum", visit),
            word("reason", texts["reason"], "reason", visit),
            number("count", texts["count"]),
        ]
        show_table(visit, "reasons", columns, Page(_reasons(intake.sums)), side=side)
    with parts.panel(texts["quarantine"]) as side:
        _draw_quarantine(visit, intake.quarantine, side)


def _sum_columns(visit: Visit, accounts: tuple[str, ...]) -> list[Column]:
    texts = visit.texts
    return [
        Column("supplier", texts["supplier"]),
        *(number(account, texts[f"sum.{account}"]) for account in accounts),
        Column(
            "balanced",
            texts["balance"],
            lambda row: texts["balanced" if row["balanced"] else "unbalanced"],
            tone=lambda row: "good" if row["balanced"] else "red",
        ),
    ]


def _reasons(sums: list[Row]) -> list[Row]:
    """One row a supplier, ledger, account and reason, the most frequent first."""
    rows = [reason | {"supplier": row["supplier"]} for row in sums for reason in row["reasons"]]
    return sorted(rows, key=lambda row: -row["count"])


def _draw_quarantine(visit: Visit, page: Page, side: ui.element) -> None:
    texts = visit.texts
    reasons = {"": texts["all"]} | {str(r): texts.word("reason", r) for r in Refusal}
    wanted = visit.query("reason")
    with ui.element("div").classes("js-filters"):
        choice = ui.select(
            reasons, label=texts["reason"], value=wanted if wanted in reasons else ""
        ).props("outlined dense options-dense")
        choice.on_value_change(
            lambda: ui.navigate.to(visit.address(reason=choice.value, cursor=""))
        )
    columns = [
        Column("supplier", texts["supplier"]),
        word("reason", texts["reason"], "reason", visit),
        Column("dialect", texts["dialect"]),
        Column("address", texts["address"]),
        instant("at", texts["measured_at"], visit),
        instant("received_at", texts["received_at"], visit),
        Column("detail", texts["detail"], wrap=True),
    ]
    show_table(
        visit, "quarantine", columns, page,
        fetch=lambda cursor: _fetch(visit, cursor, 1_000), side=side,
    )  # fmt: skip


def _fetch(visit: Visit, cursor: str | None, limit: int) -> Page:
    return visit.context.ingest.quarantine(
        visit.viewer, reason=visit.query("reason"), cursor=cursor, limit=limit
    )


PAGE = PageKind("ingest", load, draw)
