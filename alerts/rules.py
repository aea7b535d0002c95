"""The rule table: what each kind of finding means to people (docs/alerts.md has the same rows)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

from water.alerts import Severity
from water.findings import FindingKind
from water.viewer import Role


@dataclass(frozen=True, slots=True)
class Rule:
    """What a kind of finding means to people.

    Attributes:
        kind: the finding that the rule is about; its value is the stored name of the rule.
        severity: how grave it is when the finding carries no level of its own.
        audiences: who is told.
        title_zh: title with {name}, {id} and {period}.
        title_en: the same in English.
        body_zh: what happened and what is expected of the reader.
        body_en: the same in English.
        pending: how long a finding must stand before anybody is told.
        clear_for: how long it must have been clear before the alert is resolved.
        by_level: severity of each step of the ladder.
    """

    kind: FindingKind
    severity: Severity
    audiences: tuple[Role, ...]
    title_zh: str
    title_en: str
    body_zh: str
    body_en: str
    pending: timedelta = timedelta(0)
    clear_for: timedelta = timedelta(0)
    by_level: Mapping[str, Severity] = field(default_factory=dict[str, Severity])

    def severity_of(self, level: str) -> Severity:
        """The severity of a finding with this step of the ladder."""
        return self.by_level.get(level, self.severity)


_DAY = timedelta(days=1)
_LADDER = MappingProxyType({step.value: step for step in Severity})

_ROWS = (
    Rule(
        FindingKind.OVER_PLAN,
        Severity.WARNING,
        (Role.BUREAU, Role.USER),
        "超计划用水：{name}（{id}）{period}",
        "Over plan: {name} ({id}) {period}",
        "考核期内累计用水量已超过用水计划。请核实水量，督促用户说明原因并落实整改。",
        "The use of the assessment period has passed its plan. Check the volumes and have the "
        "user explain.",
        by_level=_LADDER,
    ),
    Rule(
        FindingKind.HEADING_OVER_PLAN,
        Severity.NOTICE,
        (Role.USER, Role.BUREAU),
        "预计超计划：{name}（{id}）{period}",
        "Heading over plan: {name} ({id}) {period}",
        "按目前用水进度，预计期末累计用水量将超过用水计划。请及早安排节水或申请调整计划。",
        "At the present pace the use at the period's end will pass the plan. Save water now or "
        "apply for an adjustment.",
        clear_for=_DAY,
        by_level=_LADDER,
    ),
    Rule(
        FindingKind.NIGHT_FLOW_RISE,
        Severity.FORMAL,
        (Role.UTILITY, Role.BUREAU),
        "夜间流量上升：{name}（{id}）",
        "Night flow rise: {name} ({id})",
        "分区净夜间流量连续多夜高于基线，且无已登记工况可以解释，疑似爆管或新增漏损。请安排检漏。",
        "The zone's net night flow has stood above its baseline for several nights and no "
        "registered works explain it: a burst or a new leak is likely. Send leak detection.",
        clear_for=_DAY,
    ),
    Rule(
        FindingKind.CONTINUOUS_FLOW,
        Severity.WARNING,
        (Role.USER, Role.UTILITY),
        "持续用水：{name}（{id}）",
        "Continuous flow: {name} ({id})",
        "最低小时用水量连续多日高于以往水平，疑似户内漏水或忘关用水设施。请检查。",
        "The lowest hour of the day has stood above its earlier level for days: a leak behind "
        "the meter or an open tap is likely. Check.",
        clear_for=_DAY,
    ),
    Rule(
        FindingKind.STOPPED_METER,
        Severity.WARNING,
        (Role.UTILITY, Role.SUPPLIER),
        "水表停走：{name}（{id}）",
        "Stopped meter: {name} ({id})",
        "水表持续上报但读数长时间不变。请现场核查水表。",
        "The meter goes on reporting while its register stands still. Check it on site.",
    ),
    Rule(
        FindingKind.BACKWARD_REGISTER,
        Severity.WARNING,
        (Role.UTILITY, Role.SUPPLIER),
        "读数倒退：{name}（{id}）",
        "Register runs backwards: {name} ({id})",
        "水表读数倒退，且不是翻转或换表。请核查水表安装方向、倒流或数据源。",
        "The register ran backwards, and it is neither a rollover nor a meter change. Check the "
        "installation, reverse flow and the source.",
        clear_for=_DAY,
    ),
    Rule(
        FindingKind.LOSS_RATE_OVER_TARGET,
        Severity.FORMAL,
        (Role.BUREAU, Role.UTILITY),
        "漏损率超过目标：{period}",
        "Loss rate over its target: {period}",
        "公共供水管网漏损率超过控制目标。请分析分区水量平衡并安排漏损控制。",
        "The loss rate of the public network is above its target. Analyse the zones' balances "
        "and plan leakage control.",
    ),
    Rule(
        FindingKind.SUPPLIER_REFUSED,
        Severity.WARNING,
        (Role.SUPPLIER, Role.BUREAU),
        "上报数据被拒比例过高：{name}（{id}）",
        "Too much of a supplier's data is refused: {name} ({id})",
        "供水单位上报的报文或读数被拒绝的比例过高。请对照隔离区所列原因修正数据源。",
        "Too large a share of the supplier's messages or readings is refused. Mend the source "
        "by the reasons listed in quarantine.",
        clear_for=timedelta(hours=1),
    ),
)

DEFAULT_RULES: Mapping[FindingKind, Rule] = MappingProxyType({row.kind: row for row in _ROWS})
"""One rule for every kind of finding."""
