"""One alert: its evidence, the steps of its life, who was told, and acknowledging it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nicegui import run, ui

from api.pages import parts
from api.pages.alerts import subject_address, with_subject_names
from api.pages.figures import is_known, write_evidence, write_instant
from api.pages.frame import NotVisibleError, PageKind
from api.pages.tables import Column, instant, show_table, word
from api.pages.visit import Visit, reopen
from water.alerts import AlertState
from water.pages import Page, Row


def load(visit: Visit) -> Row:
    """The alert with its events and notices."""
    alert_id = visit.request.path_params["alert_id"]
    alert = visit.context.registry.alert(visit.viewer, int(alert_id)) if _is_id(alert_id) else None
    if alert is None:
        raise NotVisibleError
    return with_subject_names(visit, [alert])[0]


def draw(visit: Visit, alert: Row) -> None:
    """What it is about, the evidence, then what people did."""
    texts = visit.texts
    rule = texts.word("rule", alert["rule"])
    parts.title(f"{rule} · {alert['subject_name']}", texts.say("alert_page", id=alert["id"]))
    with parts.columns():
        with parts.panel(rule, "js-half") as side:
            with side:
                parts.badge(texts.word("severity", alert["severity"]), alert["severity"])
            _draw_subject(visit, alert)
            if visit.viewer.may_acknowledge and alert["state"] == AlertState.FIRING:
                _draw_acknowledge(visit, alert)
        with parts.panel(texts["evidence"], "js-half") as side:
            _draw_evidence(visit, alert["evidence"], side)
    with parts.panel(texts["events"]) as side:
        _draw_events(visit, alert["events"], side)
    if visit.viewer.sees_all:
        with parts.panel(texts["notices"]) as side:
            _draw_notices(visit, alert["notices"], side)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _draw_subject(visit: Visit, alert: Row) -> None:
    texts = visit.texts
    kind = texts.word("subject", alert["subject_kind"])
    parts.facts(
        {
            texts["subject"]: f"{kind} {alert['subject_name']}",
            texts["state"]: texts.word("state", alert["state"]),
            texts["period"]: alert["period"] or "–",
            texts["since"]: write_instant(alert["since"], visit.zone),
            texts["opened_at"]: write_instant(alert["opened_at"], visit.zone),
            texts["seen_at"]: write_instant(alert["seen_at"], visit.zone),
        }
    )
    address = subject_address(alert)
    if address:
        ui.link(texts["see_subject"], address)


def _draw_evidence(visit: Visit, evidence: Mapping[str, Any], side: ui.element) -> None:
    texts = visit.texts
    figures = evidence.get("figures") or {}
    thresholds = evidence.get("thresholds") or {}
    rows = [
        {
            "name": texts.word("figure", name),
            "value": write_evidence(name, figures.get(name)),
            "threshold": write_evidence(name, thresholds.get(name)),
        }
        for name in [*figures, *(name for name in thresholds if name not in figures)]
    ]
    columns = [
        Column("name", texts["figure"]),
        Column("value", texts["value"], numeric=True),
        Column("threshold", texts["threshold"], numeric=True),
    ]
    show_table(visit, "evidence", columns, Page(rows), side=side)
    first, last = (
        write_instant(_instant(evidence.get(key)), visit.zone)
        for key in ("readings_from", "readings_to")
    )
    ui.label(f"{texts['readings_between']} {first} – {last}").classes("js-note")
    parts.shares(evidence.get("shares") or {}, texts)


def _instant(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) and is_known(text) else None


def _draw_events(visit: Visit, events: list[Row], side: ui.element) -> None:
    texts = visit.texts
    columns = [
        instant("at", texts["at"], visit),
        word("to_state", texts["step"], "state", visit),
        Column("actor", texts["actor"], lambda row: texts.word("actor", row["actor"])),
        Column("reason", texts["reason"], wrap=True),
    ]
    show_table(visit, "events", columns, Page(events), side=side)


def _draw_notices(visit: Visit, notices: list[Row], side: ui.element) -> None:
    texts = visit.texts
    if not notices:
        parts.empty(texts["no_notices"])
        return
    columns = [
        instant("created_at", texts["at"], visit),
        Column("audience", texts["audience"], lambda row: _audience(visit, row["audience"])),
        Column("title", texts["title"], wrap=True),
        word("state", texts["state"], "notice_state", visit),
        instant("sent_at", texts["sent_at"], visit),
    ]
    show_table(visit, "notices", columns, Page(notices), side=side)


def _audience(visit: Visit, audience: str) -> str:
    role, _, owner = audience.partition(":")
    return f"{visit.texts.word('account_role', role)} {owner}".rstrip()


def _draw_acknowledge(visit: Visit, alert: Row) -> None:
    texts = visit.texts
    reason = ui.textarea(texts["acknowledge_reason"]).props("outlined dense autogrow")
    reason.style("width: 100%; margin-top: 12px")

    async def acknowledge() -> None:
        said = (reason.value or "").strip()
        if not said:
            ui.notify(texts["reason_needed"], type="warning")
            return
        try:
            await run.io_bound(_acknowledge, visit, alert["id"], said)
        except KeyError:
            ui.notify(texts["not_found"], type="negative")
            return
        except ValueError as error:
            ui.notify(f"{texts['not_acknowledged']}: {error}", type="negative")
            return
        ui.navigate.to(visit.address())

    ui.button(texts["acknowledge"], icon="done", on_click=acknowledge).props(
        "unelevated no-caps color=primary"
    ).style("margin-top: 10px")


def _acknowledge(visit: Visit, alert_id: int, reason: str) -> None:
    """Acknowledge, if the visitor is still who they were and may still do it."""
    now = reopen(visit)
    if now is None or not now.viewer.may_acknowledge:
        return
    if now.context.registry.alert(now.viewer, alert_id) is None:
        raise KeyError(alert_id)
    now.context.alerts.acknowledge(alert_id, now.viewer.name, reason)


PAGE = PageKind("alerts", load, draw)
