# pyright: standard
# pyarrow types its tables as unknown: strict rules have nothing to hold on to.
"""Files of history, line by line and in bounded memory: CSV, or Parquet by pyarrow."""

import csv
import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.history.rows import HistoryError, Unfit

_PARQUET_ROWS = 20_000
_NOT_TEXT = "\ud800", "\udfff"
"""Between these lie the characters by which undecodable bytes are carried along."""


Line = tuple[int, Sequence[str] | Unfit]


@dataclass(frozen=True)
class HistoryFile:
    """An open file of history.

    Attributes:
        names: its columns.
        lines: (number of the line or row, its fields, or why they can't be told apart).
        size: what `done` goes up to.
    """

    names: Sequence[str]
    lines: Iterator[Line]
    size: int
    done: "Done"


class Done:
    """How far a file is read."""

    value = 0


def digest(path: Path) -> str:
    """What a file holds, in 32 hexadecimal digits.

    Raises:
        HistoryError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror}") from None


@contextmanager
def open_history(path: Path, encoding: str = "utf-8-sig") -> Generator[HistoryFile]:
    """Open a file by its ending: .csv or .txt, else .parquet.

    Raises:
        HistoryError: it is neither, can't be read, or has no header; and when its lines end, if
            somebody has written to it meanwhile.
    """
    before = _stamp(path)
    ending = path.suffix.lower()
    if ending in {".csv", ".txt"}:
        opened = _open_csv(path, encoding)
    elif ending in {".parquet", ".pq"}:
        opened = _open_parquet(path)
    else:
        raise HistoryError(f"{path}: a .csv or a .parquet file is wanted")
    with opened as history:
        yield replace(history, lines=_while_unchanged(path, before, history.lines))


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of the last write."""
    with _told(path):
        stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _while_unchanged(path: Path, before: tuple[int, int], lines: Iterator[Line]) -> Iterator[Line]:
    """The lines, and an error behind them where the file is no longer the one that was opened."""
    yield from lines
    if _stamp(path) != before:
        raise HistoryError(
            f"{path}: somebody wrote to it while it was read; import it again once it is whole"
        )


@contextmanager
def _told(path: Path) -> Generator[None]:
    """What the file itself does wrong; not what is done with its lines."""
    try:
        yield
    except (OSError, LookupError, pa.ArrowException) as error:
        raise HistoryError(f"{path}: {error}") from error


@contextmanager
def _open_csv(path: Path, encoding: str) -> Generator[HistoryFile]:
    # Every line is read for itself, so that a stray quote costs one line and numbers are true.
    with _told(path):
        file = path.open(encoding=encoding, errors="surrogateescape", newline="\n")
    with file:
        done = Done()
        with _told(path):
            names, size = _split(file.readline()), path.stat().st_size
        if isinstance(names, Unfit) or not any(names):
            raise HistoryError(f"{path}: the first line names no columns")

        def lines() -> Iterator[Line]:
            with _told(path):
                for number, line in enumerate(file, 2):
                    done.value += len(line)
                    if not line.isspace():
                        yield number, _split(line) if line.endswith("\n") else Unfit.CUT

        yield HistoryFile([name.strip() for name in names], lines(), size, done)


def _split(line: str) -> Sequence[str] | Unfit:
    if not line.isascii() and any(_NOT_TEXT[0] <= character <= _NOT_TEXT[1] for character in line):
        return Unfit.NOT_TEXT
    line = line.rstrip("\r\n")
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error:
        return Unfit.FIELDS


@contextmanager
def _open_parquet(path: Path) -> Generator[HistoryFile]:
    with _told(path):
        file = pq.ParquetFile(path)
    with file:
        done = Done()

        def lines() -> Iterator[tuple[int, Sequence[str]]]:
            with _told(path):
                for batch in file.iter_batches(_PARQUET_ROWS):
                    columns = [_as_text(column) for column in batch.columns]
                    yield from enumerate(zip(*columns, strict=True), done.value + 1)
                    done.value += batch.num_rows

        yield HistoryFile(file.schema_arrow.names, lines(), file.metadata.num_rows, done)


def _as_text(column: pa.Array) -> list[str]:
    """Values as a CSV would write them: instants in ISO 8601, nothing for null."""
    return column.cast(pa.string()).fill_null("").to_pylist()
