"""Findings become alerts: one transaction an evaluation, every step with its reason."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog

from alerts.lifecycle import (
    Standing,
    Step,
    acknowledge,
    follow_clear,
    follow_finding,
    open_alert,
)
from alerts.ports import AlertBook, AlertStore, StoredAlert, Subject
from alerts.rules import DEFAULT_RULES, Rule
from alerts.wording import write_message
from water.alerts import AlertState, Severity
from water.clock import Clock
from water.findings import Evaluation, Finding, FindingKind, SubjectKind
from water.viewer import Role

_log = structlog.get_logger()

ACTOR = "analysis"
"""Who moves an alert when no person does."""


class AlertService:
    """Keeps the open alerts in step with what is found.

    A subject that was judged and has no finding is clear; one that was not judged keeps its alert.
    """

    def __init__(
        self,
        store: AlertStore,
        clock: Clock,
        *,
        rules: Mapping[FindingKind, Rule] = DEFAULT_RULES,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules

    def handle(self, evaluation: Evaluation) -> None:
        """Open, raise and resolve the alerts of one kind; idempotent."""
        rule = self._rules[evaluation.kind]
        now = self._clock.now()
        self._store.transact(lambda book: _reconcile(book, rule, evaluation, now))

    def acknowledge(self, alert_id: int, actor: str, reason: str) -> None:
        """Somebody has taken notice.

        Raises:
            KeyError: there is no such alert.
            NotAllowedError: (a ValueError) it does not fire.
        """
        now = self._clock.now()

        def work(book: AlertBook) -> None:
            alert = book.alert(alert_id)
            if alert is None:
                raise KeyError(alert_id)
            step = acknowledge(_standing(alert), reason)
            changes = {"acknowledged_at": now, "acknowledged_by": actor}
            _take(book, alert, step, now, changes, actor=actor)

        self._store.transact(work)


def _reconcile(book: AlertBook, rule: Rule, evaluation: Evaluation, now: datetime) -> None:
    open_now = {(a.subject_id, a.period): a for a in book.open_alerts(rule.kind)}
    found = {(f.subject_id, f.period): f for f in evaluation.findings}
    for key, finding in found.items():
        if key in open_now:
            _see_again(book, open_now[key], finding, rule, now)
        else:
            _open(book, finding, rule, now)
    for key in (evaluation.judged - found.keys()) & open_now.keys():
        alert = open_now[key]
        step = follow_clear(_standing(alert), rule, now)
        if step:
            _take(book, alert, step, now, {"resolved_at": now})
            _tell(book, rule, alert.id, alert.subject_kind, key, step, alert.evidence, now)


def _open(book: AlertBook, finding: Finding, rule: Rule, now: datetime) -> None:
    step = open_alert(finding, rule)
    evidence = write_evidence(finding)
    alert_id = book.add_alert(
        {
            "rule": rule.kind.value,
            "subject_kind": finding.subject_kind.value,
            "subject_id": finding.subject_id,
            "period": finding.period,
            "state": step.to_state.value,
            "severity": step.severity.value,
            "level": step.level,
            "since": finding.since,
            "opened_at": now,
            "fired_at": now if step.to_state is AlertState.FIRING else None,
            "seen_at": now,
            "evidence": evidence,
        }
    )
    book.add_event(
        alert_id, now, from_state=None, to_state=step.to_state, actor=ACTOR, reason=step.reason
    )
    _log.info("alert opened", rule=rule.kind.value, subject=finding.subject_id, level=step.level)
    key = finding.subject_id, finding.period
    _tell(book, rule, alert_id, finding.subject_kind, key, step, evidence, now)


def _see_again(
    book: AlertBook, alert: StoredAlert, finding: Finding, rule: Rule, now: datetime
) -> None:
    evidence = write_evidence(finding)
    seen: dict[str, Any] = {"seen_at": now, "evidence": evidence, "since": finding.since}
    step = follow_finding(_standing(alert), finding, rule, now)
    if step is None:
        book.change_alert(alert.id, seen)
        return
    if step.tell:
        seen["fired_at"] = now
    _take(book, alert, step, now, seen)
    key = alert.subject_id, alert.period
    _tell(book, rule, alert.id, alert.subject_kind, key, step, evidence, now)


def _take(
    book: AlertBook,
    alert: StoredAlert,
    step: Step,
    now: datetime,
    changes: Mapping[str, Any],
    *,
    actor: str = ACTOR,
) -> None:
    new = {"state": step.to_state.value, "severity": step.severity.value, "level": step.level}
    book.change_alert(alert.id, {**new, **changes})
    book.add_event(
        alert.id,
        now,
        from_state=alert.state,
        to_state=step.to_state.value,
        actor=actor,
        reason=step.reason,
    )
    _log.info("alert moved", alert=alert.id, to=step.to_state.value, reason=step.reason)


def _tell(
    book: AlertBook,
    rule: Rule,
    alert_id: int,
    subject_kind: str,
    key: tuple[str, str],
    step: Step,
    evidence: Mapping[str, Any],
    now: datetime,
) -> None:
    if not step.tell:
        return
    subject_id, period = key
    subject = book.subject(subject_kind, subject_id)
    message = write_message(
        rule, subject, subject_id=subject_id, period=period, step=step, evidence=evidence
    )
    for role in rule.audiences:
        audience = _audience(role, subject_kind, subject_id, subject)
        if audience:
            book.add_notice(alert_id, audience, message.title, message.body, now)


def _audience(role: Role, subject_kind: str, subject_id: str, subject: Subject) -> str | None:
    """A role, for users and suppliers with whose the subject is ("user:U1"); None = nobody's."""
    if role not in {Role.USER, Role.SUPPLIER}:
        return role.value
    if subject_kind == SubjectKind(role.value):
        owner: str | None = subject_id
    else:
        owner = subject.user_id if role is Role.USER else subject.supplier_id
    return f"{role.value}:{owner}" if owner else None


def _standing(alert: StoredAlert) -> Standing:
    return Standing(
        state=AlertState(alert.state),
        severity=Severity(alert.severity),
        level=alert.level,
        opened_at=alert.opened_at,
        seen_at=alert.seen_at,
    )


def write_evidence(finding: Finding) -> dict[str, Any]:
    """What a person needs to check a finding, as JSON (NaN as null, instants in ISO 8601)."""
    return {
        "at": finding.at.isoformat(),
        "since": _iso(finding.since),
        "figures": _numbers(finding.figures),
        "thresholds": _numbers(finding.thresholds),
        "shares": _numbers(finding.shares),
        "readings_from": _iso(finding.readings_from),
        "readings_to": _iso(finding.readings_to),
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _numbers(rows: Mapping[str, float]) -> dict[str, float | None]:
    return {name: float(v) if math.isfinite(v) else None for name, v in rows.items()}
