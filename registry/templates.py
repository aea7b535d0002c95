"""Empty files to fill in: a workbook with a sheet a kind, or CSV files.

Each has a header, a second row with the Chinese titles and an example row that begins with "# ";
the import skips both.
"""

import csv
from pathlib import Path

from openpyxl import Workbook
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from registry.kinds import KINDS, Column, Kind
from registry.report import RegistryError

_REQUIRED = PatternFill("solid", fgColor="FFF2CC")
_TITLES = PatternFill("solid", fgColor="DDEBF7")
_EXAMPLE = Font(italic=True, color="808080")
_LAST_ROW = 1_048_576
_NOTES = (
    ("jieshui 导入模板", "jieshui import template"),
    (
        "每个工作表一类数据；不用的工作表可留空或删除。",
        "One sheet a kind; leave the sheets that you don't need empty, or delete them.",
    ),
    (
        "第一行为列名，第二行为中文名，以“# ”开头的行为示例，导入时忽略。",
        "Row 1 is the header, row 2 its Chinese titles; rows that begin with '# ' are examples.",
    ),
    (
        "黄色列必填。时间须带时区并为文本，例如 2026-01-31T08:00:00+08:00。",
        "Yellow columns are required. An instant is a text with its zone.",
    ),
    (
        "编号请设为文本格式，以免丢失位数或前导零。",
        "Format ids as text, or the sheet drops digits and leading zeros.",
    ),
    (
        "任何一行有错则全部不导入；重复导入同一文件不产生变化。",
        "One bad row and nothing is imported; importing the same file again changes nothing.",
    ),
)


def write_template(kind: str | None, path: Path) -> None:
    """Write the template of a kind, or of every kind ("all" or None), to a path.

    `.xlsx` makes a workbook, `.csv` one CSV file (a single kind only), a path without suffix a
    folder of CSV files named by kind.

    Raises:
        RegistryError: when the path exists, the kind is unknown, or the path fits none of these.
    """
    if path.exists():
        raise RegistryError(f"{path} is there already and stays as it is; name another")
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = list(KINDS.values()) if kind is None or kind == "all" else [_kind(kind)]
    suffix = path.suffix.lower()
    if suffix == ".xlsx":
        _write_workbook(kinds, path)
    elif suffix == ".csv" and len(kinds) == 1:
        _write_csv(kinds[0], path)
    elif not suffix:
        path.mkdir(parents=True, exist_ok=True)
        for one in kinds:
            _write_csv(one, path / f"{one.name}.csv")
    else:
        raise RegistryError(
            f"{path}: a name ending in .xlsx, a folder's name, or .csv with the one kind it holds "
            f"(--kind) is wanted"
        )


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise RegistryError(f"{name!r} is no kind; there are all, {', '.join(KINDS)}")
    return KINDS[name]


def _example(kind: Kind) -> list[str]:
    cells = [column.example for column in kind.columns]
    return [f"# {cells[0]}", *cells[1:]]


def _write_csv(kind: Kind, path: Path) -> None:
    # With the mark (BOM), or Excel takes the Chinese for another code page.
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow([column.name for column in kind.columns])
        writer.writerow([column.title for column in kind.columns])
        writer.writerow(_example(kind))


def _write_workbook(kinds: list[Kind], path: Path) -> None:
    workbook = Workbook()
    for name in workbook.sheetnames:
        del workbook[name]
    _write_notes(workbook.create_sheet("说明"), kinds)
    for kind in kinds:
        _write_sheet(workbook.create_sheet(kind.name), kind)
    workbook.save(path)


def _write_notes(sheet: Worksheet, kinds: list[Kind]) -> None:
    for chinese, english in _NOTES:
        sheet.append([chinese, english])
    sheet["A1"].font = sheet["B1"].font = Font(bold=True, size=14)
    sheet.append([])
    sheet.append(["工作表 sheet", "列 column", "名称 title", "必填 required", "填写 wanted"])
    for cell in sheet[sheet.max_row]:
        cell.font = Font(bold=True)
    for kind in kinds:
        for column in kind.columns:
            required = "是 yes" if column.required else ""
            row = [f"{kind.name} {kind.title}", column.name, column.title, required, column.wanted]
            sheet.append(row)
    for letter, width in zip("ABCDE", (44, 24, 24, 14, 70), strict=True):
        sheet.column_dimensions[letter].width = width


def _write_sheet(sheet: Worksheet, kind: Kind) -> None:
    sheet.append([column.name for column in kind.columns])
    sheet.append([column.title for column in kind.columns])
    sheet.append(_example(kind))
    for number, column in enumerate(kind.columns, start=1):
        letter = get_column_letter(number)
        header = sheet.cell(1, number)
        header.font = Font(bold=True)
        header.comment = Comment(f"{column.title}\n{column.wanted}", "jieshui", 160, 320)
        if column.required:
            header.fill = _REQUIRED
        sheet.cell(2, number).fill = _TITLES
        sheet.cell(3, number).font = _EXAMPLE
        sheet.cell(1, number).alignment = Alignment(horizontal="left")
        # Text, so that ids keep their zeros and instants are not taken for dates.
        sheet.column_dimensions[letter].number_format = "@"
        sheet.column_dimensions[letter].width = max(14, len(column.example) + 4)
        if column.choices:
            _offer_choices(sheet, column, letter)
    sheet.freeze_panes = "B3"


def _offer_choices(sheet: Worksheet, column: Column, letter: str) -> None:
    offer = DataValidation("list", formula1=f'"{",".join(column.choices)}"', allow_blank=True)
    # A Chinese title is as good as the word, so that a list that refuses would be wrong.
    offer.showErrorMessage = False
    offer.add(f"{letter}4:{letter}{_LAST_ROW}")
    sheet.add_data_validation(offer)
