"""Templates that people fill in, and the page that describes them."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from openpyxl import load_workbook

from registry.importing import import_path
from registry.kinds import KINDS
from registry.report import RegistryError
from registry.templates import write_template
from storage.registry.engine import migrate, open_registry
from storage.registry.store import RegistryStore

TODAY = date(2026, 9, 15)
PAGE = Path(__file__).parents[2] / "docs" / "importing.md"


class _Clock:
    def now(self) -> datetime:
        return datetime(2026, 9, 15, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    engine = open_registry(f"sqlite:///{tmp_path}/registry.db")
    migrate(engine)
    yield RegistryStore(engine, _Clock())
    engine.dispose()


@pytest.mark.parametrize("name", ["all.xlsx", "folder"])
def test_an_unfilled_template_imports_nothing_and_complains_of_nothing(name, tmp_path, store):
    write_template("all", tmp_path / name)
    report = import_path(tmp_path / name, store, actor="amy", today=TODAY)
    assert report.problems == ()
    assert set(report.counts) == set(KINDS)
    assert store.suppliers() == frozenset()


def test_a_filled_template_is_imported_without_its_example(tmp_path, store):
    path = tmp_path / "all.xlsx"
    write_template("all", path)
    workbook = load_workbook(path)
    workbook["suppliers"].append(["s1", "城北水务"])
    workbook["users"].append(["0017", "某某印染厂", "印染"])
    workbook.save(path)
    assert import_path(path, store, actor="amy", today=TODAY).imported
    assert store.suppliers() == {"s1"}
    assert [(user.id, user.sector) for user in store.users()] == [("0017", "printing")]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_examples_fit_together_once_the_mark_is_taken_off(kind, tmp_path, store):
    write_template("all", tmp_path / "city")
    for file in (tmp_path / "city").glob("*.csv"):
        file.write_text(file.read_text("utf-8-sig").replace("\n# ", "\n"), "utf-8")
    report = import_path(tmp_path / "city", store, actor="amy", today=TODAY)
    assert report.problems == ()
    assert report.counts[kind.name].created == 1


def test_the_workbook_names_columns_in_both_languages_and_says_what_is_wanted(tmp_path):
    write_template("meters", tmp_path / "meters.xlsx")
    workbook = load_workbook(tmp_path / "meters.xlsx")
    assert workbook.sheetnames == ["说明", "meters"]
    header = workbook["meters"]["C1"]
    assert header.value == "role"
    assert workbook["meters"]["C2"].value == "用途"
    assert "zone_inlet" in header.comment.text


def test_ids_are_text_in_the_workbook_so_that_zeros_stay(tmp_path):
    write_template("users", tmp_path / "users.xlsx")
    sheet = load_workbook(tmp_path / "users.xlsx")["users"]
    assert sheet.column_dimensions["A"].number_format == "@"


@pytest.mark.parametrize(
    ("kind", "name"), [("all", "x.csv"), ("taps", "x.xlsx"), ("users", "x.ods")]
)
def test_a_template_that_there_is_not_is_refused(kind, name, tmp_path):
    with pytest.raises(RegistryError):
        write_template(kind, tmp_path / name)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_page_on_importing_has_every_kind_and_column(kind):
    sections = PAGE.read_text("utf-8").split("\n### ")
    section = next(text for text in sections if text.startswith(f"{kind.name} {kind.title}\n"))
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| `")]
    listed = [tuple(cell.strip() for cell in row) for row in rows]
    assert listed == [
        (f"`{c.name}`", c.title, "yes" if c.required else "", c.wanted) for c in kind.columns
    ]


def test_a_template_never_overwrites_what_is_there(tmp_path):
    filled = tmp_path / "city.xlsx"
    filled.write_bytes(b"my rows")
    with pytest.raises(RegistryError, match="stays as it is"):
        write_template("all", filled)
    assert filled.read_bytes() == b"my rows"


def test_a_template_makes_the_folder_it_is_to_lie_in(tmp_path):
    write_template("users", tmp_path / "new" / "users.csv")
    assert (tmp_path / "new" / "users.csv").exists()
