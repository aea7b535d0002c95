"""Meter changes one by one: entered by people, or sent by the suppliers whose meters they are.

What contradicts a change that stands never replaces it by itself: a person decides.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

import structlog

from registry.ports import EditRows, EditTransaction
from water.clock import Clock
from water.edits import Decision, EventState, RefusedEditError
from water.limits import check_quantities
from water.meters import MeterChange, MeterEvent

log = structlog.get_logger()

Row = dict[str, Any]

APART = timedelta(days=1)
"""Two changes of one meter that lie closer than this are taken for one that is told differently."""

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
            KeyError: there is no such meter.
            RefusedEditError: it can't have been so, or it contradicts one that stands.
        """
        if not change.reason.strip():
            raise RefusedEditError("a reason is needed 请填写原因")
        with self._store.transaction() as rows:
            meter = rows.meter(change.meter_id)
            if meter is None:
                raise KeyError(change.meter_id)
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
                    f"(final {near[0]['old_final_m3']}, initial {near[0]['new_initial_m3']}) "
                    "与已登记的换表记录矛盾"
                )
            _apply(rows, actor, row)
        return True

    def take(self, journal: str, events: Sequence[MeterEvent]) -> None:
        """Take what suppliers sent, in the order of the journal; each is taken once.

        Raises:
            OSError: the registry is away; nothing was taken, hand them over again.
        """
        with self._store.transaction() as rows:
            taken = rows.taken_to(journal)
            new = [event for event in events if event.entry > taken]
            if not new:
                return
            refused: dict[tuple[str, str], list[MeterEvent]] = {}
            for (supplier, meter_id), some in _by_meter(new).items():
                left = some if meter_id is None else _take_of_meter(rows, meter_id, some)
                for event in left:
                    refused.setdefault((supplier, event.refusal), []).append(event)
            for some in refused.values():
                _count_refused(rows, some)
            rows.set_taken_to(journal, new[-1].entry)

    def decide(self, actor: str, event_id: int, decision: Decision, reason: str) -> None:
        """Decide between a change that stands and one that a supplier sent.

        Raises:
            KeyError: there is no such event.
            RefusedEditError: nothing is to be decided about it, or no reason is given.
        """
        if not reason.strip():
            raise RefusedEditError("a reason is needed 请填写原因")
        with self._store.transaction() as rows:
            event = rows.event(event_id)
            if event is None:
                raise KeyError(event_id)
            if event["state"] != EventState.OPEN:
                raise RefusedEditError(f"it is {event['state']} 该事件无需处理")
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
            raise RefusedEditError("at: this lies in the future 时间在未来")
        for name in ("old_final_m3", "new_initial_m3"):
            value, modulus = row[name], meter["modulus_m3"]
            if not isfinite(value):
                raise RefusedEditError(f"{name}: a finite number is needed 须为有限数")
            beyond = check_quantities(value, modulus, None, None, None)
            if beyond:
                raise RefusedEditError(f"{name}: {beyond[0]} {beyond[1]}")


def _by_meter(events: Sequence[MeterEvent]) -> dict[tuple[str, str | None], list[MeterEvent]]:
    """Events by supplier and meter, None for what is refused already; each in its order."""
    grouped: dict[tuple[str, str | None], list[MeterEvent]] = {}
    for event in events:
        meter_id = None if event.refusal else event.meter_id
        grouped.setdefault((event.supplier_id, meter_id), []).append(event)
    return grouped


def _take_of_meter(
    rows: EditTransaction, meter_id: str, events: Sequence[MeterEvent]
) -> list[MeterEvent]:
    """Take what was sent of one meter; what is refused because too much waits already.

    One look at what was sent before serves all of them: a sender that floods costs little.
    """
    supplier = events[0].supplier_id
    sent = rows.events(supplier, meter_id, "")
    again = Counter[int]()
    left: list[MeterEvent] = []
    for event in events:
        row = _change_of(event, meter_id)
        earlier = next((each for each in sent if _same(row, each)), None)
        if earlier is not None:
            again[earlier["id"]] += 1
        elif sum(each["state"] == EventState.OPEN for each in sent) >= MOST_OPEN:
            detail = f"{meter_id}: {MOST_OPEN} wait for a decision already"
            left.append(event._replace(refusal="too_many_open", detail=detail))
        else:
            _take_new(rows, supplier, event, row)
            sent = rows.events(supplier, meter_id, "")
    for row in sent:
        if again[row["id"]]:
            rows.change_event(row["id"], {"count": row["count"] + again[row["id"]]})
    return left


def _take_new(
    rows: EditTransaction, supplier: str, event: MeterEvent, row: Mapping[str, Any]
) -> None:
    near = rows.changes_near(row["meter_id"], row["at"], APART)
    stands = any(_same(row, standing) for standing in near)
    state = EventState.OPEN if near and not stands else EventState.APPLIED
    if not near:
        _apply(rows, f"supplier {supplier}", row)
    rows.add_event(_as_row(event, {**row, "state": state}, 1))
    log.info("meter change sent", meter=row["meter_id"], state=state.value)


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
    rows.audit(actor, [("meter_changes.created", _subject(row), _plain(row))])


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
