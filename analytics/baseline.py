"""The course of a zone's nights: a robust baseline, and the rises that stood up over it."""

from dataclasses import dataclass, field

import numpy as np

from analytics.frames import Floats
from water.policy import Policy

SIGMAS = 2.5
"""A rise is at least so many robust sigmas of the baseline nights (1.4826 x median deviation).

The rise is a median of several nights against a median of many, so that 2.5 sigmas of single
nights are about five of what is compared; chosen on the real nights (docs/detectors.md).
"""
LONGEST_RISE_NIGHTS = 120
"""A rise that stood so long is what the zone is like; its nights make the next baseline."""


@dataclass(slots=True)
class Course:
    """The nights of one zone, judged one after the other.

    Attributes:
        baseline: of each night, m³/h; NaN while there are too few nights before it.
        threshold: the rise over it that counts, m³/h.
        raised_from: index of the night with which the present rise began; None = no rise.
        normal: indexes of the nights that make baselines.
    """

    baseline: Floats
    threshold: Floats
    raised_from: int | None = None
    normal: list[int] = field(default_factory=list[int])


def follow_nights(flow: Floats, mean_inflow_m3_h: float, policy: Policy) -> Course:
    """Go through the nights in order: each is normal, or belongs to a confirmed rise.

    A rise is confirmed when, of the last `night_confirm_nights`, the median is up by the
    threshold and all but one by half of it. From then on the baseline stands still, so that a
    burst can't become its own baseline, until the median falls below half the threshold.

    Args:
        flow: net night flow of the usable nights, m³/h, oldest first.
        mean_inflow_m3_h: mean inflow of the zone.
        policy: night_* keys.
    """
    course = Course(np.full(flow.size, np.nan), np.full(flow.size, np.nan))
    for night in range(flow.size):
        recent = flow[max(night - policy.night_confirm_nights + 1, 0) : night + 1]
        if course.raised_from is None:
            _set_baseline(course, flow, night, mean_inflow_m3_h, policy)
            _watch_for_rise(course, flow, night, recent, policy)
        else:
            course.baseline[night] = course.baseline[night - 1]
            course.threshold[night] = course.threshold[night - 1]
            _watch_for_return(course, night, recent)
    return course


def _set_baseline(
    course: Course, flow: Floats, night: int, mean_inflow_m3_h: float, policy: Policy
) -> None:
    """Median and spread of the nights before those that confirm; NaN with less than half."""
    earlier = course.normal[: max(len(course.normal) - policy.night_confirm_nights + 1, 0)]
    chosen = flow[earlier[-policy.night_baseline_nights :]]
    if chosen.size < max(policy.night_baseline_nights / 2, 1):
        return
    level = float(np.median(chosen))
    sigma = 1.4826 * float(np.median(np.abs(chosen - level)))
    course.baseline[night] = level
    course.threshold[night] = max(policy.night_rise_share * mean_inflow_m3_h, SIGMAS * sigma)


def _watch_for_rise(
    course: Course, flow: Floats, night: int, recent: Floats, policy: Policy
) -> None:
    limit = course.threshold[night]
    rises = recent - course.baseline[night]
    half = rises >= limit / 2
    up = rises.size == policy.night_confirm_nights and np.median(rises) >= limit
    if not up or half.sum() < half.size - 1:
        course.normal.append(night)
        return
    first = night
    half_way = course.baseline[night] + limit / 2
    while first > 0 and first - 1 in course.normal[-2 * recent.size :]:
        if flow[first - 1] < half_way:
            break
        first -= 1
    course.raised_from = first
    course.normal = [index for index in course.normal if index < first]


def _watch_for_return(course: Course, night: int, recent: Floats) -> None:
    raised_from = course.raised_from or 0
    back = np.median(recent) - course.baseline[night] < course.threshold[night] / 2
    if back or night - raised_from >= LONGEST_RISE_NIGHTS:
        since = max(night - recent.size + 1, raised_from) if back else raised_from
        course.normal.extend(range(since, night + 1))
        course.raised_from = None
