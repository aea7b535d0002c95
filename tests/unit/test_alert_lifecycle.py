from datetime import UTC, datetime, timedelta

import pytest

from alerts.lifecycle import (
    NotAllowedError,
    Standing,
    acknowledge,
    follow_clear,
    follow_finding,
    open_alert,
)
from alerts.rules import DEFAULT_RULES, Rule
from water.alerts import AlertState, Severity
from water.findings import Finding, FindingKind, SubjectKind
from water.viewer import Role

NOW = datetime(2026, 9, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)

PATIENT = Rule(
    FindingKind.STOPPED_METER,
    Severity.WARNING,
    (Role.UTILITY,),
    "停走 {name}",
    "Stopped {name}",
    "请核查",
    "Check",
    pending=2 * HOUR,
    clear_for=3 * HOUR,
)
LADDER = DEFAULT_RULES[FindingKind.OVER_PLAN]


def finding(level="", kind=FindingKind.STOPPED_METER):
    return Finding(kind, SubjectKind.METER, "M1", NOW, level=level)


def standing(state, severity=Severity.WARNING, level="", opened=NOW, seen=NOW):
    return Standing(state, severity, level, opened, seen)


def test_a_rule_with_patience_opens_pending_and_tells_nobody():
    step = open_alert(finding(), PATIENT)
    assert step.to_state is AlertState.PENDING
    assert not step.tell
    assert "2:00:00" in step.reason


def test_a_rule_without_patience_fires_at_once_at_the_level_of_the_finding():
    step = open_alert(finding("formal", FindingKind.OVER_PLAN), LADDER)
    assert (step.to_state, step.severity, step.tell) == (AlertState.FIRING, Severity.FORMAL, True)


@pytest.mark.parametrize(
    ("stood", "fires"), [(2 * HOUR - timedelta(seconds=1), False), (2 * HOUR, True)]
)
def test_a_pending_alert_fires_once_it_stood_long_enough(stood, fires):
    step = follow_finding(standing(AlertState.PENDING), finding(), PATIENT, NOW + stood)
    assert (step is not None and step.to_state is AlertState.FIRING and step.tell) is fires


def test_a_pending_alert_that_clears_is_resolved_silently():
    step = follow_clear(standing(AlertState.PENDING), PATIENT, NOW)
    assert step is not None
    assert step.to_state is AlertState.RESOLVED
    assert not step.tell


@pytest.mark.parametrize(
    ("clear", "ends"), [(3 * HOUR - timedelta(seconds=1), False), (3 * HOUR, True)]
)
@pytest.mark.parametrize("state", [AlertState.FIRING, AlertState.ACKNOWLEDGED])
def test_an_alert_is_resolved_only_after_it_was_clear_long_enough(state, clear, ends):
    step = follow_clear(standing(state), PATIENT, NOW + clear)
    assert (step is not None and step.to_state is AlertState.RESOLVED and step.tell) is ends


def test_a_rising_level_makes_an_acknowledged_alert_fire_again():
    alert = standing(AlertState.ACKNOWLEDGED, Severity.FORMAL, "formal")
    step = follow_finding(alert, finding("red", FindingKind.OVER_PLAN), LADDER, NOW)
    assert step is not None
    assert (step.to_state, step.severity, step.tell) == (AlertState.FIRING, Severity.RED, True)
    assert step.reason == "由 formal 升为 red · rose from formal to red"


def test_a_falling_level_is_written_down_and_nobody_is_told():
    alert = standing(AlertState.ACKNOWLEDGED, Severity.RED, "red")
    step = follow_finding(alert, finding("formal", FindingKind.OVER_PLAN), LADDER, NOW)
    assert step is not None
    assert (step.to_state, step.tell) == (AlertState.ACKNOWLEDGED, False)


def test_an_alert_found_again_at_the_same_level_takes_no_step():
    alert = standing(AlertState.FIRING, Severity.WARNING)
    assert follow_finding(alert, finding(), PATIENT, NOW + HOUR) is None


def test_only_a_firing_alert_can_be_acknowledged():
    assert acknowledge(standing(AlertState.FIRING), "seen").to_state is AlertState.ACKNOWLEDGED
    for state in (AlertState.PENDING, AlertState.ACKNOWLEDGED, AlertState.RESOLVED):
        with pytest.raises(NotAllowedError, match="only a firing one"):
            acknowledge(standing(state), "seen")
