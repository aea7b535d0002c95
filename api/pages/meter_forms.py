"""The forms of a meter's page: an edit, a decision about a conflict, a meter change."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from nicegui import ui

from api.pages.figures import write_instant, write_number
from api.pages.forms import act, field, read_local_time, read_number, read_words, time_field
from api.pages.texts import Texts
from api.pages.visit import Visit
from api.sent import find_sent
from water.edits import Decision, EditKind
from water.meters import MeterChange
from water.pages import Row

_PRIMARY = "unelevated no-caps color=primary"


def draw_edit_form(visit: Visit, meter_id: str) -> Callable[[datetime], None]:
    """Make an edit of the register; other quantities are edited through the API.

    Gives what begins one at an instant: it fills in the time, and leads to the form.
    """
    texts = visit.texts
    kinds = {str(kind): texts.word("edit_kind", kind) for kind in EditKind}
    with ui.element("div").classes("js-filters"):
        kind = ui.select(kinds, label=texts["edit_kind"], value=str(EditKind.MANUAL))
        kind.props("outlined dense options-dense")
        time, register = time_field(texts["local_time"]), field(texts["register_m3"])
        reason, proof = field(texts["reason"]), field(texts["proof"])

        async def make() -> None:
            at, chosen = read_local_time(visit, time.value or ""), EditKind(kind.value)
            typed = (register.value or "").strip()
            value = read_number(typed)
            if at is None:
                ui.notify(texts["bad_time"], type="warning")
                return
            if typed and value is None:
                ui.notify(texts["number_needed"], type="warning")
                return
            why, where = reason.value, proof.value
            await act(
                visit,
                lambda now: now.context.editing.propose(
                    now.viewer.name, meter_id, at, chosen, {"register_m3": value},
                    sent=find_sent(now.context, now.viewer, meter_id, at),
                    reason=read_words(why), evidence=read_words(where),
                ),
            )  # fmt: skip

        ui.button(texts["make_edit"], icon="edit", on_click=make).props(_PRIMARY)

    def start_edit(at: datetime) -> None:
        time.value = f"{at.astimezone(visit.zone):%Y-%m-%d %H:%M:%S}"
        register.run_method("focus")

    return start_edit


def draw_conflict_form(visit: Visit, conflicts: list[Row]) -> None:
    """Decide about one of the conflicts that are open."""
    texts = visit.texts
    named = name_open(texts, visit.zone, conflicts)
    if not named:
        return
    decisions = {str(d): texts.word("decision", d) for d in Decision}
    with ui.element("div").classes("js-filters"):
        chosen = ui.select(named, label=texts["decide_conflict"], value=next(iter(named)))
        decision = ui.select(decisions, label=texts["decision"], value=str(Decision.KEEP))
        for choice in (chosen, decision):
            choice.props("outlined dense options-dense")
        chosen.classes("js-wide")
        reason = field(texts["reason"])

        async def decide() -> None:
            conflict, taken = conflicts[chosen.value], Decision(decision.value)
            why = reason.value
            await act(
                visit,
                lambda now: now.context.editing.decide(
                    now.viewer.name, conflict, taken, read_words(why)
                ),
            )

        ui.button(texts["decide_conflict"], icon="gavel", on_click=decide).props(_PRIMARY)


def name_open(texts: Texts, zone: ZoneInfo, conflicts: list[Row]) -> dict[int, str]:
    """What to call each conflict that nobody decided, by its place in the list."""
    return {
        number: texts.say(
            "conflict_choice",
            at=write_instant(row["at"], zone),
            quantity=texts.word("quantity", row["quantity"]),
            kept=write_number(row["kept"], 3),
            offered=write_number(row["offered"], 3),
        )
        for number, row in enumerate(conflicts)
        if row["decision"] is None
    }


def draw_change_form(visit: Visit, meter_id: str) -> None:
    """Enter a meter change."""
    texts = visit.texts
    with ui.element("div").classes("js-filters"):
        time = time_field(texts["local_time"])
        old, new = field(texts["old_final_m3"]), field(texts["new_initial_m3"])
        reason = field(texts["reason"])

        async def enter() -> None:
            at = read_local_time(visit, time.value or "")
            final, initial = read_number(old.value or ""), read_number(new.value or "")
            if at is None:
                ui.notify(texts["bad_time"], type="warning")
                return
            if final is None or initial is None:
                ui.notify(texts["number_needed"], type="warning")
                return
            why = reason.value
            await act(
                visit,
                lambda now: now.context.changes.enter(
                    now.viewer.name, MeterChange(meter_id, at, final, initial, read_words(why))
                ),
            )

        ui.button(texts["enter_change"], icon="swap_horiz", on_click=enter).props(_PRIMARY)
