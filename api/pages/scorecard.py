"""One supplier's scorecard 数据质量计分卡: arrival, delay, what was refused, silent meters."""

from urllib.parse import quote

from nicegui import ui

from api.pages import parts
from api.pages.figures import write_day, write_number, write_percent, write_seconds
from api.pages.frame import NotVisibleError, PageKind
from api.pages.tables import Column, instant, number, show_table, word
from api.pages.visit import Visit
from api.scorecards import WINDOW_DAYS, last_days, load_scorecard
from water.pages import Page, Row
from water.viewer import Role

WINDOWS = (1, WINDOW_DAYS, 30, 90)
"""Numbers of whole days that a visitor may choose from."""

PAGE_ROWS = 50
"""Silent meters that are shown; the CSV file has more."""

GOOD_ARRIVAL = 0.95
"""The arrival rate that is customarily asked for; a lower one is marked."""


def address_of(supplier_id: str) -> str:
    """Where a supplier's scorecard is."""
    return f"/ingest/suppliers/{quote(supplier_id, safe='')}"


def load(visit: Visit) -> Row:
    """The scorecard over the chosen days."""
    if visit.viewer.role is Role.USER:
        raise NotVisibleError
    supplier_id = visit.request.path_params["supplier_id"]
    first, last = last_days(visit.context, _chosen_days(visit))
    card = load_scorecard(visit.context, visit.viewer, supplier_id, first, last)
    if card is None:
        raise NotVisibleError
    return card


def _chosen_days(visit: Visit) -> int:
    chosen = visit.query("days")
    return int(chosen) if chosen in {str(days) for days in WINDOWS} else WINDOW_DAYS


def draw(visit: Visit, card: Row) -> None:
    """Cards, then counts with their reasons, then the silent meters."""
    texts = visit.texts
    span = f"{write_day(card['first'])} – {write_day(card['last'])}"
    parts.title(f"{card['name']} · {texts['scorecard']}", span)
    days = {str(days): texts.say("last_days", days=days) for days in WINDOWS}
    with ui.element("div").classes("js-filters"):
        choice = ui.select(days, label=texts["window"], value=str(_chosen_days(visit)))
        choice.props("outlined dense options-dense")
        choice.on_value_change(lambda: ui.navigate.to(visit.address(days=choice.value)))
    since = {name: write_number(count) for name, count in card["since"].items()}
    until = card["counted_until"]
    begun = texts.say("since_day", day=write_day(until)) if until else texts["since_beginning"]
    ui.label(texts.say("counted_since", since=begun, **since)).classes("js-note")
    _draw_cards(visit, card)
    _draw_counts(visit, card)
    with parts.panel(texts.say("silent_meters", count=card["silent"])) as side:
        columns = [
            Column("meter_id", texts["meter_id"]),
            instant("received_at", texts["last_received"], visit),
            number("interval_s", texts["interval_s"]),
        ]
        silent = card["silent_meters"]
        show_table(
            visit, "silent-meters", columns, Page(silent[:PAGE_ROWS]),
            fetch=lambda _cursor: Page(silent), side=side,
        )  # fmt: skip
        ui.label(texts["silent_rule"]).classes("js-note")


def _draw_cards(visit: Visit, card: Row) -> None:
    texts = visit.texts
    of_expected = texts.say("of_expected", expected=write_number(card["expected"]))
    with parts.cards():
        rate = card["arrival_rate"]
        tone = "" if rate is None else "good" if rate >= GOOD_ARRIVAL else "bad"
        received = f"{write_number(card['received'])} {of_expected}"
        parts.card(texts["arrival_rate"], write_percent(rate), "", received, tone=tone)
        valid = f"{write_number(card['valid'])} {of_expected}"
        parts.card(texts["completeness"], write_percent(card["completeness"]), "", valid)
        parts.card(texts["delay_p50"], write_seconds(card["delay_p50_s"]))
        parts.card(texts["delay_p95"], write_seconds(card["delay_p95_s"]))
        parts.card(texts["clock_skew"], write_seconds(card["clock_skew_s"]))
        meters = texts.say("of_meters", meters=write_number(card["meters"]))
        silent = write_number(card["silent"])
        parts.card(texts["silent"], silent, "", meters, tone="bad" if card["silent"] else "good")
    for rule in ("scorecard_rule", "skew_rule"):
        ui.label(texts[rule]).classes("js-note")


def _draw_counts(visit: Visit, card: Row) -> None:
    texts = visit.texts
    whole = texts["messages"], texts["readings"]
    counted = [
        ("undecodable", whole[0], card["messages"]),
        ("duplicate", whole[1], card["decoded"]),
        ("conflict", whole[1], card["decoded"]),
        ("quarantined", whole[1], card["decoded"]),
    ]
    rows: list[Row] = [
        {
            "what": texts[f"sum.{name}"], "count": card[name], "of": f"{write_number(of)} {noun}",
            "share": write_percent(card[f"{name}_share"], 2),
        }
        for name, noun, of in counted
    ]  # fmt: skip
    since = card["counted_from"]
    heading = texts["received_and_refused"]
    with parts.panel(heading) as side:
        columns = [
            Column("what", texts["account_column"]),
            number("count", texts["count"]),
            Column("of", texts["of"], numeric=True),
            Column("share", texts["share"], numeric=True),
        ]
        show_table(visit, "counts", columns, Page(rows), side=side)
        note = texts.say("counted_from", day=write_day(since)) if since else texts["counted_all"]
        ui.label(note).classes("js-note")
    with parts.panel(texts["reasons"]) as side:
        columns = [
            word("ledger", texts["ledger"], "ledger", visit),
            word("account", texts["account_column"], "sum", visit),
            word("reason", texts["reason"], "reason", visit),
            number("count", texts["count"]),
        ]
        show_table(visit, "reasons", columns, Page(card["reasons"]), side=side)


PAGE = PageKind("ingest", load, draw)
