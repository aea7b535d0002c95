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
    assert (policy.loss_rate_target, policy.share_from_m3) == (0.09, 10_000)


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
        ({"assessment_period": "week"}, "week"),
        ({"assessment_period": 12}, "assessment_period"),
        ({"ladder": [{"level": "x", "rate": 1, "basis": "guessed"}]}, "guessed"),
        ({"ladder": [{"level": "x"}]}, "ladder"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(rows, named):
    with pytest.raises(PolicyError, match=named):
        parse_policy(rows)
