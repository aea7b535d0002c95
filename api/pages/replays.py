"""The panel of replays: what today's decoders would make of a window, and its adoption."""

from collections.abc import Awaitable, Callable
from datetime import datetime, time, timedelta

from nicegui import run, ui

from api.pages import parts
from api.pages.figures import write_number, write_percent
from api.pages.replay_examples import draw_examples
from api.pages.tables import Column, instant, show_table, supplier, word
from api.pages.texts import Texts
from api.pages.visit import Visit, reopen
from api.replays import adopted_by, ask_adoption, ask_replay, list_replays
from api.rights import may_reload
from water.pages import Page, Row

_DAYS = 7
"""How far back the form begins."""
_POLL_S = 2.0
"""How often the list is loaded anew while a replay in it has not ended."""
_ENDED = {"done", "failed"}


def load_replays(visit: Visit) -> list[Row] | None:
    """The newest replays; None for those who may not ask for any."""
    return list_replays(visit.context.jobs) if may_reload(visit.viewer) else None


def draw_replays(visit: Visit, replays: list[Row]) -> None:
    """What was asked for, what it found, and a form to ask for another one."""
    with parts.panel(visit.texts["replays"]):
        ui.label(visit.texts["replays_rule"]).classes("js-note")
        form = ui.column().classes("w-full items-stretch")
        listing = _Listing(visit, replays)
        with form:
            _draw_form(visit, listing.reload)


class _Listing:
    """The table of replays, and one of them looked at; drawn anew until all have ended.

    The form beside it is left alone: what somebody has chosen there stays.
    """

    def __init__(self, visit: Visit, replays: list[Row]) -> None:
        self._visit = visit
        self._replays: list[Row] = []
        self._chosen: int | None = None
        self._place = ui.column().classes("w-full items-stretch")
        self._timer = ui.timer(_POLL_S, self.reload, active=False, immediate=False)
        self._ask_whether = _question(visit.texts)
        self._draw(replays)

    async def reload(self) -> None:
        """Load the list, and draw it where it says something else than before."""
        replays = await run.io_bound(_load_anew, self._visit)
        if replays is None:
            ui.navigate.to(self._visit.address())
        elif replays != self._replays:
            self._draw(replays)

    def _draw(self, replays: list[Row]) -> None:
        self._replays = replays
        self._timer.active = any(row["state"] not in _ENDED for row in replays)
        self._place.clear()
        with self._place:
            _draw_table(self._visit, replays)
            done = [row for row in replays if row["adopts"] is None and row["state"] == "done"]
            if done:
                self._draw_one(done)

    def _draw_one(self, done: list[Row]) -> None:
        """One of the replays that are done: its examples, and its adoption."""
        texts = self._visit.texts
        by_id = {row["id"]: row for row in done}
        chosen = by_id.get(self._chosen or 0, done[0])
        adopted = adopted_by(chosen, self._replays)
        with ui.element("div").classes("js-filters"):
            choice = ui.select(list(by_id), value=chosen["id"], label=texts["job"])
            choice.props("outlined dense options-dense")
            choice.on_value_change(lambda: self._choose(choice.value))
            if adopted is None:
                ui.button(texts["adopt_replay"], icon="done", on_click=lambda: self._adopt(chosen))
            else:
                ui.label(texts.say("adopted_by", job=adopted)).classes("js-note")
        draw_examples(self._visit, chosen["sample"])

    def _choose(self, job: int) -> None:
        self._chosen = job
        self._draw(self._replays)

    async def _adopt(self, replay: Row) -> None:
        said = self._visit.texts.say(
            "adopt_sure", job=replay["id"], found=_write_found(self._visit, replay)
        )
        with self._place:  # the button may be drawn anew, and so be gone, while the dialog is open
            if not await self._ask_whether(said):
                return
            try:
                await run.io_bound(_adopt, self._visit, replay["id"])
            except (KeyError, ValueError):
                ui.notify(self._visit.texts["not_adoptable"], type="negative")
                return
            await self.reload()


def _question(texts: Texts) -> Callable[[str], Awaitable[bool]]:
    """A dialog that asks whether replays shall be adopted."""
    with ui.dialog() as dialog, ui.card():
        sentence = ui.label()
        with ui.row():
            ui.button(texts["cancel"], on_click=lambda: dialog.submit(False)).props("flat no-caps")
            ui.button(texts["adopt_now"], on_click=lambda: dialog.submit(True)).props(
                "unelevated no-caps color=primary"
            )

    async def ask(said: str) -> bool:
        sentence.text = said
        return bool(await dialog)

    return ask


def _load_anew(visit: Visit) -> list[Row] | None:
    now = reopen(visit)
    return load_replays(now) if now is not None else None


def _draw_table(visit: Visit, replays: list[Row]) -> None:
    texts = visit.texts
    columns = [
        Column("id", texts["job"]),
        Column("adopts", texts["adopts"]),
        word("state", texts["state"], "job_state", visit),
        Column("progress", texts["progress"], lambda row: write_percent(row["progress"])),
        instant("start", texts["replay_from"], visit),
        instant("end", texts["replay_to"], visit),
        supplier("supplier", visit),
        Column("found", texts["found"], lambda row: _write_found(visit, row), wrap=True),
        Column("asked_by", texts["asked_by"]),
    ]
    show_table(visit, "replays", columns, Page([_with_instants(row) for row in replays]))


def _with_instants(row: Row) -> Row:
    ends = {name: datetime.fromisoformat(row[name]) for name in ("start", "end") if row[name]}
    return row | ends


def _write_found(visit: Visit, row: Row) -> str:
    """The counts that are not 0, in words; what it became, for an adoption."""
    said = row["became"] if row["adopts"] else {}
    counts = {f"sum.{name}": count for name, count in said.items()}
    if not row["adopts"]:
        counts = {f"replay.{name}": count for name, count in _counts(row).items()}
    words = [f"{visit.texts[name]} {write_number(n, 0)}" for name, n in counts.items() if n]
    gone = [] if row["adopts"] else [_write_gone(visit, each) for each in row["gone"]]
    return "; ".join([*words, *gone, *row["errors"]])


def _write_gone(visit: Visit, row: Row) -> str:
    """Messages of a supplier that gave other readings then, and what they are today."""
    texts = visit.texts
    reason = row["now"].partition("/")[2]
    now = texts.word("reason", reason) if reason else texts["decoded_otherwise"]
    count = write_number(row["messages"], 0)
    return texts.say(
        "replay_gone", supplier=visit.name_supplier(row["supplier"]), now=now, count=count
    )


def _counts(row: Row) -> dict[str, int]:
    messages, readings = row["messages"], row["readings"]
    return {
        "read": messages.get("read", 0),
        "newly_decoded": messages.get("newly_decoded", 0),
        "no_longer_decoded": messages.get("no_longer_decoded", 0),
        **{name: readings.get(name, 0) for name in ("new", "completed", "changed", "refused")},
        "from_quarantine": row["from_quarantine"],
        "unmatched": row["unmatched"],
    }


def _draw_form(visit: Visit, reload: Callable[[], Awaitable[None]]) -> None:
    texts = visit.texts
    today = visit.context.clock.now().astimezone(visit.zone).date()
    with ui.element("div").classes("js-filters"):
        first = _day(texts["replay_from"], (today - timedelta(days=_DAYS)).isoformat())
        last = _day(texts["replay_to"], today.isoformat())
        whose = ui.input(texts["supplier"]).props("outlined dense")
        undecodable = ui.checkbox(texts["only_undecodable"])

    async def ask() -> None:
        try:
            start, end = _midnight(visit, first.value, 0), _midnight(visit, last.value, 1)
            await run.io_bound(
                _ask, visit, start, end, (whose.value or "").strip(), bool(undecodable.value)
            )
        except ValueError:
            ui.notify(texts["replay_bad_window"], type="warning")
            return
        await reload()

    ui.button(texts["ask_replay"], icon="replay", on_click=ask).props("outline dense no-caps")


def _day(label: str, value: str) -> ui.input:
    return ui.input(label, value=value).props("outlined dense type=date stack-label")


def _midnight(visit: Visit, day: str | None, later: int) -> datetime:
    begins = datetime.combine(datetime.fromisoformat(day or "").date(), time(), visit.zone)
    return begins + timedelta(days=later)


def _ask(visit: Visit, start: datetime, end: datetime, supplier: str, undecodable: bool) -> None:
    """Ask for a replay, if the visitor is still who they were and may still do it."""
    now = reopen(visit)
    if now is not None and may_reload(now.viewer):
        jobs, name = now.context.jobs, now.viewer.name
        ask_replay(jobs, name, start, end, supplier, undecodable=undecodable)


def _adopt(visit: Visit, replay_id: int) -> None:
    now = reopen(visit)
    if now is not None and may_reload(now.viewer):
        ask_adoption(now.context.jobs, now.viewer.name, replay_id)
