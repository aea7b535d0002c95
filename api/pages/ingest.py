"""What was received of each supplier: both sums, their reasons, conflicts and the quarantine."""

from dataclasses import dataclass
from datetime import timedelta

from nicegui import ui

from api.conflicts import load_conflicts
from api.pages import parts
from api.pages.details import write_detail
from api.pages.edits import decision_word, meter_address
from api.pages.frame import PageKind
from api.pages.replays import draw_replays, load_replays
from api.pages.scorecard import address_of
from api.pages.tables import Column, instant, number, show_table, supplier, word
from api.pages.visit import Visit
from water.pages import Page, Row
from water.refusals import Refusal

PAGE_ROWS = 50

CONFLICT_DAYS = 30
"""Conflicts of so many days back are shown; the API gives older ones."""

NOBODY = "?"
"""The supplier under whom messages are counted whose topic names none."""

MESSAGES = ("received", "decoded", "undecodable", "set_aside", "waiting")
READINGS = ("decoded", "stored", "duplicate", "conflict", "quarantined", "waiting")


@dataclass(frozen=True, slots=True)
class Intake:
    """What the page shows."""

    sums: list[Row]
    conflicts: list[Row]
    quarantine: Page
    replays: list[Row] | None


def load(visit: Visit) -> Intake:
    """Both sums of every supplier in sight, newest conflicts, one page of the quarantine."""
    return Intake(
        visit.context.ingest.sums(visit.viewer),
        _load_conflicts(visit)[:PAGE_ROWS],
        _fetch(visit, visit.query("cursor") or None, PAGE_ROWS),
        load_replays(visit),
    )


def draw(visit: Visit, intake: Intake) -> None:
    """Messages, readings, reasons, conflicts, then the quarantine."""
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
            supplier("supplier", visit),
            word("ledger", texts["ledger"], "ledger", visit),
            word("account", texts["account_column"], "sum", visit),
            word("reason", texts["reason"], "reason", visit),
            number("count", texts["count"]),
        ]
        show_table(visit, "reasons", columns, Page(_reasons(intake.sums)), side=side)
    with parts.panel(texts.say("conflicts", days=CONFLICT_DAYS)) as side:
        _draw_conflicts(visit, intake.conflicts, side)
    with parts.panel(texts["quarantine"]) as side:
        _draw_quarantine(visit, intake.quarantine, side)
    if intake.replays is not None:
        draw_replays(visit, intake.replays)


def _sum_columns(visit: Visit, accounts: tuple[str, ...]) -> list[Column]:
    texts = visit.texts
    return [
        supplier("supplier", visit, href=_scorecard_of),
        *(number(account, texts[f"sum.{account}"]) for account in accounts),
        Column(
            "balanced",
            texts["balance"],
            lambda row: texts["balanced" if row["balanced"] else "unbalanced"],
            tone=lambda row: "good" if row["balanced"] else "red",
        ),
    ]


def _scorecard_of(row: Row) -> str:
    """Where a supplier's scorecard is; nobody's messages have none."""
    return "" if row["supplier"] == NOBODY else address_of(row["supplier"])


def _reasons(sums: list[Row]) -> list[Row]:
    """One row a supplier, ledger, account and reason, the most frequent first."""
    rows = [reason | {"supplier": row["supplier"]} for row in sums for reason in row["reasons"]]
    return sorted(rows, key=lambda row: -row["count"])


def _load_conflicts(visit: Visit) -> list[Row]:
    """Contradicting values of the meters in sight, newest first."""
    now = visit.context.clock.now()
    start, end = now - timedelta(days=CONFLICT_DAYS), now + timedelta(days=1)
    rows = load_conflicts(visit.context, visit.viewer, start, end)
    return sorted(rows, key=lambda row: row["at"], reverse=True)


def _draw_conflicts(visit: Visit, newest: list[Row], side: ui.element) -> None:
    texts = visit.texts
    columns = [
        Column("meter_id", texts["meter_id"], href=meter_address),
        instant("at", texts["measured_at"], visit),
        word("quantity", texts["quantity"], "quantity", visit),
        number("kept", texts["kept"], 3),
        number("offered", texts["offered"], 3),
        Column("decision", texts["decision"], lambda row: decision_word(visit, row)),
        instant("received_at", texts["received_at"], visit),
    ]
    show_table(
        visit, "conflicts", columns, Page(newest),
        fetch=lambda _cursor: Page(_load_conflicts(visit)), side=side,
    )  # fmt: skip
    ui.label(texts["conflicts_rule"]).classes("js-note")


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
        supplier("supplier", visit),
        word("reason", texts["reason"], "reason", visit),
        Column("dialect", texts["dialect"]),
        Column("address", texts["address"]),
        instant("at", texts["measured_at"], visit),
        instant("received_at", texts["received_at"], visit),
        Column(
            "detail",
            texts["detail"],
            lambda row: write_detail(texts, row["reason"], row["detail"]),
            wrap=True,
        ),
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
