"""Many rows in lists of a bounded length."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

ROWS_AT_ONCE = 1_000

_Row = TypeVar("_Row")


def in_batches(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    """Rows in lists that fit one statement, read as they are wanted."""
    waiting = iter(rows)
    while batch := list(islice(waiting, ROWS_AT_ONCE)):
        yield batch
