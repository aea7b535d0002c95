"""One edit: what it says, who made it count, approving and withdrawing it."""

from nicegui import ui

from api.pages import parts
from api.pages.edits import meter_address
from api.pages.figures import write_instant, write_number
from api.pages.forms import act, field, read_words
from api.pages.frame import NotVisibleError, PageKind
from api.pages.visit import Visit
from api.sent import approve_held
from water.edits import EditState
from water.pages import Row


def load(visit: Visit) -> Row:
    """The edit that the address names."""
    number = visit.request.path_params["edit_id"]
    is_id = number.isascii() and number.isdigit() and len(number) < 10
    edit = visit.context.edits.edit(visit.viewer, int(number)) if is_id else None
    if edit is None:
        raise NotVisibleError
    return edit


def draw(visit: Visit, edit: Row) -> None:
    """The facts, then what may be done."""
    texts = visit.texts
    kind = texts.word("edit_kind", edit["kind"])
    parts.title(texts.say("edit_page", id=edit["id"]), kind, edit["meter_id"])
    with parts.panel(f"{kind} · {texts.word('edit_state', edit['state'])}"):
        parts.facts(
            {
                texts["measured_at"]: write_instant(edit["at"], visit.zone),
                texts["edit_version"]: str(edit["version"]),
                texts["register_m3"]: write_number(edit["register_m3"], 3),
                texts["reason"]: edit["reason"],
                texts["proof"]: edit["evidence"] or "–",
                texts["author"]: edit["author"],
                texts["made_at"]: write_instant(edit["made_at"], visit.zone),
                texts["approver"]: edit["approver"] or "–",
                texts["approved_at"]: write_instant(edit["approved_at"], visit.zone),
                texts["withdrawn_by"]: edit["withdrawn_by"] or "–",
                texts["withdrawn_at"]: write_instant(edit["withdrawn_at"], visit.zone),
                texts["withdrawn_reason"]: edit["withdrawn_reason"] or "–",
            }
        )
        ui.link(texts["see_subject"], meter_address(edit))
        if visit.viewer.may_edit and edit["state"] != EditState.WITHDRAWN:
            _draw_steps(visit, edit)


def _draw_steps(visit: Visit, edit: Row) -> None:
    texts, edit_id = visit.texts, edit["id"]

    async def approve() -> None:
        await act(visit, lambda now: approve_held(now.context, now.viewer, edit))

    async def withdraw() -> None:
        why = reason.value
        await act(
            visit,
            lambda now: now.context.editing.withdraw(now.viewer.name, edit_id, read_words(why)),
        )

    with ui.element("div").classes("js-filters"):
        if edit["state"] == EditState.PROPOSED and edit["author"] == visit.viewer.name:
            ui.label(texts["own_edit"]).classes("js-note")
        elif edit["state"] == EditState.PROPOSED:
            ui.button(texts["approve"], icon="done", on_click=approve).props(
                "unelevated no-caps color=primary"
            )
        reason = field(texts["withdrawn_reason"])
        ui.button(texts["withdraw"], icon="undo", on_click=withdraw).props("outline no-caps")


PAGE = PageKind("edits", load, draw)
