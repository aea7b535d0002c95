import re
from dataclasses import fields
from pathlib import Path

import pytest

from water.policy import LadderStep, Policy, PolicyError, parse_policy

PAGE = (Path(__file__).parents[2] / "docs/policy.md").read_text(encoding="utf-8")


def test_the_page_lists_every_setting_with_its_default():
    rows = dict(re.findall(r"^\| `([a-z0-9_]+)` \| ([^|]+?) \|", PAGE, re.MULTILINE))
    assert set(rows) == {f.name for f in fields(Policy)}
    numbers = {k: v for k, v in rows.items() if re.fullmatch(r"[\d.]+", v)}
    assert {k: float(v) for k, v in numbers.items()} == {k: getattr(Policy(), k) for k in numbers}


def test_a_city_changes_one_threshold_and_keeps_the_others():
    policy = parse_policy({"loss_rate_target": 0.09, "sources": {"loss_rate_target": "a document"}})
    assert (policy.loss_rate_target, policy.plan_coverage) == (0.09, 0.9)


def test_a_ladder_is_read_in_its_order():
    rows = [{"level": "warning", "rate": 1.05, "basis": "used"}]
    assert parse_policy({"ladder": rows}).ladder == (LadderStep("warning", 1.05, "used"),)


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ({"loss_target": 0.09}, "loss_target"),
        ({"loss_rate_target": "0.09"}, "loss_rate_target"),
        ({"loss_rate_target": -1}, "loss_rate_target"),
        ({"loss_rate_target": True}, "loss_rate_target"),
        ({"loss_rate_target": 8.5}, "8.5 % is 0.085"),
        ({"loss_rate_target": float("nan")}, "loss_rate_target"),
        ({"night_confirm_nights": 0.9}, "whole number"),
        ({"night_confirm_nights": 0}, "out of range"),
        ({"cjj92_edition": 2017}, "2017"),
        ({"ladder": "x"}, "ladder"),
        ({"ladder": []}, "ladder"),
        ({"ladder": [{"level": "panic", "rate": 1, "basis": "used"}]}, "panic"),
        ({"ladder": [{"level": "red", "rate": "1.0", "basis": "used"}]}, "rate"),
        (
            {
                "ladder": [
                    {"level": "red", "rate": 1.3, "basis": "used"},
                    {"level": "formal", "rate": 1.1, "basis": "used"},
                ]
            },
            "must rise",
        ),
        ({"sources": "a document"}, "sources"),
        ({"assessment_period": "week"}, "week"),
        ({"assessment_period": 12}, "assessment_period"),
        ({"ladder": [{"level": "red", "rate": 1, "basis": "guessed"}]}, "guessed"),
        ({"ladder": [{"level": "x"}]}, "ladder"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(rows, named):
    with pytest.raises(PolicyError, match=named):
        parse_policy(rows)
