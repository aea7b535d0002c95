"""Edits of readings: who may make one count, and what a conflict that is decided becomes.

Nothing is ever deleted: an edit that should not count is withdrawn, and every step is audited.
"""

from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any

import structlog

from registry.edit_checks import (
    check_bare,
    check_free,
    check_sent,
    check_values,
    counting_beside,
)
from registry.ports import EditRows, EditTransaction
from water.clock import Clock
from water.edits import Decision, EditKind, EditState, NotFoundError, RefusedEditError
from water.readings import QUANTITIES

log = structlog.get_logger()

Row = dict[str, Any]


class Edits:
    """What people do to readings (api.ports.Editing).

    A manual reading counts at once: whoever stood before the meter is named. Corrections, estimates
    and voids count once somebody else than their author has approved them.
    """

    def __init__(self, store: EditRows, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def propose(
        self,
        actor: str,
        meter_id: str,
        at: datetime,
        kind: EditKind,
        values: Mapping[str, float | None],
        *,
        sent: Mapping[str, float | None] | None,
        reason: str,
        evidence: str = "",
    ) -> int:
        """Make an edit; its id. Fractions of a second are cut off, as of readings.

        Args:
            actor: who makes it.
            meter_id: the meter.
            at: the instant of the reading.
            kind: why it is made.
            values: the quantities that it sets.
            sent: the quantities that the meter sent of that instant; None = it sent nothing.
            reason: why, in words.
            evidence: where the proof lies.

        Raises:
            NotFoundError: there is no such meter.
            RefusedEditError: it can't be what anybody read there and then.
        """
        with self._store.transaction() as rows:
            meter = rows.meter(meter_id)
            if meter is None:
                raise NotFoundError(meter_id)
            at = at.replace(microsecond=0)
            self._check(meter, at, kind, values, reason)
            check_sent(kind, values, sent, rows.edits_at(meter_id, at))
            edit = self._new(rows, actor, meter_id, at, kind, values, reason, evidence)
            if kind is EditKind.MANUAL:
                edit |= {"state": EditState.APPROVED, "approved_at": edit["made_at"]}
            return _add(rows, actor, edit)

    def approve(self, actor: str, edit_id: int, *, sent: Mapping[str, float | None] | None) -> None:
        """Let a proposed edit count.

        Args:
            actor: who approves it.
            edit_id: the edit.
            sent: the quantities that the meter has sent of its instant; None = it sent nothing.

        Raises:
            NotFoundError: there is no such edit.
            RefusedEditError: it is the actor's own, or not proposed any more, or a later edit of
                the same reading counts already, or an estimate would change nothing.
        """
        with self._store.transaction() as rows:
            edit = _edit(rows, edit_id)
            if edit["state"] != EditState.PROPOSED:
                raise RefusedEditError(f"it is {edit['state']}", "该修改已不是待审状态")
            if edit["author"] == actor:
                raise RefusedEditError(
                    "somebody else than its author approves an edit", "修改须由他人审核"
                )
            counting = counting_beside(rows, edit)
            later = [e["version"] for e in counting if e["version"] > edit["version"]]
            if later:
                raise RefusedEditError(
                    f"version {later[-1]} of this reading's edits counts already: withdraw it "
                    "first",
                    "该读数已有更新的修改生效，请先撤回",
                )
            if edit["kind"] == EditKind.ESTIMATE:
                check_free(edit, sent, counting)
            now = self._clock.now()
            step = {"state": EditState.APPROVED, "approver": actor, "approved_at": now}
            rows.change_edit(edit_id, step)
            rows.recompute(edit["meter_id"], edit["at"], actor)
            rows.audit(actor, [("edit.approved", _subject(edit), {"edit": edit_id})])

    def withdraw(self, actor: str, edit_id: int, reason: str) -> None:
        """Let an edit count no more, or never; it stays to be seen.

        Raises:
            NotFoundError: there is no such edit.
            RefusedEditError: it is withdrawn already, or a void that an estimate rests on, or no
                reason is given.
        """
        _need_reason(reason)
        with self._store.transaction() as rows:
            edit = _edit(rows, edit_id)
            if edit["state"] == EditState.WITHDRAWN:
                raise RefusedEditError("it is withdrawn already", "该修改已撤回")
            if edit["kind"] == EditKind.VOID and edit["state"] == EditState.APPROVED:
                check_bare(rows, edit)
            self._withdraw(rows, actor, edit, reason)

    def decide(
        self, actor: str, conflict: Mapping[str, Any], decision: Decision, reason: str
    ) -> None:
        """Decide between the value that stands and the one that was offered later.

        Taking the offered one makes a correction that counts at once: both values are the
        supplier's, nobody types one. Deciding for the value that stands withdraws it again.

        Args:
            actor: who decides.
            conflict: meter_id, at, quantity, kept, offered of a conflict that there is.
            decision: which value holds.
            reason: why.

        Raises:
            RefusedEditError: it is decided so already, or no reason is given.
        """
        _need_reason(reason)
        with self._store.transaction() as rows:
            key = {name: conflict[name] for name in ("meter_id", "at", "quantity", "offered")}
            standing = rows.decision(**key)
            correction = _correction_of(rows, standing)
            if decision is _holds(standing, correction):
                raise RefusedEditError("it is decided so already", "该冲突已如此处理")
            edit_id = None
            if decision is Decision.TAKE:
                edit_id = self._take(rows, actor, conflict, reason)
            elif correction:
                self._withdraw(rows, actor, correction, reason)
            else:
                rows.recompute(key["meter_id"], key["at"], actor)
            now = self._clock.now()
            step = {"decision": decision, "reason": reason, "edit_id": edit_id}
            rows.put_decision(key | step | {"decided_by": actor, "decided_at": now})
            detail = {"quantity": key["quantity"], "offered": key["offered"], **step}
            rows.audit(actor, [("conflict.decided", _subject(key), detail)])

    def _check(
        self,
        meter: Row,
        at: datetime,
        kind: EditKind,
        values: Mapping[str, float | None],
        reason: str,
    ) -> None:
        _need_reason(reason)
        if at > self._clock.now():
            raise RefusedEditError("at: this lies in the future", "时间在未来")
        begins, ends = meter["in_service_from"], meter["in_service_to"]
        if (begins is not None and at < begins) or (ends is not None and at > ends):
            raise RefusedEditError("at: the meter was not in service then", "该时刻水表未启用")
        given = {name: value for name, value in values.items() if value is not None}
        if kind is EditKind.VOID:
            if given:
                raise RefusedEditError("a void sets no quantity", "作废不填数值")
            return
        if not given:
            raise RefusedEditError("at least one quantity is needed", "至少填写一个数值")
        if not all(isfinite(value) for value in given.values()):
            raise RefusedEditError("a quantity is a finite number", "数值须为有限数")
        register, flow, pressure, level = (values.get(name) for name in QUANTITIES)
        check_values(register, meter["modulus_m3"], flow, pressure, level)

    def _new(
        self,
        rows: EditTransaction,
        actor: str,
        meter_id: str,
        at: datetime,
        kind: EditKind,
        values: Mapping[str, float | None],
        reason: str,
        evidence: str,
    ) -> Row:
        """A proposed edit, the next version of its meter and instant."""
        earlier = rows.edits_at(meter_id, at)
        return {
            "meter_id": meter_id,
            "at": at,
            "version": earlier[-1]["version"] + 1 if earlier else 1,
            "kind": kind,
            **{name: values.get(name) for name in QUANTITIES},
            "reason": reason.strip(),
            "evidence": evidence.strip(),
            "author": actor,
            "made_at": self._clock.now(),
            "state": EditState.PROPOSED,
        }

    def _take(
        self, rows: EditTransaction, actor: str, conflict: Mapping[str, Any], reason: str
    ) -> int:
        """The correction that puts the offered value in the place of the one that stands."""
        quantity, offered = conflict["quantity"], conflict["offered"]
        self._clear(rows, actor, conflict, reason)
        evidence = f"conflict: {quantity} {offered!r} was sent where {conflict['kept']!r} stands"
        edit = self._new(
            rows, actor, conflict["meter_id"], conflict["at"], EditKind.CORRECTION,
            {quantity: offered}, reason, evidence,
        )  # fmt: skip
        approved = {"state": EditState.APPROVED, "approver": actor, "approved_at": edit["made_at"]}
        return _add(rows, actor, edit | approved)

    def _clear(
        self, rows: EditTransaction, actor: str, conflict: Mapping[str, Any], reason: str
    ) -> None:
        """Withdraw what was taken before of the same quantity: only one value can count.

        The conflict that it came of is decided with this one: its value is not the one.
        """
        key = {name: conflict[name] for name in ("meter_id", "at", "quantity")}
        for edit in rows.edits_at(key["meter_id"], key["at"]):
            offered = edit[key["quantity"]]
            taken = None if offered is None else rows.decision(**key, offered=offered)
            if _correction_of(rows, taken) != edit:
                continue
            self._withdraw(rows, actor, edit, reason)
            step = {"decision": Decision.KEEP, "reason": reason, "edit_id": None}
            step |= {"decided_by": actor, "decided_at": self._clock.now()}
            rows.put_decision(key | {"offered": offered} | step)
            detail = {"quantity": key["quantity"], "offered": offered, "decision": Decision.KEEP}
            rows.audit(actor, [("conflict.decided", _subject(key), detail | {"reason": reason})])

    def _withdraw(self, rows: EditTransaction, actor: str, edit: Row, reason: str) -> None:
        step = {"withdrawn_by": actor, "withdrawn_at": self._clock.now()}
        step |= {"state": EditState.WITHDRAWN, "withdrawn_reason": reason.strip()}
        rows.change_edit(edit["id"], step)
        if edit["state"] == EditState.APPROVED:
            rows.recompute(edit["meter_id"], edit["at"], actor)
        detail = {"edit": edit["id"], "reason": reason.strip()}
        rows.audit(actor, [("edit.withdrawn", _subject(edit), detail)])


def _add(rows: EditTransaction, actor: str, edit: Row) -> int:
    edit_id = rows.add_edit(edit)
    if edit["state"] == EditState.APPROVED:
        rows.recompute(edit["meter_id"], edit["at"], actor)
    said = ("kind", "state", "version", "reason", "evidence", *QUANTITIES)
    detail = {"edit": edit_id} | {name: edit[name] for name in said if edit[name] is not None}
    rows.audit(actor, [("edit.made", _subject(edit), detail)])
    log.info("edit made", edit=edit_id, meter=edit["meter_id"], kind=edit["kind"], actor=actor)
    return edit_id


def _edit(rows: EditTransaction, edit_id: int) -> Row:
    edit = rows.edit(edit_id)
    if edit is None:
        raise NotFoundError(edit_id)
    return edit


def _correction_of(rows: EditTransaction, decision: Row | None) -> Row | None:
    """The correction that a decision made, while it counts."""
    if decision is None or decision["edit_id"] is None:
        return None
    edit = _edit(rows, decision["edit_id"])
    return edit if edit["state"] == EditState.APPROVED else None


def _holds(decision: Row | None, correction: Row | None) -> Decision | None:
    """What holds of a conflict; None: it is open, also when its correction was withdrawn."""
    if decision is None:
        return None
    if decision["decision"] == Decision.KEEP:
        return Decision.KEEP
    return Decision.TAKE if correction else None


def _need_reason(reason: str) -> None:
    if not reason.strip():
        raise RefusedEditError("a reason is needed", "请填写原因")


def _subject(edit: Mapping[str, Any]) -> str:
    return f"{edit['meter_id']} {edit['at'].isoformat()}"
