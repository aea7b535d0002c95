import re
from pathlib import Path

import pytest

from alerts.lifecycle import Step
from alerts.rules import DEFAULT_RULES
from alerts.wording import write_message
from storage.registry.alerts import StoredSubject
from water.alerts import AlertState, Severity
from water.findings import FindingKind
from water.policy import Policy

DOCUMENT = Path(__file__).parents[2] / "docs" / "alerts.md"
EVIDENCE = {
    "since": None,
    "figures": {"used_m3": 12345.5, "rise_m3_h": 2.0, "use_rate": 1.034, "unknown": None},
    "thresholds": {"plan_m3": 12000.0},
    "shares": {"measured_share": 0.98},
    "readings_from": "2026-01-01T00:00:00+08:00",
    "readings_to": "2026-09-15T00:00:00+08:00",
}


def message(kind, to_state=AlertState.FIRING, severity=Severity.FORMAL):
    step = Step(to_state, severity, "", "found", tell=True)
    return write_message(
        DEFAULT_RULES[kind],
        StoredSubject("义乌纺织"),
        subject_id="U1",
        period="2026",
        step=step,
        evidence=EVIDENCE,
    )


def test_every_kind_of_finding_has_one_rule():
    assert set(DEFAULT_RULES) == set(FindingKind)
    assert all(kind is rule.kind for kind, rule in DEFAULT_RULES.items())


def test_every_step_of_the_ladder_has_a_severity():
    for kind in (FindingKind.OVER_PLAN, FindingKind.HEADING_OVER_PLAN):
        for step in Policy().ladder:
            assert DEFAULT_RULES[kind].severity_of(step.level) == step.level


def test_an_unknown_level_has_the_severity_of_its_rule():
    rule = DEFAULT_RULES[FindingKind.OVER_PLAN]
    assert rule.severity_of("violet") is rule.severity


@pytest.mark.parametrize("rule", DEFAULT_RULES.values(), ids=lambda rule: rule.kind.value)
def test_the_documentation_has_a_section_that_says_what_the_rule_says(rule):
    text = DOCUMENT.read_text(encoding="utf-8")
    sections = re.findall(r"(?ms)^## `(\w+)`[^\n]*\n(.*?)(?=^## |\Z)", text)
    section = dict(sections)[rule.kind.value]
    assert f"Told: {', '.join(rule.audiences)}." in section
    assert f"Pending: {_words(rule.pending)}." in section
    assert f"Clear for: {_words(rule.clear_for)}." in section
    said = "by level" if rule.by_level else rule.severity.value
    assert f"Severity: {said}." in section


def _words(span):
    hours = span.total_seconds() / 3600
    return f"{hours:g} h" if hours else "none"


@pytest.mark.parametrize("kind", list(FindingKind), ids=lambda kind: kind.value)
def test_a_message_speaks_chinese_first_and_holds_every_figure_with_its_unit(kind):
    said = message(kind)
    assert said.title.startswith("【橙色警示】")
    assert re.match(r"[\u4e00-\u9fff]", said.body)
    assert "累计用水量 used_m3: 12345.50 m³" in said.body
    assert "rise_m3_h: 2 m³/h" in said.body
    assert "use_rate: 103.4 %" in said.body
    assert "measured_share: 98.0 %" in said.body
    assert "2026-09-15T00:00:00+08:00" in said.body
    assert "[formal warning]" in said.body
    assert "{" not in said.title + said.body


def test_titles_of_every_severity_and_of_the_end_differ():
    titles = {message(FindingKind.OVER_PLAN, severity=s).title for s in Severity}
    titles.add(message(FindingKind.OVER_PLAN, AlertState.RESOLVED).title)
    assert len(titles) == len(Severity) + 1
