import re
from pathlib import Path

from analytics.series import EXCLUDED, Verdict

PAGE = (Path(__file__).parents[2] / "docs/validation.md").read_text(encoding="utf-8")
ROWS = {
    name: [cell.strip() for cell in rest.split("|")]
    for name, rest in re.findall(r"^\| `(\w+)` \|(.*)\|$", PAGE, re.MULTILINE)
}


def test_every_verdict_has_its_row():
    assert set(ROWS) == set(Verdict)


def test_the_page_says_what_carries_its_register_into_volumes():
    said = {name: row[-1].startswith("no") for name, row in ROWS.items()}
    assert said == {name: name in EXCLUDED for name in Verdict}
