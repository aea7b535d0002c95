"""The words of a notice: Chinese first, then English, with every figure and its unit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alerts.lifecycle import Step
from alerts.ports import Subject
from alerts.rules import Rule
from water.alerts import AlertState, Severity

_SEVERITY = {
    Severity.NOTICE: ("蓝色提示", "notice"),
    Severity.WARNING: ("黄色预警", "warning"),
    Severity.FORMAL: ("橙色警示", "formal warning"),
    Severity.RED: ("红色警报", "red alert"),
}

_TERMS = {
    "plan_m3": "计划用水量",
    "plan_to_date_m3": "同期计划用水量",
    "used_m3": "累计用水量",
    "over_m3": "超计划水量",
    "use_rate": "计划执行率",
    "projected_m3": "预计期末用水量",
    "projected_rate": "预计计划执行率",
    "rate": "比率",
    "minimum_night_flow_m3_h": "最小夜间流量",
    "net_night_flow_m3_h": "净夜间流量",
    "baseline_m3_h": "夜间流量基线",
    "rise_m3_h": "上升流量",
    "lowest_hour_m3": "最低小时水量",
    "register_m3": "水表读数",
    "decoded": "已解析",
    "undecodable": "无法解析",
    "quarantined": "已隔离",
    "stored": "已入库",
    "measured_share": "实测占比",
    "estimated_share": "估算占比",
    "missing_share": "缺失占比",
}

# The longest ending first: m3_h before m3 and h.
_UNITS = (
    ("_m3_h", "m³/h"),
    ("_m3", "m³"),
    ("_mpa", "MPa"),
    ("_km", "km"),
    ("_days", "d"),
    ("_nights", "d"),
    ("_h", "h"),
)


@dataclass(frozen=True, slots=True)
class Message:
    """Title and body of a notice."""

    title: str
    body: str


def write_message(
    rule: Rule,
    subject: Subject,
    *,
    subject_id: str,
    period: str,
    step: Step,
    evidence: Mapping[str, Any],
) -> Message:
    """Say a step of an alert to people.

    The title names rule, subject, period and severity (or that it is over): an audience is told
    each title once.
    """
    names = {"name": subject.name, "id": subject_id, "period": period}
    zh, en = _SEVERITY[step.severity]
    if step.to_state is AlertState.RESOLVED:
        zh, en = "已解除", "resolved"
    title = f"【{zh}】{rule.title_zh.format(**names).strip()}"
    english = f"[{en}] {rule.title_en.format(**names).strip()}"
    lines = [rule.body_zh, *_figure_lines(evidence), "", english, rule.body_en, step.reason]
    if step.to_state is AlertState.RESOLVED:
        lines = ["情况已恢复，本预警解除。", *_figure_lines(evidence), "", english, step.reason]
    return Message(title, "\n".join(lines))


def _figure_lines(evidence: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for heading, part in (("数据", "figures"), ("阈值", "thresholds"), ("占比", "shares")):
        rows: Mapping[str, float | None] = evidence[part]
        lines += [f"{heading} {_figure(name, value)}" for name, value in rows.items()]
    if evidence["since"]:
        lines.append(f"开始时间 since: {evidence['since']}")
    if evidence["readings_from"] or evidence["readings_to"]:
        lines.append(f"读数时间 readings: {evidence['readings_from']} – {evidence['readings_to']}")
    return lines


def _figure(name: str, value: float | None) -> str:
    label = f"{_TERMS[name]} {name}" if name in _TERMS else name
    return f"{label}: {_quantity(name, value)}"


def _quantity(name: str, value: float | None) -> str:
    """A figure with its unit, which stands in its name."""
    if value is None or math.isnan(value):
        return "–"
    if name.endswith(("rate", "share", "rate_target")):
        return f"{value * 100:.1f} %"
    unit = next((unit for ending, unit in _UNITS if name.endswith(ending)), "")
    digits = 0 if float(value).is_integer() else 2
    return f"{value:.{digits}f} {unit}".strip()
