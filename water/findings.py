"""A finding: what analytics concluded, with the figures that a person needs to check it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class FindingKind(StrEnum):
    """What can be found. A stored name: renaming one is a decision."""

    OVER_PLAN = "over_plan"
    HEADING_OVER_PLAN = "heading_over_plan"
    NIGHT_FLOW_RISE = "night_flow_rise"
    CONTINUOUS_FLOW = "continuous_flow"
    STOPPED_METER = "stopped_meter"
    BACKWARD_REGISTER = "backward_register"
    LOSS_RATE_OVER_TARGET = "loss_rate_over_target"
    SUPPLIER_REFUSED = "supplier_refused"


class SubjectKind(StrEnum):
    """What a finding is about."""

    USER = "user"
    METER = "meter"
    ZONE = "zone"
    CITY = "city"
    SUPPLIER = "supplier"


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding about one subject and period.

    Attributes:
        kind: what was found.
        subject_kind: what the subject is.
        subject_id: its id ("city" for the city).
        period: what it is about, part of its identity: "2026" (plan year), "2026-09" or "".
        at: the instant it was concluded for (the `now` of the analysis), UTC.
        since: when what was found began, UTC; None where that has no meaning.
        level: step of a ladder ("notice", "warning", "formal", "red") or "".
        figures: numbers with the unit in their name (used_m3, plan_m3, rate …).
        thresholds: the limits that they were held against, named alike.
        shares: measured, estimated and missing shares of the volumes used.
        readings_from: instant of the first reading that the finding rests on.
        readings_to: instant of the last one.
    """

    kind: FindingKind
    subject_kind: SubjectKind
    subject_id: str
    at: datetime
    period: str = ""
    since: datetime | None = None
    level: str = ""
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    thresholds: Mapping[str, float] = field(default_factory=dict[str, float])
    shares: Mapping[str, float] = field(default_factory=dict[str, float])
    readings_from: datetime | None = None
    readings_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One pass of one detector: who could be judged, and what was found.

    A subject that was judged and has no finding is clear; one that could not be judged (too few
    readings) keeps the alert that it has. `judged` holds (subject_id, period).
    """

    kind: FindingKind
    at: datetime
    judged: frozenset[tuple[str, str]]
    findings: tuple[Finding, ...]
