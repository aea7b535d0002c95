"""Pure decisions on the life of an alert: what stands, what was found → a step.

pending → firing → acknowledged → resolved. A level that rises makes an acknowledged alert fire
again; a resolved alert never comes back: its return opens a new one.
"""

from dataclasses import dataclass
from datetime import datetime

from alerts.rules import Rule
from water.alerts import AlertState, Severity
from water.findings import Finding

_GRAVITY = {severity: place for place, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Standing:
    """What a decision needs to know of an open alert."""

    state: AlertState
    severity: Severity
    level: str
    opened_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """A step in the life of an alert; `tell` = the audiences hear of it."""

    to_state: AlertState
    severity: Severity
    level: str
    reason: str
    tell: bool


class NotAllowedError(ValueError):
    """Somebody asked for a step that the alert can't take; the message says why."""


def open_alert(finding: Finding, rule: Rule) -> Step:
    """The first step of an alert that does not exist yet."""
    severity = rule.severity_of(finding.level)
    if rule.pending:
        reason = (
            f"发现，须持续 {rule.pending} · found, must stand for {rule.pending} before it fires"
        )
        return Step(AlertState.PENDING, severity, finding.level, reason, tell=False)
    return Step(AlertState.FIRING, severity, finding.level, "发现 · found", tell=True)


def follow_finding(alert: Standing, finding: Finding, rule: Rule, now: datetime) -> Step | None:
    """The step of an open alert that was found again; None = it stands as it is."""
    severity, level = rule.severity_of(finding.level), finding.level
    if alert.state is AlertState.PENDING:
        stood = now - alert.opened_at
        if stood < rule.pending:
            return None
        reason = f"已持续 {stood} · found for {stood}, at least {rule.pending}"
        return Step(AlertState.FIRING, severity, level, reason, tell=True)
    if _GRAVITY[severity] > _GRAVITY[alert.severity]:
        before, after = alert.level or alert.severity, level or severity
        reason = f"由 {before} 升为 {after} · rose from {before} to {after}"
        return Step(AlertState.FIRING, severity, level, reason, tell=True)
    if (severity, level) != (alert.severity, alert.level):
        before, after = alert.level or alert.severity, level or severity
        reason = f"由 {before} 变为 {after} · went from {before} to {after}"
        return Step(alert.state, severity, level, reason, tell=False)
    return None


def follow_clear(alert: Standing, rule: Rule, now: datetime) -> Step | None:
    """The step of an open alert whose subject was judged and is clear; None = wait and see."""
    if alert.state is AlertState.PENDING:
        reason = "告警前已恢复 · cleared before it fired"
        return Step(AlertState.RESOLVED, alert.severity, alert.level, reason, tell=False)
    clear = now - alert.seen_at
    if clear < rule.clear_for:
        return None
    reason = (
        f"已恢复 {clear} · clear since it was last found {clear} ago, at least {rule.clear_for}"
    )
    return Step(AlertState.RESOLVED, alert.severity, alert.level, reason, tell=True)


def acknowledge(alert: Standing, reason: str) -> Step:
    """The step of somebody who has taken notice.

    Raises:
        NotAllowedError: unless the alert fires.
    """
    if alert.state is not AlertState.FIRING:
        raise NotAllowedError(
            f"an alert that is {alert.state} can't be acknowledged, only a firing one"
        )
    said = reason or "已确认 · acknowledged"
    return Step(AlertState.ACKNOWLEDGED, alert.severity, alert.level, said, tell=False)
