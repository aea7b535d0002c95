"""Meter changes one by one: entered by people, or sent by the suppliers whose meters they are.

What contradicts a change that stands never replaces it by itself: a person decides.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

import structlog

from registry.edit_checks import check_values
from registry.ports import EditRows, EditTransaction
from water.clock import Clock
from water.edits import Decision, EventState, NotFoundError, RefusedEditError
from water.meters import MeterChange, MeterEvent

log = structlog.get_logger()

Row = dict[str, Any]

APART = timedelta(days=1)
"""Two changes of one meter that lie closer than this are taken for one that is told differently."""

MOST_APPLIED = 20
"""Changes of one meter that one batch brings and that count at once; further ones wait."""

MOST_OPEN = 20
"""Events of one meter that wait for a person; further ones are refused and counted."""

_VALUES = ("at", "old_final_m3", "new_initial_m3")


class MeterChanges:
    """What people and suppliers say of meter changes (api.ports, ingest.ports.MeterEvents)."""

    def __init__(self, store: EditRows, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def enter(self, actor: str, change: MeterChange) -> bool:
        """Register a meter change that a person enters; False when it stands there already.

        Raises:
            NotFoundError: there is no such meter.
            RefusedEditError: it can't have been so, or it contradicts one that stands.
        """
        if not change.reason.strip():
            raise RefusedEditError("a reason is needed", "请填写原因")
        with self._store.transaction() as rows:
            meter = rows.meter(change.meter_id)
            if meter is None:
                raise NotFoundError(change.meter_id)
            at = change.at.replace(microsecond=0)
            row = {name: getattr(change, name) for name in ("meter_id", *_VALUES, "reason")}
            row |= {"at": at, "reason": change.reason.strip()}
            self._check(meter, row)
            near = rows.changes_near(change.meter_id, at, APART)
            if any(_same(row, standing) for standing in near):
                return False
            if near:
                raise RefusedEditError(
                    f"it contradicts the change of {near[0]['at'].isoformat()} "
                    f"(final {near[0]['old_final_m3']}, initial {near[0]['new_initial_m3']})",
                    "与已登记的换表记录矛盾",
                )
            _apply(rows, actor, row)
        return True

    def take(self, journal: str, events: Sequence[MeterEvent]) -> None:
        """Take what suppliers sent, in the order of the journal; each is taken once.

        Args:
            journal: what no other journal is called, also none that takes its place.
            events: what they sent, by their numbers in it.

        Raises:
            OSError: the registry is away; nothing was taken, hand them over again.
        """
        with self._store.transaction() as rows:
            taken = rows.taken_to(journal)
            new = [event for event in events if event.entry > taken]
            if not new:
                return
            accepted: dict[str, list[Row]] = {}
            refused: dict[tuple[str, str], list[MeterEvent]] = {}
            for (supplier, meter_id), some in _by_meter(new).items():
                left = some
                if meter_id is not None:
                    of_meter = accepted.setdefault(meter_id, [])
                    left = _take_of_meter(rows, meter_id, some, of_meter)
                    _audit_created(rows, f"supplier {supplier}", of_meter)
                for event in left:
                    refused.setdefault((supplier, event.refusal), []).append(event)
            rows.put("meter_changes", [row for some in accepted.values() for row in some])
            for some in refused.values():
                _count_refused(rows, some)
            rows.set_taken_to(journal, new[-1].entry)

    def decide(self, actor: str, event_id: int, decision: Decision, reason: str) -> None:
        """Decide between a change that stands and one that a supplier sent.

        Raises:
            NotFoundError: there is no such event.
            RefusedEditError: nothing is to be decided about it, or no reason is given.
        """
        if not reason.strip():
            raise RefusedEditError("a reason is needed", "请填写原因")
        with self._store.transaction() as rows:
            event = rows.event(event_id)
            if event is None:
                raise NotFoundError(event_id)
            if event["state"] != EventState.OPEN:
                raise RefusedEditError(f"it is {event['state']}", "该事件无需处理")
            state = EventState.KEPT
            if decision is Decision.TAKE:
                state = EventState.APPLIED
                for wrong in rows.changes_near(event["meter_id"], event["at"], APART):
                    rows.remove_change(wrong)
                    rows.audit(actor, [("meter_changes.removed", _subject(wrong), _plain(wrong))])
                _apply(
                    rows, actor, {name: event[name] for name in ("meter_id", *_VALUES, "reason")}
                )
            step = {"state": state, "decided_by": actor, "decided_at": self._clock.now()}
            rows.change_event(event_id, step | {"decided_reason": reason.strip()})
            detail = {"event": event_id, "decision": decision, "reason": reason.strip()}
            rows.audit(actor, [("meter_event.decided", _subject(event), detail)])

    def _check(self, meter: Row, row: Mapping[str, Any]) -> None:
        """See that a change can have been.

        Raises:
            RefusedEditError: it can't.
        """
        if row["at"] > self._clock.now():
            raise RefusedEditError("at: this lies in the future", "时间在未来")
        for name in ("old_final_m3", "new_initial_m3"):
            value, modulus = row[name], meter["modulus_m3"]
            if not isfinite(value):
                raise RefusedEditError(f"{name}: a finite number is needed", "须为有限数")
            check_values(value, modulus, None, None, None, about=f"{name}: ")


def _by_meter(events: Sequence[MeterEvent]) -> dict[tuple[str, str | None], list[MeterEvent]]:
    """Events by supplier and meter, None for what is refused already; each in its order."""
    grouped: dict[tuple[str, str | None], list[MeterEvent]] = {}
    for event in events:
        meter_id = None if event.refusal else event.meter_id
        grouped.setdefault((event.supplier_id, meter_id), []).append(event)
    return grouped


def _take_of_meter(
    rows: EditTransaction, meter_id: str, events: Sequence[MeterEvent], accepted: list[Row]
) -> list[MeterEvent]:
    """Take what was sent of one meter; what is refused because too much waits already.

    One look at what was sent before serves all of them: a sender that floods costs little.

    Args:
        rows: the registry.
        meter_id: the meter.
        events: what its supplier sent, in order.
        accepted: filled with the changes that count at once, which the caller writes.
    """
    before = rows.events(events[0].supplier_id, meter_id, "")
    sent, again, left = list(before), Counter[int](), list[MeterEvent]()
    waiting = sum(each["state"] == EventState.OPEN for each in sent)
    for event in events:
        change = _change_of(event, meter_id)
        earlier = next((n for n, each in enumerate(sent) if _same(change, each)), None)
        if earlier is not None:
            again[earlier] += 1
            continue
        state = _judge(rows, change, accepted)
        if state is EventState.OPEN and waiting >= MOST_OPEN:
            detail = f"{meter_id}: {MOST_OPEN} wait for a decision already"
            left.append(event._replace(refusal="too_many_open", detail=detail))
            continue
        waiting += state is EventState.OPEN
        sent.append(_as_row(event, {**change, "state": state}, 1))
        log.info("meter change sent", meter=meter_id, state=state.value)
    for n, row in enumerate(sent):
        count = row["count"] + again[n]
        if n >= len(before):
            rows.add_event(row | {"count": count})
        elif again[n]:
            rows.change_event(row["id"], {"count": count})
    return left


def _judge(rows: EditTransaction, change: Row, accepted: list[Row]) -> EventState:
    """Whether a change counts at once, and is then accepted, or waits for a person."""
    near = rows.changes_near(change["meter_id"], change["at"], APART)
    near += [other for other in accepted if abs(other["at"] - change["at"]) < APART]
    if any(_same(change, standing) for standing in near):
        return EventState.APPLIED
    if near or len(accepted) >= MOST_APPLIED:
        return EventState.OPEN
    accepted.append(change)
    return EventState.APPLIED


def _count_refused(rows: EditTransaction, events: Sequence[MeterEvent]) -> None:
    """Count what a supplier sent in vain for one reason, with the newest one's words."""
    newest = events[-1]
    log.warning(
        "meter changes refused", supplier=newest.supplier_id, refusal=newest.refusal,
        detail=newest.detail, count=len(events),
    )  # fmt: skip
    standing = rows.events(newest.supplier_id, None, newest.refusal)
    row = _as_row(newest, {"state": EventState.REFUSED, "refusal": newest.refusal}, len(events))
    row |= {"detail": newest.detail, "reason": ""}
    if not standing:
        rows.add_event(row)
        return
    said = {name: row[name] for name in ("detail", "received_at")}
    rows.change_event(standing[0]["id"], said | {"count": standing[0]["count"] + len(events)})


def _apply(rows: EditTransaction, actor: str, row: Mapping[str, Any]) -> None:
    """Write a change; what it makes wrong is computed again."""
    rows.put("meter_changes", [row])
    _audit_created(rows, actor, [row])


def _audit_created(rows: EditTransaction, actor: str, changes: Sequence[Mapping[str, Any]]) -> None:
    rows.audit(actor, [("meter_changes.created", _subject(row), _plain(row)) for row in changes])


def _change_of(event: MeterEvent, meter_id: str) -> Row:
    """The meter change that an event tells."""
    return {
        "meter_id": meter_id,
        "at": datetime.fromtimestamp(event.at or 0, UTC),
        "old_final_m3": event.old_final_m3,
        "new_initial_m3": event.new_initial_m3,
        "reason": event.reason,
    }


def _as_row(event: MeterEvent, values: Mapping[str, Any], count: int) -> Row:
    """A row of the table of events."""
    return {
        "supplier_id": event.supplier_id,
        "received_at": datetime.fromtimestamp(event.received_at, UTC),
        "count": count,
        "refusal": "",
        "detail": "",
        **values,
    }


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[name] == other[name] for name in _VALUES)


def _plain(row: Mapping[str, Any]) -> Row:
    kept = {name: row[name] for name in ("old_final_m3", "new_initial_m3", "reason")}
    return {"at": row["at"].isoformat(), **kept}


def _subject(row: Mapping[str, Any]) -> str:
    return f"{row['meter_id']} {row['at'].isoformat()}"
