"""Opening what people hand in: a CSV file, a workbook, or a folder of CSV files.

CSV in UTF-8 (with or without mark) or GBK, as Excel on a Chinese Windows writes it; comma, or tab
when the first line has tabs and no comma. Nothing is judged here but whether it can be read.
"""

import codecs
import csv
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from registry.fields import Cell
from registry.report import Problem, RegistryError

NOTES_SHEETS = frozenset({"notes", "说明"})
"""Sheets of a workbook that hold no rows."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows of one CSV file or sheet that hold anything, with their numbers from 1."""

    place: str
    name: str
    rows: list[tuple[int, list[Cell]]]


def read_sheets(path: Path) -> tuple[list[Sheet], list[Problem]]:
    """Every sheet under a path, and what could not be read.

    Raises:
        RegistryError: when there is nothing of these kinds at the path.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise RegistryError(f"{path}: there is no such file or folder")
    suffix = path.suffix.lower()
    if suffix in {".csv", ".txt"}:
        return _read_csv(path)
    if suffix in {".xlsx", ".xlsm"}:
        return _read_workbook(path)
    raise RegistryError(f"{path}: a .csv file, an .xlsx workbook or a folder of .csv is wanted")


def _read_folder(path: Path) -> tuple[list[Sheet], list[Problem]]:
    files = sorted(file for file in path.iterdir() if file.suffix.lower() == ".csv")
    if not files:
        raise RegistryError(f"{path}: there is no .csv file in this folder")
    read = [_read_csv(file) for file in files]
    return [s for sheets, _ in read for s in sheets], [p for _, found in read for p in found]


def _read_csv(path: Path) -> tuple[list[Sheet], list[Problem]]:
    try:
        text = _decode(path.read_bytes())
        rows = list(_csv_rows(text))
    except (ValueError, csv.Error) as error:
        return [], [Problem(path.name, None, "", "", f"this can't be read: {error}")]
    return [Sheet(path.name, path.stem, rows)], []


def _decode(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError("it is UTF-16; save it as CSV UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        return content.decode("gb18030")
    except UnicodeDecodeError as error:
        raise ValueError(f"neither UTF-8 nor GBK, from byte {error.start} on") from None


def _csv_rows(text: str) -> Iterator[tuple[int, list[Cell]]]:
    first = text.split("\n", 1)[0]
    delimiter = "\t" if "\t" in first and "," not in first else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1  # a quoted cell may hold line ends: a row is named by its first line
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield begins, [cell.strip() or None for cell in cells]
        begins = reader.line_num + 1


def _read_workbook(path: Path) -> tuple[list[Sheet], list[Problem]]:
    try:
        workbook = load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        return [], [Problem(path.name, None, "", "", f"this is no readable workbook: {error}")]
    sheets: list[Sheet] = []
    try:
        for worksheet in workbook.worksheets:
            if worksheet.title.strip().lower() in NOTES_SHEETS:
                continue
            rows = list(_sheet_rows(worksheet))
            if rows:
                sheets.append(Sheet(f"{path.name} [{worksheet.title}]", worksheet.title, rows))
    finally:
        workbook.close()
    return sheets, []


def _sheet_rows(worksheet: Any) -> Iterator[tuple[int, list[Cell]]]:
    worksheet.reset_dimensions()  # some programs write a wrong extent
    for number, cells in enumerate(worksheet.iter_rows(values_only=True), start=1):
        row = [(cell.strip() or None) if isinstance(cell, str) else cell for cell in cells]
        if any(cell is not None for cell in row):
            yield number, row
