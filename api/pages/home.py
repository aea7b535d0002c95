"""The first page: supply, large use, loss rate, plans, arrival and open alerts of what one sees."""

from dataclasses import dataclass

from nicegui import ui

from api.pages import alerts, parts, users
from api.pages.charts import loss_chart
from api.pages.figures import write_day, write_instant, write_number, write_percent
from api.pages.frame import PageKind
from api.pages.tables import show_table
from api.pages.visit import Visit
from water.alerts import Severity
from water.pages import Page, Row

MOST_WATCHED = 200
"""So many users with a level are looked at for the ten that stand on this page."""


@dataclass(frozen=True, slots=True)
class Home:
    """What the first page shows."""

    figures: Row
    watched: Page
    newest: Page
    rates: list[Row]


def load(visit: Visit) -> Home:
    """The figures, the users to watch (furthest over first), newest alerts and loss rates."""
    registry = visit.context.registry
    watched = registry.users(visit.viewer, level="any", limit=MOST_WATCHED).rows
    watched.sort(key=lambda row: -max(_over(row), row["projected_rate"] or 0))
    newest = registry.alerts(visit.viewer, limit=8)
    return Home(
        figures=registry.home(visit.viewer),
        watched=Page(watched[:10]),
        newest=Page(alerts.with_subject_names(visit, newest.rows)),
        rates=registry.city_rates(visit.viewer),
    )


def draw(visit: Visit, home: Home) -> None:
    """Cards first, then who and what needs a look."""
    texts = visit.texts
    as_of = write_instant(home.figures["as_of"], visit.zone)
    parts.title(texts["home"], f"{texts['as_of']} {as_of}")
    _draw_cards(visit, home)
    with parts.columns():
        with parts.panel(texts["users_to_watch"], "js-two") as side:
            columns = [c for c in users.columns_of(visit) if c.key in users.SHORT]
            show_table(visit, "users_to_watch", columns, home.watched, side=side)
            with side:
                ui.link(texts["see_all"], "/users?level=any")
        with parts.panel(texts["open_alerts"], "js-third"):
            _draw_severities(visit, home.figures["alerts"])
        if visit.viewer.sees_all:
            _draw_loss(visit, home.rates)
        with parts.panel(texts["newest_alerts"], "js-half") as side:
            columns = [c for c in alerts.columns_of(visit) if c.key in alerts.SHORT]
            show_table(visit, "newest_alerts", columns, home.newest, side=side)
            with side:
                ui.link(texts["see_all"], "/alerts")


def _over(row: Row) -> float:
    """Use against the whole plan, lifted above every projection once the plan is used up."""
    rate = row["used_m3"] / row["plan_m3"] if row["plan_m3"] else 0
    return 1_000 + rate if rate > 1 else rate


def _draw_cards(visit: Visit, home: Home) -> None:
    texts, figures = visit.texts, home.figures
    day = write_day(figures["day"])
    month = f"{figures['month']:%Y-%m}" if figures["month"] else ""
    with parts.cards():
        for name, under in (
            ("day_supply", day), ("day_large_use", day),
            ("month_supply", month), ("month_large_use", month),
        ):  # fmt: skip
            volume = write_number(figures[f"{name}_m3"])
            parts.card(texts[name], volume, "m³", under)
        if visit.viewer.sees_all:
            _draw_rate_cards(visit, figures["city_rates"])
        count = texts.say("of_users", count=write_number(figures["users"]))
        unit = texts["households"]
        for key, level in (("over", "over"), ("at_risk", "any")):
            tone = "bad" if figures[key] else "good"
            parts.card(
                texts[f"users_{key}"], write_number(figures[key]), unit, count,
                tone=tone, href=f"/users?level={level}",
            )  # fmt: skip
        planned = figures["plan_to_date_m3"]
        executed = figures["plan_used_m3"] / planned if planned else None
        note = texts["plan_execution_note"]
        parts.card(texts["plan_execution_rate"], write_percent(executed), "", note)
        arrival = f"{texts['last_full_day']} {write_day(figures['arrival_day'])}"
        parts.card(texts["arrival_rate"], write_percent(figures["arrival_rate"]), "", arrival)


def _draw_rate_cards(visit: Visit, rates: list[Row]) -> None:
    """Gross rate and corrected rate of the newest period that has each."""
    texts = visit.texts
    corrected = next((r for r in reversed(rates) if r["rate"] is not None), None)
    newest = corrected or (rates[0] if rates else None)
    limit = visit.context.settings.loss_rate_target
    target = f"{texts['target']} ≤ {write_percent(limit)}"
    if newest is not None:
        parts.card(
            texts["gross_rate"], write_percent(newest["gross_rate"]), "", _period(visit, newest)
        )
    if corrected is None:
        parts.card(texts["loss_rate"], "–", "", texts["not_computed"])
        return
    tone = "bad" if corrected["rate"] > limit else "good"
    under = f"{target} · {_period(visit, corrected)}"
    parts.card(texts["loss_rate"], write_percent(corrected["rate"], 2), "", under, tone=tone)


def _period(visit: Visit, rate: Row) -> str:
    """The period in words, with the mark of figures that aren't final."""
    period = str(rate["period"])
    said = (
        visit.texts.say("rolling_12_months", month=period.removeprefix("r12:"))
        if period.startswith("r12:")
        else period
    )
    return visit.texts.say("provisional_period", period=said) if rate["provisional"] else said


def _draw_severities(visit: Visit, counts: dict[str, int]) -> None:
    for severity in reversed(Severity):
        with ui.row().classes("w-full items-center justify-between").style("padding: 6px 0"):
            parts.badge(visit.texts.word("severity", severity), severity)
            ui.label(write_number(counts.get(severity, 0))).style(
                "font-size: 18px; font-weight: 600"
            )


def _draw_loss(visit: Visit, rates: list[Row]) -> None:
    texts = visit.texts
    months = [row for row in rates if len(str(row["period"])) == 7]
    with parts.panel(texts["loss_by_month"], "js-half"):
        if months:
            parts.chart(loss_chart(months[-13:], visit.context.settings.loss_rate_target, texts))
            ui.label(texts["loss_note"]).classes("js-note")
        else:
            parts.empty(texts["no_data_yet"])


PAGE = PageKind("home", load, draw, refresh_s=60)
