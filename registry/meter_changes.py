"""Meter changes one by one: entered by people, or sent by the suppliers whose meters they are.

What contradicts a change that stands never replaces it by itself: a person decides.
"""

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
            for event in new:
                self._take(rows, event)
            if new:
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

    def _take(self, rows: EditTransaction, event: MeterEvent) -> None:
        if event.refusal or event.meter_id is None or event.at is None:
            self._count_refused(rows, event, event.refusal, event.detail)
            return
        row = {
            "meter_id": event.meter_id,
            "at": datetime.fromtimestamp(event.at, UTC),
            "old_final_m3": event.old_final_m3,
            "new_initial_m3": event.new_initial_m3,
            "reason": event.reason,
        }
        sent = rows.events(event.supplier_id, event.meter_id, "")
        for earlier in sent:
            if _same(row, earlier):
                rows.change_event(earlier["id"], {"count": earlier["count"] + 1})
                return
        near = rows.changes_near(event.meter_id, row["at"], APART)
        stands = any(_same(row, standing) for standing in near)
        waiting = sum(earlier["state"] == EventState.OPEN for earlier in sent)
        state = EventState.OPEN if near and not stands else EventState.APPLIED
        if state is EventState.OPEN and waiting >= MOST_OPEN:
            detail = f"{event.meter_id}: {waiting} wait for a decision already"
            self._count_refused(rows, event, "too_many_open", detail)
            return
        if not near:
            _apply(rows, f"supplier {event.supplier_id}", row)
        rows.add_event(_as_row(event, row | {"state": state}))
        log.info("meter change sent", meter=event.meter_id, state=state.value)

    def _count_refused(
        self, rows: EditTransaction, event: MeterEvent, refusal: str, detail: str
    ) -> None:
        said = {
            "detail": detail,
            "received_at": datetime.fromtimestamp(event.received_at, UTC),
        }
        log.warning(
            "meter change refused", supplier=event.supplier_id, refusal=refusal, detail=detail
        )
        for standing in rows.events(event.supplier_id, None, refusal):
            rows.change_event(standing["id"], said | {"count": standing["count"] + 1})
            return
        row = {"state": EventState.REFUSED, "refusal": refusal, "reason": ""}
        rows.add_event(_as_row(event, row | said))


def _apply(rows: EditTransaction, actor: str, row: Mapping[str, Any]) -> None:
    """Write a change; what it makes wrong is computed again."""
    rows.put("meter_changes", [row])
    rows.audit(actor, [("meter_changes.created", _subject(row), _plain(row))])


def _as_row(event: MeterEvent, values: Mapping[str, Any]) -> Row:
    """A row of the table of events, of which there is one so far."""
    return {
        "supplier_id": event.supplier_id,
        "received_at": datetime.fromtimestamp(event.received_at, UTC),
        "count": 1,
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
