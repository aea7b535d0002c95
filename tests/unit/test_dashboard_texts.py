"""The catalogue of the pages: both languages whole, every key that a page asks for there."""

import ast
from pathlib import Path
from string import Formatter

import pytest

from analytics.series import Verdict
from api.pages import PAGES as PAGE_KINDS
from api.pages.texts import CATALOGUE, LANGUAGES, Texts
from water.alerts import AlertState, Severity
from water.edits import Decision, EditKind, EditState, EventState
from water.findings import FindingKind, SubjectKind
from water.meters import MeterRole
from water.readings import QUANTITIES
from water.refusals import Refusal, SetAside, Undecodable
from water.users import Sector
from water.viewer import Role

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "api" / "pages"

CODES = {
    "severity": Severity, "state": AlertState, "rule": FindingKind, "subject": SubjectKind,
    "meter_role": MeterRole, "sector": Sector, "account_role": Role, "verdict": Verdict,
    "edit_kind": EditKind, "edit_state": EditState, "decision": Decision, "event_state": EventState,
    "quantity": QUANTITIES,
}  # fmt: skip


def places(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def asked_keys():
    """Constant keys of texts["…"] and say("…") in the pages' source."""
    for path in PAGES.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            key = None
            if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("texts"):
                key = node.slice
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("texts.say"):
                key = node.args[0]
            if isinstance(key, ast.Constant):
                yield f"{path.name}: {key.value}", key.value


def test_every_key_has_both_languages_with_the_same_places():
    for key, (chinese, english) in CATALOGUE.items():
        assert chinese.strip(), key
        assert english.strip(), key
        assert places(chinese) == places(english), key


def test_no_chinese_stands_in_an_english_text():
    for key, (_, english) in CATALOGUE.items():
        if key != "other_language":
            assert not any("一" <= sign <= "鿿" for sign in english), key


def test_every_key_that_a_page_asks_for_is_in_the_catalogue():
    asked = dict(asked_keys())
    assert len(asked) > 50
    assert [where for where, key in asked.items() if key not in CATALOGUE] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_stored_code_has_a_word(language):
    texts = Texts(language)
    for kind, codes in CODES.items():
        for code in codes:
            assert texts.word(kind, code) == texts[f"{kind}.{code}"]
    for reason in (*Refusal, *SetAside, *Undecodable):
        assert texts[f"reason.{reason}"]


def test_an_unknown_code_is_shown_as_it_is():
    assert Texts("en").word("rule", "something_new") == "something_new"


def test_every_page_has_its_heading_in_the_documentation():
    text = (ROOT / "docs/dashboard.md").read_text(encoding="utf-8")
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    for path in PAGE_KINDS:
        assert any(f"`{path}`" in heading for heading in headings), path


def evidence_names():
    """Constant names in the figures and thresholds of findings, in the source of analytics."""
    for path in (ROOT / "analytics").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.keyword(arg="figures" | "thresholds", value=ast.Dict(keys=keys)):
                    pass
                case ast.Assign([ast.Name("figures" | "thresholds")], ast.Dict(keys=keys)):
                    pass
                case _:
                    continue
            yield from (key.value for key in keys if isinstance(key, ast.Constant))


def test_every_figure_of_a_finding_has_a_word():
    names = set(evidence_names())
    assert len(names) > 15
    assert {name for name in names if f"figure.{name}" not in CATALOGUE} == set()
