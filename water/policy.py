"""Everything a city may set, with the dates and the source document of each row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import inf, isfinite
from typing import Any, cast

from water.alerts import Severity

_BASES = ("projected", "used")


class PolicyError(ValueError):
    """The policy says something that can't be: `key` names the setting, the message the reason."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key


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
        loss_rate_target: public network loss rate to stay within, a fraction (0.085).
        cjj92_edition: 2018 (the rate is corrected) or 2016.
        frost_depth_m: greatest frost depth of the city, for R4 of CJJ 92.
        assessment_period: "month", "quarter" or "year": the period plans are held against.
        ladder: steps of the plan alert.
        plan_coverage: least measured + estimated share of the period before a projection is made.
        max_gap_factor: a gap of at most so many nominal intervals counts as measured.
        stuck_m3: water that a register can't overlook: it stood still while so much flowed.
        clock_limit_s: how far a device's clock may be off before it is said.
        stopped_after_h: hours without any movement of the register that make a meter "stopped".
        continuous_days: days whose lowest hour must stand above the earlier level.
        continuous_min_m3_h: rise of the lowest hour below which nothing is said.
        night_rise_share: rise of the net night flow over its baseline that is a finding, as a
            share of the zone's mean inflow.
        night_baseline_nights: nights that make the baseline.
        night_confirm_nights: nights in a row that must confirm a rise.
        future_tolerance_s: how far ahead of our clock a reading may lie.
        oldest_days: how many days back a reading may lie.
        history_days: how many days back one may lie that is imported from a file.
        sources: the document behind each setting that the city changed (key → document).
    """

    loss_rate_target: float = 0.085
    cjj92_edition: int = 2018
    frost_depth_m: float = 0.0
    assessment_period: str = "year"
    ladder: tuple[LadderStep, ...] = field(default_factory=_default_ladder)
    plan_coverage: float = 0.9
    max_gap_factor: float = 2.5
    stuck_m3: float = 1.0
    clock_limit_s: float = 300.0
    stopped_after_h: float = 48.0
    continuous_days: int = 7
    continuous_min_m3_h: float = 0.1
    night_rise_share: float = 0.05
    night_baseline_nights: int = 28
    night_confirm_nights: int = 5
    future_tolerance_s: int = 300
    oldest_days: int = 1_100
    history_days: int = 7_305
    sources: Mapping[str, str] = field(default_factory=dict[str, str])


_PERIODS = ("month", "quarter", "year")
_EDITIONS = (2016, 2018)
_SHARES = frozenset({"loss_rate_target", "plan_coverage", "night_rise_share"})
_MAY_BE_ZERO = frozenset({"frost_depth_m", "future_tolerance_s", "continuous_min_m3_h"})


def parse_policy(rows: Mapping[str, Any]) -> Policy:
    """Build a policy from the parsed TOML table of a city.

    Raises:
        PolicyError: naming the key, what stands there and what may stand there.
    """
    known = {f.name: f for f in fields(Policy)}
    for key in rows:
        if key not in known:
            raise PolicyError(key, f"no such setting; known are {', '.join(known)}")
    return Policy(**{key: _parse(key, value) for key, value in rows.items()})


def _parse(key: str, value: Any) -> Any:
    if key == "ladder":
        return _parse_ladder(value)
    if key == "sources":
        return _parse_sources(value)
    if key == "assessment_period":
        return _one_of(key, value, _PERIODS)
    if key == "cjj92_edition":
        return _one_of(key, value, _EDITIONS)
    return _parse_number(key, value)


def _one_of(key: str, value: Any, choices: Sequence[Any]) -> Any:
    if value not in choices:
        raise PolicyError(key, f"{value!r} is not one of {', '.join(map(str, choices))}")
    return value


def _parse_number(key: str, value: Any) -> float:
    whole = isinstance(getattr(Policy(), key), int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise PolicyError(key, f"{value!r} is not a {'whole ' if whole else ''}number")
    if not isfinite(value) or value < 0 or (value == 0 and key not in _MAY_BE_ZERO):
        raise PolicyError(key, f"{value!r} is out of range")
    if key in _SHARES and value > 1:
        raise PolicyError(key, f"{value!r} is not a share; 8.5 % is 0.085")
    return value


def _parse_sources(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise PolicyError("sources", f"{value!r} is not a table of setting = document")
    return {str(key): str(document) for key, document in cast("Mapping[Any, Any]", value).items()}


def _parse_ladder(value: Any) -> tuple[LadderStep, ...]:
    if not isinstance(value, list) or not value:
        raise PolicyError("ladder", "wants tables [[ladder]] with level, rate and basis")
    steps = tuple(_parse_step(row) for row in cast("list[Any]", value))
    for basis in _BASES:
        rates = [step.rate for step in steps if step.basis == basis]
        if rates != sorted(set(rates)):
            raise PolicyError("ladder", f"the {basis} steps must rise")
    return steps


def _parse_step(row: Any) -> LadderStep:
    try:
        step = LadderStep(**row)
    except TypeError:
        raise PolicyError("ladder", f"{row!r} wants level, rate and basis") from None
    if step.level not in set(Severity):
        raise PolicyError("ladder", f"level {step.level!r} is not one of {', '.join(Severity)}")
    if step.basis not in _BASES:
        raise PolicyError("ladder", f"basis {step.basis!r} is not one of {', '.join(_BASES)}")
    rate: Any = step.rate
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < inf:
        raise PolicyError("ladder", f"rate {rate!r} is not a number above 0")
    return step
