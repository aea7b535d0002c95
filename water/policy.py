"""Everything a city may set, with the dates and the source document of each row."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


class PolicyError(ValueError):
    """The policy file says something that can't be; the message names the key and the reason."""


@dataclass(frozen=True, slots=True)
class LadderStep:
    """One step of the alert ladder: above `rate` (use / plan) the level holds.

    `basis` is "projected" (projected use against the plan of the period) or "used".
    """

    level: str
    rate: float
    basis: str


def _default_ladder() -> tuple[LadderStep, ...]:
    return (
        LadderStep("notice", 1.0, "projected"),
        LadderStep("warning", 1.0, "used"),
        LadderStep("formal", 1.1, "used"),
        LadderStep("red", 1.3, "used"),
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """A city's settings; the defaults are those of the task table and of domain practice.

    Attributes:
        share_from_m3: users of this many m³/a are shared with the platform (10,000).
        plan_industry_from_m3: industry under plan management from here (5,000).
        balance_test_from_m3: heaviest users, balance tests (50,000).
        loss_rate_target: public network loss rate to stay within, a fraction (0.085).
        cjj92_edition: 2018 (the rate is corrected) or 2016.
        frost_depth_m: greatest frost depth of the city, for R4 of CJJ 92.
        assessment_period: "month", "quarter" or "year": the period plans are held against.
        ladder: steps of the plan alert.
        plan_coverage: least measured + estimated share of the period before a projection is made.
        max_gap_factor: a gap of at most so many nominal intervals counts as measured.
        stopped_after_h: hours without any movement of the register that make a meter "stopped".
        continuous_days: days whose lowest hour must stand above the earlier level.
        continuous_min_m3_h: rise of the lowest hour below which nothing is said.
        night_rise_share: rise of the net night flow over its baseline that is a finding, as a
            share of the zone's mean inflow.
        night_baseline_nights: nights that make the baseline.
        night_confirm_nights: nights in a row that must confirm a rise.
        future_tolerance_s: how far ahead of our clock a reading may lie.
        oldest_days: how many days back a reading may lie.
        sources: the document behind each setting that the city changed (key → document).
    """

    share_from_m3: float = 10_000
    plan_industry_from_m3: float = 5_000
    balance_test_from_m3: float = 50_000
    loss_rate_target: float = 0.085
    cjj92_edition: int = 2018
    frost_depth_m: float = 0.0
    assessment_period: str = "year"
    ladder: tuple[LadderStep, ...] = field(default_factory=_default_ladder)
    plan_coverage: float = 0.9
    max_gap_factor: float = 2.5
    stopped_after_h: float = 48
    continuous_days: int = 7
    continuous_min_m3_h: float = 0.1
    night_rise_share: float = 0.05
    night_baseline_nights: int = 28
    night_confirm_nights: int = 5
    future_tolerance_s: int = 300
    oldest_days: int = 1_100
    sources: Mapping[str, str] = field(default_factory=dict[str, str])


_PERIODS = ("month", "quarter", "year")


def parse_policy(rows: Mapping[str, Any]) -> Policy:
    """Build a policy from the parsed TOML table of a city.

    Raises:
        PolicyError: naming the key, what stands there and what may stand there.
    """
    known = {f.name: f for f in fields(Policy)}
    unknown = sorted(set(rows) - set(known))
    if unknown:
        raise PolicyError(f"policy: unknown setting {unknown[0]!r}; known are {', '.join(known)}")
    values = {key: _parse(key, value) for key, value in rows.items()}
    policy = Policy(**values)
    if policy.assessment_period not in _PERIODS:
        raise PolicyError(
            f"policy: assessment_period is {policy.assessment_period!r}, not one of {_PERIODS}"
        )
    return policy


def _parse(key: str, value: Any) -> Any:
    if key == "ladder":
        return tuple(_parse_step(row) for row in value)
    if key == "sources":
        return dict(value)
    default = getattr(Policy(), key)
    if isinstance(default, str):
        if not isinstance(value, str):
            raise PolicyError(f"policy: {key} is {value!r}, not a text")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PolicyError(f"policy: {key} is {value!r}, not a number")
    if value < 0:
        raise PolicyError(f"policy: {key} is {value!r}; it can't be negative")
    return type(default)(value) if isinstance(default, int) else float(value)


def _parse_step(row: Mapping[str, Any]) -> LadderStep:
    try:
        step = LadderStep(**row)
    except TypeError as error:
        raise PolicyError(f"policy: ladder step {dict(row)!r}: {error}") from None
    if step.basis not in {"projected", "used"}:
        raise PolicyError(f"policy: ladder step {step.level!r} has basis {step.basis!r}")
    return step
